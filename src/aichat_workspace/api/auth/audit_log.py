"""Who changed what: one line of the log for each change, and for each showing of credentials."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.kube.errors import ApiError, UnreachableError

_log: Final = structlog.get_logger()


def record(
    caller: Caller, action: str, *, team: str, name: str, outcome: int, note: str = ""
) -> None:
    """`outcome` is the HTTP status that says so to the caller."""
    _log.info(
        "audit",
        user=caller.username,
        action=action,
        team=team,
        workspace=name,
        outcome=outcome,
        **({"note": note} if note else {}),
    )


@contextmanager
def audit_unknown_outcome(caller: Caller, action: str, *, team: str, name: str) -> Iterator[None]:
    """Around a write: one of which nobody knows whether it was carried out is recorded, too."""
    try:
        yield
    except (ApiError, UnreachableError) as error:
        if isinstance(error, UnreachableError) or error.status >= 500:
            note = "nobody knows whether it was carried out"
            record(caller, action, team=team, name=name, outcome=503, note=note)
        raise
