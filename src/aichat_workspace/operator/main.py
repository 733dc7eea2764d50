"""Starts the operator: `aichat-workspace-operator`."""

import os
import sys
from typing import Final

import structlog

from aichat_workspace.domain import names
from aichat_workspace.kube.connection import IN_CLUSTER_TOKEN
from aichat_workspace.kube.leases.leader import LeadershipLostError
from aichat_workspace.operator.application import run
from aichat_workspace.operator.settings import Settings
from aichat_workspace.operator.shutdown import run_until_signal
from aichat_workspace.runtime import arguments
from aichat_workspace.runtime.event_loop import run_loop
from aichat_workspace.runtime.garbage import collect_rarely
from aichat_workspace.runtime.logs import log_as_json

_log: Final = structlog.get_logger()


def main() -> None:
    arguments.answer(names.OPERATOR, "Turn AIChatWorkspaces into running chats.")
    log_as_json()
    collect_rarely()
    try:
        settings = Settings.read(os.environ, in_cluster=IN_CLUSTER_TOKEN.exists())
        run_loop(run_until_stopped(settings))
    except (ValueError, ImportError) as error:
        _log.error("not started", error=str(error))
        sys.exit(2)


async def run_until_stopped(settings: Settings) -> None:
    """Run until a signal comes, or end the process once another replica may lead."""
    try:
        await run_until_signal(run(settings))
    except BaseExceptionGroup as group:
        if (lost := group.subgroup(LeadershipLostError)) is None:
            raise
        _log.error("not the leader any more", error=str(lost.exceptions[0]))
        os._exit(1)  # work that does not end must not outlive the lease
