"""Errors of the API server."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import orjson


@dataclass(frozen=True, slots=True)
class Cause:
    """A refused field."""

    field: str
    """Its path, as spec.replicas."""
    reason: str
    """A word for programs, as FieldValueInvalid."""
    message: str


class ApiError(Exception):
    """The API server answered with an error. `is_retryable` says whether a retry helps.

    https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
    """

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        causes: tuple[Cause, ...] = (),
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.causes = causes
        self.retry_after_seconds = retry_after_seconds

    @property
    def is_retryable(self) -> bool:
        return self.status in (408, 429) or self.status >= 500


class NotFoundError(ApiError):
    """404: the object does not exist, or its kind is not installed."""


class ConflictError(ApiError):
    """409: the object has changed meanwhile, or a precondition failed. Read it again.

    Also 422 where an apply's UID is of another object: the API server takes it for a change of an
    immutable field.
    """


class AlreadyExistsError(ConflictError):
    """409: an object of this name exists."""


class GoneError(ApiError):
    """410: the API server no longer has the requested version. List again."""


class InvalidError(ApiError):
    """422 or 400: the object is refused; `causes` names the fields. A retry does not help."""


class ForbiddenError(ApiError):
    """403: permission, quota or an admission policy refuses it."""


class UnauthorizedError(ApiError):
    """401: the credentials are not accepted."""


class TooLargeError(ApiError):
    """The response is larger than the request takes. A retry does not help."""


class UnreachableError(ConnectionError):
    """No response: refused, reset or timed out. The request may have been carried out."""


_BY_STATUS: Final[dict[int, type[ApiError]]] = {
    HTTPStatus.BAD_REQUEST: InvalidError,
    HTTPStatus.UNAUTHORIZED: UnauthorizedError,
    HTTPStatus.FORBIDDEN: ForbiddenError,
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.CONFLICT: ConflictError,
    HTTPStatus.GONE: GoneError,
    HTTPStatus.UNPROCESSABLE_ENTITY: InvalidError,
}


def from_response(status: int, body: bytes, retry_after: str | None = None) -> ApiError:
    """Return the error that an HTTP response means."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = None
    details = (
        parsed if isinstance(parsed, dict) else {"message": body[:500].decode(errors="replace")}
    )
    return from_status(status, details, retry_after)


def from_status(status: int, details: dict[str, Any], retry_after: str | None = None) -> ApiError:
    """Return the error that a Status object means, of a response or of a watch's ERROR event."""
    reason = details.get("reason") or "Unknown"
    extra = details.get("details") or {}
    seconds = retry_after if retry_after is not None else extra.get("retryAfterSeconds")
    causes = tuple(
        Cause(cause.get("field", ""), cause.get("reason", ""), cause.get("message", ""))
        for cause in extra.get("causes") or ()
    )
    kind = _BY_STATUS.get(status, ApiError)
    if reason == "AlreadyExists":
        kind = AlreadyExistsError
    elif any(cause.field == "metadata.uid" for cause in causes):
        kind = ConflictError
    return kind(status, reason, details.get("message") or "", causes, _seconds(seconds))


def _seconds(value: object) -> float | None:
    """Parse Retry-After (RFC 9110 10.2.3). API servers do not use its date form."""
    try:
        return float(str(value)) if value else None
    except ValueError:
        return None
