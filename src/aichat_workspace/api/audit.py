"""Who changed what: one line of the log for each change, and for each showing of credentials."""

from typing import Final

import structlog

from aichat_workspace.api.identity import Caller

_log: Final = structlog.get_logger()


def record(
    caller: Caller, action: str, *, team: str, name: str, outcome: int, note: str = ""
) -> None:
    """`outcome` is the HTTP status that the caller gets."""
    _log.info(
        "audit",
        user=caller.username,
        action=action,
        team=team,
        workspace=name,
        outcome=outcome,
        **({"note": note} if note else {}),
    )
