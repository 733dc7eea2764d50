"""What the API answers when it does not do as asked: problem documents (RFC 9457), all of one
shape, each with what to do about it."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import islice
from typing import Any, Final

from aichat_workspace.domain import names
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
_MOST_ERRORS: Final = 20
_PASSING: Final = frozenset({408, 410, 429})  # 410: a list took longer than its pages are kept
# Of a body that is refused before its end nothing more is read, so the connection ends.
_ENDS: Final = {"Connection": "close"}
_UNKNOWN_FIELD: Final = re.compile(r'unknown field "([^"]+)"')
# Every request is made as the API itself, so a role that is lacking is always its own. Admission
# and quotas, which say no to what the caller wants, speak of no user there.
_OWN_ACCOUNT: Final = re.compile(r'forbidden: User "(?:[^"\\]|\\.)*" cannot ')


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that is wrong, by its path as in `spec.models[0]`, and what to do."""

    field: str
    message: str


@dataclass(slots=True)
class ProblemError(Exception):
    """An answer that says no. `code` is for programs, `detail` for people; a retry helps only
    where `retry_after_seconds` is given."""

    status: int
    code: str
    detail: str
    errors: Sequence[FieldError] = ()
    retry_after_seconds: int | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def document(self, instance: str) -> dict[str, Any]:
        document: dict[str, Any] = {
            "type": f"urn:{names.GROUP}:problem:{self.code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "instance": instance,
        }
        if self.errors:
            document["errors"] = [
                {"field": each.field, "message": each.message} for each in self.errors
            ]
        return document

    def all_headers(self) -> dict[str, str]:
        wait = self.retry_after_seconds
        return {**self.headers, **({"Retry-After": str(wait)} if wait is not None else {})}


def not_found(name: str) -> ProblemError:
    """The same words whether it is not there or not to be seen: existence is a secret, too."""
    return ProblemError(
        404,
        "workspace-not-found",
        f"There is no workspace {name!r}, or you may not see it. GET /api/v1/workspaces lists "
        "those that you may see.",
    )


def unauthenticated(detail: str) -> ProblemError:
    return ProblemError(401, "unauthenticated", detail, headers={"WWW-Authenticate": "Bearer"})


def forbidden(username: str, verb: str, what: str, team: str) -> ProblemError:
    return ProblemError(
        403,
        "forbidden",
        f"{username} may not {verb} {what} in team {team!r}. Ask whoever administers that "
        "namespace for a role that allows it.",
    )


def invalid(errors: Iterable[FieldError]) -> ProblemError:
    found = tuple(islice(errors, _MOST_ERRORS))
    told = "; ".join(
        f"{each.field}: {each.message}" if each.field else each.message for each in found
    )
    return ProblemError(422, "invalid", told or "The request is not valid.", errors=found)


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
        "Send If-Match with the ETag that you read, so that nobody's change is lost; or `*`.",
    )


def changing() -> ProblemError:
    """For whoever sent no If-Match, and so lost no update."""
    return ProblemError(
        409, "conflict", "The workspace keeps changing. Read it again, and repeat your change."
    )


def made_anew() -> ProblemError:
    return ProblemError(
        409,
        "conflict",
        "The workspace was deleted and made anew meanwhile. Read it again, and repeat your change "
        "if it is meant for this one, too.",
    )


def too_large(most_bytes: int) -> ProblemError:
    detail = f"The body is larger than {most_bytes} bytes; a workspace needs far less."
    return ProblemError(413, "too-large", detail, headers=_ENDS)


def too_slow(seconds: float) -> ProblemError:
    detail = f"The body did not arrive within {seconds:g} seconds. Send it again."
    return ProblemError(408, "too-slow", detail, headers=_ENDS)


def no_room() -> ProblemError:
    detail = "Too many large bodies are on their way here. Try again."
    return ProblemError(
        503, "unavailable", detail, retry_after_seconds=_RETRY_SECONDS, headers=_ENDS
    )


def unsupported(said: str, method: str, formats: Sequence[str]) -> ProblemError:
    """Accept-Patch (RFC 5789 3.1) or Accept (RFC 9110 15.5.16) says which formats are taken."""
    taken = ", ".join(formats)
    detail = (
        f"The body's Content-Type is {said or 'missing'}; {method} takes {' or '.join(formats)}."
    )
    header = "Accept-Patch" if method == "PATCH" else "Accept"
    return ProblemError(415, "unsupported-media-type", detail, headers={header: taken})


def too_many(what: str, wait_seconds: int) -> ProblemError:
    return ProblemError(429, "too-many-requests", what, retry_after_seconds=wait_seconds)


def bug() -> ProblemError:
    detail = "This is a bug of the API. Its log has more; tell the platform team the time."
    return ProblemError(500, "bug", detail)


def unavailable(detail: str, code: str = "unavailable") -> ProblemError:
    return ProblemError(503, code, detail, retry_after_seconds=_RETRY_SECONDS)


def stops() -> ProblemError:
    return unavailable("The server stops. Ask again.")


TOLD: Final = (ProblemError, ApiError, UnreachableError)
"""What whoever asked is told of; anything else is a bug."""


def of(error: ProblemError | ApiError | UnreachableError) -> ProblemError:
    return error if isinstance(error, ProblemError) else from_cluster(error)


def from_cluster(error: ApiError | UnreachableError) -> ProblemError:  # noqa: PLR0911  (a table of answers)
    """What an answer of the API server means for whoever asked us."""
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
    if isinstance(error, ForbiddenError) and not _OWN_ACCOUNT.search(error.message):
        return ProblemError(403, "refused", error.message)
    if error.status in _PASSING or error.status >= 500:
        return unavailable(f"The Kubernetes API server is busy or in trouble: {error.message}")
    return ProblemError(
        500,
        "misconfigured",
        "The API's own account lacks a permission. The platform team should apply config/default "
        "again.",
    )


def _fields(error: ApiError) -> Iterable[FieldError]:
    if error.causes:
        return [FieldError(each.field.strip(), each.message) for each in error.causes]
    unknown = _UNKNOWN_FIELD.findall(error.message)
    if unknown:
        return [FieldError(each, "there is no such field; check its spelling") for each in unknown]
    return [FieldError("", error.message)]


def path_of(location: Sequence[str | int]) -> str:
    """A location in a body or query as `spec.models[0]`."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def plain(kind: str, message: str) -> str:
    """pydantic's words, where they need no other."""
    return {
        "missing": "required",
        "extra_forbidden": "there is no such field; check its spelling",
        "json_invalid": "the body is not JSON",
        "model_attributes_type": "write a JSON object, with Content-Type: application/json",
    }.get(kind, message)
