"""What every route may answer, for OpenAPI."""

from typing import Any, Final

from aichat_workspace.api.problems import MEDIA_TYPE
from aichat_workspace.api.schemas import ProblemDocument

_MEANINGS: Final = {
    401: "The token is missing or not accepted.",
    403: "The caller may not do that.",
    404: "It is not there, or the caller may not see it.",
    405: "The path does not take this method.",
    409: "It can't be done in the present state.",
    412: "It has changed since it was read.",
    413: "The body is too large.",
    422: "The request is not valid; `errors` names the fields.",
    428: "If-Match is missing.",
    429: "Too many requests, lists or streams; Retry-After says how long to wait.",
    500: "A bug or a misconfiguration; the log says more.",
    502: "The model server, or the identity provider, refuses.",
    503: "The cluster or the model server does not answer; try again.",
    504: "The reply takes too long to wait for it whole.",
}
_ALWAYS: Final = (401, 403, 422, 429, 500, 503)


def answers(*codes: int) -> dict[int | str, dict[str, Any]]:
    """The problem documents of a route: these, and those that every route has."""
    return only_problems(*codes, *_ALWAYS)


def only_problems(*codes: int) -> dict[int | str, dict[str, Any]]:
    return {
        code: {
            "model": ProblemDocument,
            "description": _MEANINGS[code],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
        }
        for code in sorted(set(codes))
    }


def server_sent(*events: str) -> dict[str, Any]:
    """The content of a stream. OpenAPI 3.1 has no words for it; the schema is that of one event."""
    schema = {
        "type": "object",
        "description": "One event of the stream.",
        "properties": {
            "event": {"type": "string", "enum": events},
            "data": {"type": "string", "description": "JSON."},
            "id": {"type": "string"},
            "retry": {"type": "integer"},
        },
    }
    return {"text/event-stream": {"schema": schema}}
