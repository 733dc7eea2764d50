"""Errors of the Kubernetes API server, as the problem documents that callers get."""

import re
from collections.abc import Iterable
from typing import Final

from aichat_workspace.api.web.responses.field_errors import FieldError
from aichat_workspace.api.web.responses.problems import ProblemError, invalid, unavailable
from aichat_workspace.kube.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    UnreachableError,
)

# 410: a list took longer than its pages are kept.
_TRANSIENT_STATUSES: Final = frozenset({408, 410, 429})
_UNKNOWN_FIELD: Final = re.compile(r'unknown field "([^"]+)"')
_IPV4: Final = r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?![\w.]*\w)"
_IPV6: Final = r"\[[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*\](?::\d+)?"
_NAME: Final = r"(?<![\w.-])[\w-]+(?:\.[\w-]+)*\.svc(?:\.[\w-]+)*(?::\d+)?"
_ADDRESS: Final = re.compile(f"{_IPV4}|{_IPV6}|{_NAME}")
# Every request is made as the API itself, so a missing role is always its own. Admission and quotas
# refuse what the caller wants, and do not name a user in this way.
_MISSING_ROLE: Final = re.compile(r'forbidden: User "(?:[^"\\]|\\.)*" cannot ')


def without_addresses(text: str) -> str:
    """Return a text of another program without the addresses in it: they tell how the cluster is
    built, and do not help its reader."""
    return _ADDRESS.sub("…", text)


REPORTABLE_ERRORS: Final = (ProblemError, ApiError, UnreachableError)
"""Errors that the caller gets as a problem document; any other exception is a bug."""


def as_problem(error: ProblemError | ApiError | UnreachableError) -> ProblemError:
    """Return the problem for a reportable error."""
    return error if isinstance(error, ProblemError) else from_cluster(error)


def from_cluster(error: ApiError | UnreachableError) -> ProblemError:  # noqa: PLR0911  (a table of answers)
    """Return the problem for an error of the API server."""
    if isinstance(error, UnreachableError):
        return unavailable("The Kubernetes API server does not answer. Try again.")
    if isinstance(error, InvalidError):
        return invalid(_fields(error))
    if isinstance(error, NotFoundError):
        return ProblemError(404, "not-found", error.message or "It is not there any more.")
    if isinstance(error, AlreadyExistsError):
        return ProblemError(409, "already-exists", error.message)
    if isinstance(error, ConflictError):
        return ProblemError(
            409, "conflict", f"{error.message} Read it again, and repeat your change."
        )
    if isinstance(error, ForbiddenError) and not _MISSING_ROLE.search(error.message):
        return ProblemError(403, "refused", error.message)
    if error.status in _TRANSIENT_STATUSES or error.status >= 500:
        return unavailable("The Kubernetes API server is busy or in trouble. Try again.")
    return ProblemError(
        500,
        "misconfigured",
        "The API's own account lacks a permission. The platform team should apply config/default "
        "again.",
    )


def _fields(error: ApiError) -> Iterable[FieldError]:
    if error.causes:
        return [FieldError(cause.field.strip(), cause.message) for cause in error.causes]
    unknown = _UNKNOWN_FIELD.findall(error.message)
    if unknown:
        return [FieldError(name, "there is no such field; check its spelling") for name in unknown]
    return [FieldError("", error.message)]
