"""Problem documents (RFC 9457): every error has the same shape, and says what to do."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from itertools import islice
from typing import Any, Final

from aichat_workspace.api.web.requests.request_ids import request_id
from aichat_workspace.domain import names
from aichat_workspace.domain.v1alpha1.backup import BACKUP_NAME_PATTERN
from aichat_workspace.kube.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    UnreachableError,
)

MEDIA_TYPE: Final = "application/problem+json"
_RETRY_SECONDS: Final = 2
_MAX_ERRORS: Final = 20
# 410: a list took longer than its pages are kept.
_TRANSIENT_STATUSES: Final = frozenset({408, 410, 429})
# The rest of a refused body is not read, so the connection can't be used again.
_CLOSE_CONNECTION: Final = {"Connection": "close"}
_FORMS: Final = {
    names.WORKSPACE_NAME_PATTERN: "write lower-case letters, digits and hyphens; begin with a "
    "letter, and end with no hyphen",
    names.EMAIL_PATTERN: "write an address, as bo@example.org",
    f"^{BACKUP_NAME_PATTERN}$": "write a backup's name, as 20261201T023000Z-1a2b3c4d",
}
"""What texts with these patterns look like, for people."""
_UNKNOWN_FIELD: Final = re.compile(r'unknown field "([^"]+)"')
_IPV4: Final = r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?![\w.]*\w)"
_IPV6: Final = r"\[[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*\](?::\d+)?"
_NAME: Final = r"(?<![\w.-])[\w-]+(?:\.[\w-]+)*\.svc(?:\.[\w-]+)*(?::\d+)?"
_ADDRESS: Final = re.compile(f"{_IPV4}|{_IPV6}|{_NAME}")
# Every request is made as the API itself, so a missing role is always its own. Admission and quotas
# refuse what the caller wants, and do not name a user in this way.
_MISSING_ROLE: Final = re.compile(r'forbidden: User "(?:[^"\\]|\\.)*" cannot ')


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that is wrong."""

    field: str
    """Its path, as `spec.models[0]`; empty for the whole body."""
    message: str
    """What is wrong and what to do."""


@dataclass(slots=True)
class ProblemError(Exception):
    """A refusal that the caller gets as a problem document."""

    status: int
    """The HTTP status."""
    code: str
    """The kind of problem, for programs."""
    detail: str
    """What is wrong and what to do, for people."""
    errors: Sequence[FieldError] = ()
    """The fields that are wrong."""
    retry_after_seconds: int | None = None
    """When to retry; a retry helps only where this is set."""
    login: str | None = None
    """The path where a browser signs in again."""
    headers: dict[str, str] = field(default_factory=dict)

    def document(self, instance: str) -> dict[str, Any]:
        """Return the problem document; `instance` is the request's path."""
        document: dict[str, Any] = {
            "type": f"urn:{names.GROUP}:problem:{self.code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "instance": instance,
            "requestId": request_id(),
        }
        if self.login is not None:
            document["login"] = self.login
        if self.errors:
            document["errors"] = [
                {"field": error.field, "message": error.message} for error in self.errors
            ]
        return document

    def all_headers(self) -> dict[str, str]:
        """Return the response's headers, with Retry-After."""
        wait = self.retry_after_seconds
        return {**self.headers, **({"Retry-After": str(wait)} if wait is not None else {})}


def not_found(name: str) -> ProblemError:
    """Return the problem for a missing or hidden workspace: its existence is secret, too."""
    return ProblemError(
        404,
        "workspace-not-found",
        f"There is no workspace {name!r}, or you may not see it. GET /api/v1/workspaces lists "
        "those that you may see.",
    )


def unauthenticated(detail: str) -> ProblemError:
    return ProblemError(401, "unauthenticated", detail, headers={"WWW-Authenticate": "Bearer"})


def no_credential(audience: str, login: str | None) -> ProblemError:
    """Return the problem for a request without token or session."""
    problem = unauthenticated(
        "Send a token: `Authorization: Bearer TOKEN`. `kubectl create token SERVICE_ACCOUNT "
        f"--audience {audience}` makes one. Browsers sign in at {login or '/api/v1/session'}."
    )
    return replace(problem, login=login)


def session_ended(login: str | None) -> ProblemError:
    """Return the problem for a browser whose session is over."""
    where = login or "/api/v1/session"
    problem = unauthenticated(f"The session has ended. Sign in again at {where}.")
    return replace(problem, code="session-ended", login=login)


def forbidden(username: str, verb: str, what: str, team: str) -> ProblemError:
    return ProblemError(
        403,
        "forbidden",
        f"{username} may not {verb} {what} in team {team!r}. Ask an administrator of that "
        "namespace for a role that allows it.",
    )


def no_team_at_all(username: str) -> ProblemError:
    return ProblemError(
        403,
        "forbidden",
        f"{username} may not list aichatworkspaces in any team. Ask an administrator of a team's "
        "namespace for a role that allows it.",
    )


def not_every_team(username: str) -> ProblemError:
    return ProblemError(
        403,
        "forbidden",
        f"{username} may not list aichatworkspaces in every team. Ask for one team's with "
        "GET /api/v1/teams/TEAM/usage, or an administrator of the cluster for a ClusterRoleBinding "
        "that allows it.",
    )


def not_the_platform(username: str, verb: str) -> ProblemError:
    return ProblemError(
        403,
        "forbidden",
        f"{username} may not {verb} aichatplatforms. Ask an administrator of the cluster for a "
        "ClusterRole that allows it.",
    )


def no_platform() -> ProblemError:
    return ProblemError(
        409,
        "no-platform",
        "There is no AIChatPlatform, so nothing can be paused. Create it with `kubectl apply`; an "
        "empty spec has the defaults.",
    )


def no_such_team(team: str) -> ProblemError:
    return ProblemError(
        404, "team-not-found", f"There is no team {team!r}. GET /api/v1/me lists yours."
    )


def invalid(errors: Iterable[FieldError]) -> ProblemError:
    reported = tuple(islice(errors, _MAX_ERRORS))
    detail = "; ".join(
        f"{error.field}: {error.message}" if error.field else error.message for error in reported
    )
    return ProblemError(422, "invalid", detail or "The request is not valid.", errors=reported)


def no_model(message: str) -> ProblemError:
    """Return the problem for a model that the workspace's server does not have."""
    error = FieldError("model", message)
    return ProblemError(422, "model-not-found", f"model: {message}", errors=(error,))


def precondition_failed() -> ProblemError:
    return ProblemError(
        412,
        "precondition-failed",
        "The workspace has changed since you read it. Read it again, and send the new ETag in "
        "If-Match.",
    )


def if_match_missing() -> ProblemError:
    return ProblemError(
        428,
        "precondition-required",
        "Send If-Match with the ETag that you read, so no change is lost; or `*`.",
    )


def changing() -> ProblemError:
    """Return the problem for a change without If-Match that conflicted too often."""
    return ProblemError(
        409, "conflict", "The workspace keeps changing. Read it again, and repeat your change."
    )


def recreated() -> ProblemError:
    return ProblemError(
        409,
        "conflict",
        "The workspace was deleted and created again meanwhile. Read it again, and repeat your "
        "change if it is meant for this one, too.",
    )


def too_large(max_bytes: int) -> ProblemError:
    detail = f"The body is larger than {max_bytes} bytes; a workspace needs far less."
    return ProblemError(413, "too-large", detail, headers=_CLOSE_CONNECTION)


def too_slow(seconds: float) -> ProblemError:
    detail = f"The body did not arrive within {seconds:g} seconds. Send it again."
    return ProblemError(408, "too-slow", detail, headers=_CLOSE_CONNECTION)


def head_too_large(max_bytes: int) -> ProblemError:
    detail = (
        f"The request's head is larger than {max_bytes} bytes. Send a shorter token, or remove "
        "cookies of other sites."
    )
    return ProblemError(431, "head-too-large", detail, headers=_CLOSE_CONNECTION)


def head_too_slow(seconds: float) -> ProblemError:
    detail = f"The request's head did not arrive within {seconds:g} seconds. Send it again."
    return ProblemError(408, "too-slow", detail, headers=_CLOSE_CONNECTION)


def read_too_slowly(seconds: float) -> ProblemError:
    detail = f"The list was not read within {seconds:g} seconds. Ask for fewer with `limit`."
    return ProblemError(408, "too-slow", detail)


def no_room() -> ProblemError:
    detail = "Too many large bodies are on their way here. Try again."
    return ProblemError(
        503, "unavailable", detail, retry_after_seconds=_RETRY_SECONDS, headers=_CLOSE_CONNECTION
    )


def no_room_for_answer() -> ProblemError:
    detail = (
        "Too many whole answers are under way, of all callers. Ask with `stream`, for less in one "
        "request, or try again."
    )
    return ProblemError(503, "unavailable", detail, retry_after_seconds=_RETRY_SECONDS)


def unsupported(content_type: str, method: str, formats: Sequence[str]) -> ProblemError:
    """Accept-Patch (RFC 5789 3.1) or Accept (RFC 9110 15.5.16) says which formats are taken."""
    accepted = ", ".join(formats)
    detail = (
        f"The body's Content-Type is {content_type or 'missing'}; {method} takes "
        f"{' or '.join(formats)}."
    )
    header = "Accept-Patch" if method == "PATCH" else "Accept"
    return ProblemError(415, "unsupported-media-type", detail, headers={header: accepted})


def too_many(what: str, wait_seconds: int) -> ProblemError:
    return ProblemError(429, "too-many-requests", what, retry_after_seconds=wait_seconds)


def bug() -> ProblemError:
    detail = "This is a bug of the API. Its log has more; tell the platform team the time."
    return ProblemError(500, "bug", detail)


def unavailable(detail: str, code: str = "unavailable") -> ProblemError:
    return ProblemError(503, code, detail, retry_after_seconds=_RETRY_SECONDS)


def server_stopping() -> ProblemError:
    return unavailable("The server stops. Ask again.")


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


def path_of(location: Sequence[str | int]) -> str:
    """Format a location in a body or query as `spec.models[0]`."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def plain_message(kind: str, message: str) -> str:
    """Return pydantic's message, or a clearer one for its kind."""
    if kind == "string_pattern_mismatch":
        forms = (form for pattern, form in _FORMS.items() if f"'{pattern}'" in message)
        return next(forms, message)
    return {
        "missing": "required",
        "extra_forbidden": "there is no such field; check its spelling",
        "json_invalid": "the body is not JSON",
        "model_attributes_type": "write a JSON object, with Content-Type: application/json",
    }.get(kind, message)
