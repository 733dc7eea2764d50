"""The audit log: one line for each change, and for each reading of credentials."""

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
    """Write a line; `outcome` is the HTTP status that the caller gets."""
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
    """Record a write whose reply was lost, so its outcome is unknown."""
    try:
        yield
    except (ApiError, UnreachableError) as error:
        if isinstance(error, UnreachableError) or error.status >= 500:
            note = "it is unknown whether it was carried out"
            record(caller, action, team=team, name=name, outcome=503, note=note)
        raise
