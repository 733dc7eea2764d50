"""What the API server answers when it does not do as asked."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import orjson


@dataclass(frozen=True, slots=True)
class Cause:
    """One field that was refused, and why."""

    field: str
    reason: str
    message: str


class ApiError(Exception):
    """The API server answered with an error. Whether a retry helps is `retryable`.

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
    def retryable(self) -> bool:
        return self.status in (408, 429) or self.status >= 500


class NotFoundError(ApiError):
    """404: the object, or the kind, is not there."""


class ConflictError(ApiError):
    """409: somebody changed the object meanwhile, or a precondition failed. Read again."""


class AlreadyExistsError(ConflictError):
    """409: an object of this name is already there."""


class GoneError(ApiError):
    """410: the version asked for is no longer kept. List again."""


class InvalidError(ApiError):
    """422 or 400: the object is refused; `causes` names the fields. A retry does not help."""


class ForbiddenError(ApiError):
    """403: permission, quota or an admission policy refuses it."""


class UnauthorizedError(ApiError):
    """401: the credentials are not accepted."""


class UnreachableError(ConnectionError):
    """No answer: refused, reset or timed out. The request may or may not have been carried out."""


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
    """The error that an HTTP answer means."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = None
    details = (
        parsed if isinstance(parsed, dict) else {"message": body[:500].decode(errors="replace")}
    )
    return from_status(status, details, retry_after)


def from_status(status: int, details: dict[str, Any], retry_after: str | None = None) -> ApiError:
    """The error that a Status object means, from an answer or from a watch's ERROR event."""
    reason = details.get("reason") or "Unknown"
    more = details.get("details") or {}
    seconds = retry_after if retry_after is not None else more.get("retryAfterSeconds")
    kind = AlreadyExistsError if reason == "AlreadyExists" else _BY_STATUS.get(status, ApiError)
    return kind(
        status,
        reason,
        details.get("message") or "",
        tuple(
            Cause(cause.get("field", ""), cause.get("reason", ""), cause.get("message", ""))
            for cause in more.get("causes") or ()
        ),
        _seconds(seconds),
    )


def _seconds(value: object) -> float | None:
    """Retry-After as seconds (RFC 9110 10.2.3); its date form is not used by API servers."""
    try:
        return float(str(value)) if value else None
    except ValueError:
        return None
