"""Problem documents (RFC 9457): every error has the same shape, and says what to do."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from itertools import islice
from typing import Any, Final

from aichat_workspace.api.web.requests.request_ids import request_id
from aichat_workspace.api.web.responses.field_errors import FieldError
from aichat_workspace.domain import names

MEDIA_TYPE: Final = "application/problem+json"
_RETRY_SECONDS: Final = 2
_MAX_ERRORS: Final = 20
# The rest of a refused body is not read, so the connection can't be used again.
_CLOSE_CONNECTION: Final = {"Connection": "close"}


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
