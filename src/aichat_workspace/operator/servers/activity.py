"""Asks workspaces' chats when people last used them, beside reconciliation.

A chat is asked when another pod of it begins to serve, and else once a day, at a time at which its
model server is looked at anyway. docs/decisions/0048-when-a-workspace-was-last-used.md has the
reasons.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from aichat_workspace.domain.v1alpha1.workspace_status import ActivityRecord
from aichat_workspace.openwebui.errors import OpenWebUIError, SignInRefusedError
from aichat_workspace.operator.servers.tools import Chat

_DAY: Final = timedelta(days=1)
# After an operator's first start with many workspaces, none of them knows when it was used.
_CONCURRENT: Final = 8
_log: Final = structlog.get_logger()


class ActivitySync:
    """`on_change` is called with a workspace of which more is known."""

    def __init__(self, on_change: Callable[[str], None], now: Callable[[], datetime]) -> None:
        self._on_change = on_change
        self._now = now
        self._turns = asyncio.Semaphore(_CONCURRENT)
        self._workspaces: dict[str, _WorkspaceActivity] = {}

    def set_desired(
        self, name: str, chat: Chat, recorded: ActivityRecord | None
    ) -> ActivityRecord | None:
        """Say how a workspace's chat is reached, and get what is known of its use. `recorded` is
        what earlier runs wrote down."""
        workspace = self._workspaces.get(name)
        if workspace is None:
            # An operator that takes over does not ask every chat at once, but those whose pods
            # began to serve after the former one asked.
            asked_at, since = recorded and recorded.asked_at, chat.serves_since
            server = chat.server if asked_at and (since is None or since <= asked_at) else ""
            workspace = _WorkspaceActivity(chat, recorded or ActivityRecord(), server)
            self._workspaces[name] = workspace
        workspace.chat = chat
        if chat.server not in ("", workspace.server):
            self._start(name, workspace)
        return None if workspace.record == ActivityRecord() else workspace.record

    def looked(self, name: str) -> None:
        """Say that a workspace's model server has just been looked at."""
        workspace = self._workspaces.get(name)
        if workspace is not None and workspace.is_due(self._now()):
            self._start(name, workspace)

    def forget(self, name: str) -> None:
        """The workspace is gone."""
        workspace = self._workspaces.pop(name, None)
        if workspace is not None and workspace.task is not None:
            workspace.task.cancel()

    async def close(self) -> None:
        """End all that is under way."""
        workspaces = self._workspaces.values()
        tasks = [workspace.task for workspace in workspaces if workspace.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, name: str, workspace: "_WorkspaceActivity") -> None:
        if workspace.task is None and workspace.chat.server:
            workspace.server = workspace.chat.server
            workspace.task = asyncio.create_task(self._run(name, workspace))

    async def _run(self, name: str, workspace: "_WorkspaceActivity") -> None:
        async with self._turns:
            record = await self._ask(name, workspace)
        workspace.task = None
        if self._workspaces.get(name) is workspace and record != workspace.record:
            workspace.record = record
            self._on_change(name)

    async def _ask(self, name: str, workspace: "_WorkspaceActivity") -> ActivityRecord:
        """Ask once. Return what is known then."""
        chat, now = workspace.chat, self._now()
        try:
            session = await chat.client.sign_in(chat.email, chat.password)
            seconds = await session.last_activity(chat.email)
        except SignInRefusedError:
            workspace.refused = (chat.email, chat.password, now)
            message = (
                f"Open WebUI refuses the operator's sign-in as {chat.email}, whose password was "
                "changed there"
            )
        except OpenWebUIError as error:
            message = f"Open WebUI does not say it: {error}"
        except Exception as error:  # a bug in one workspace's task must not end the others'
            _log.exception("activity crashed", workspace=name)
            message = f"the operator failed itself with {type(error).__name__}"
        else:
            # A chat's own clock, or its owner, may be ahead.
            last = seconds and datetime.fromtimestamp(min(seconds, now.timestamp()), UTC)
            known = [moment for moment in (last, workspace.record.used_at) if moment]
            return ActivityRecord(used_at=max(known, default=None), asked_at=now)
        _log.info("activity unknown", workspace=name, message=message)
        return workspace.record.model_copy(update={"message": message})


@dataclass(slots=True)
class _WorkspaceActivity:
    chat: Chat
    record: ActivityRecord
    server: str
    """The pod that was last asked; empty for none."""
    refused: tuple[str, str, datetime] | None = field(default=None, repr=False)
    """The last sign-in that was of no use, and when: each one counts against the account."""
    task: "asyncio.Task[None] | None" = None

    def is_due(self, now: datetime) -> bool:
        """Whether the chat is to be asked: after a day, and sooner where it failed to answer."""
        if self.refused and self.refused[:2] == (self.chat.email, self.chat.password):
            return now - self.refused[2] >= _DAY
        if self.record.message or self.record.asked_at is None:
            return True
        return now - self.record.asked_at >= _DAY
