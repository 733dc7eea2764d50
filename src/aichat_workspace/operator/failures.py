"""How long, and how often, reconciles have failed for a reason that is not the workspace's own."""

import traceback
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.kube.errors import ApiError, ConflictError, UnreachableError

_PATIENCE: Final = timedelta(minutes=1)
_MANY_CRASHES: Final = 3


@dataclass(slots=True)
class Failures:
    """Remembers failures until a reconcile succeeds. They are told only when they last."""

    _since: dict[str, datetime] = field(default_factory=dict)
    """By the workspace's UID: since when the API server has not answered."""
    _crashes: dict[str, int] = field(default_factory=dict)
    """By the workspace's name."""

    def passing(
        self, uid: str, error: ApiError | UnreachableError, now: datetime
    ) -> Problem | None:
        """Note an error. Return what to report once passing ones have lasted for a minute; a
        refusal does not pass, and is reported elsewhere."""
        is_old_view = isinstance(error, ConflictError)  # which lasts only if something is wrong
        if isinstance(error, ApiError) and not (error.is_retryable or is_old_view):
            self._since.pop(uid, None)
            return None
        if now - self._since.setdefault(uid, now) < _PATIENCE:
            return None
        return Problem(
            Reason.API_SERVER_NOT_ANSWERING,
            f"for more than a minute the API server has not taken what the operator writes: "
            f"{error}; the workspace runs on as it is, and everything is tried again by itself; if "
            "it lasts, mend the API server or the webhook that the error names",
        )

    def crashed(self, name: str, error: Exception) -> Problem | None:
        """Note a crash. Return what to report once there were some in a row, without the error's
        text, which may have anything in it."""
        self._crashes[name] = self._crashes.get(name, 0) + 1
        if self._crashes[name] < _MANY_CRASHES:
            return None
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{type(error).__name__} in {Path(frame.filename).name}, line {frame.lineno}"
        return Problem(
            Reason.OPERATOR_CRASHED,
            f"the operator fails on this workspace by a fault of its own ({where}), and tries "
            "again each minute; the workspace runs on as it is; report the fault with the lines "
            f"'reconcile crashed' of {name!r} in the operator's log",
        )

    def forget(self, uid: str) -> None:
        """Forget the errors of a workspace: what was to be written is written."""
        self._since.pop(uid, None)

    def forget_crashes(self, name: str) -> None:
        self._crashes.pop(name, None)
