"""The problems in the OpenAPI document: each once, with its headers and an example."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from aichat_workspace.api.schemas.openai import OpenAIErrorDocument
from aichat_workspace.api.schemas.problem import ProblemDocument
from aichat_workspace.api.schemas.workspace import PartialWorkspaceList
from aichat_workspace.api.settings import Bounds
from aichat_workspace.api.web.limits.body_limits import BODY_SECONDS, FORMATS
from aichat_workspace.api.web.limits.connection_limits import MAX_HEAD_BYTES
from aichat_workspace.api.web.responses import openai_errors, problems
from aichat_workspace.api.web.responses.field_errors import FieldError
from aichat_workspace.api.web.responses.problems import MEDIA_TYPE, ProblemError
from aichat_workspace.api.web.responses.streaming import EVENT_STREAM

_DESCRIPTIONS: Final = {
    401: "The token is missing or not accepted.",
    403: "The caller may not do that.",
    404: "It is not there, or the caller may not see it.",
    408: "The body did not arrive in time.",
    409: "It can't be done in the present state.",
    412: "It has changed since it was read.",
    413: "The body is too large.",
    415: "The body is of another format.",
    422: "The request is not valid; `errors` names the fields.",
    428: "If-Match is missing.",
    429: "Too many requests, lists or streams; Retry-After says how long to wait.",
    431: "The request's head is too large.",
    500: "A bug or a misconfiguration; the log says more.",
    502: "The model server, the chat, or the identity provider refuses.",
    503: "The cluster, the model server or the chat does not answer; try again.",
    504: "It takes too long to wait for it.",
}
_REQUEST_ID: Final = "5f2b8c0e9a1d4e7f8b3c6d2a1e0f9b7c"
_INSTANCE: Final = "/api/v1/workspaces/team-a-aichat"
_EXAMPLES: Final[Mapping[int, ProblemError]] = {
    401: problems.session_ended("/api/v1/session/login?next=/"),
    403: problems.forbidden("ann", "delete", "aichatworkspaces", "team-a"),
    404: problems.not_found("team-a-aichat"),
    408: problems.too_slow(BODY_SECONDS),
    409: problems.changing(),
    412: problems.precondition_failed(),
    413: problems.too_large(Bounds().body_bytes),
    415: problems.unsupported("text/plain", "POST", FORMATS["POST"]),
    422: problems.invalid(
        [FieldError("spec.modles", "there is no such field; check its spelling")]
    ),
    428: problems.if_match_missing(),
    429: problems.too_many("You have 20 streams open; end one first.", 5),
    431: problems.head_too_large(MAX_HEAD_BYTES),
    500: problems.bug(),
    502: ProblemError(502, "model-error", "The model server refuses: no space left on device"),
    503: problems.unavailable("The Kubernetes API server does not answer. Try again."),
    504: ProblemError(
        504, "takes-too-long", "The reply took longer than 5 minutes. Ask with `stream`."
    ),
}
_HEADERS: Final[Mapping[str, tuple[str, str, tuple[int, ...]]]] = {
    "WWW-Authenticate": ("string", "How to authenticate.", (401,)),
    "Retry-After": ("integer", "Seconds to wait before another try.", (429, 503)),
    "Accept": ("string", "The formats that POST and PUT take.", (415,)),
    "Accept-Patch": ("string", "The formats that PATCH takes.", (415,)),
}
# What is in front of every route answers with these: limits of heads and bodies, unexpected errors.
_EVERYWHERE: Final = (408, 413, 431, 500)
_ALWAYS: Final = (401, 403, 422, 429, 503)


def responses(*codes: int) -> dict[int | str, dict[str, Any]]:
    """Return the problem documents of a route: these and those of every route."""
    return only_problems(*codes, *_ALWAYS)


def only_problems(*codes: int) -> dict[int | str, dict[str, Any]]:
    """Return the problem documents of a route without a caller: these and the middleware's."""
    return {code: _response(code) for code in sorted({*codes, *_EVERYWHERE})}


def _response(code: int) -> dict[str, Any]:
    headers = {
        name: {"$ref": f"#/components/headers/{name}"}
        for name, (_, _, codes) in _HEADERS.items()
        if code in codes
    }
    content = {
        "schema": {"$ref": f"#/components/schemas/{ProblemDocument.__name__}"},
        "examples": {_example(code): {"$ref": f"#/components/examples/{_example(code)}"}},
    }
    return {
        "description": _DESCRIPTIONS[code],
        **({"headers": headers} if headers else {}),
        "content": {MEDIA_TYPE: content},
    }


def openai_responses(*codes: int) -> dict[int | str, dict[str, Any]]:
    """Return the errors of a route for OpenAI's clients: these and those of every route."""
    documented = {*codes, *_ALWAYS, *_EVERYWHERE, 400, 404} - {422}
    return {code: _openai_response(code) for code in sorted(documented)}


def _openai_response(code: int) -> dict[str, Any]:
    known = 422 if code == 400 else code
    problem = _EXAMPLES[known]
    response = _response(known)
    # A path that no route has, and a head that is too large, never come to the route.
    others = response["content"] if code in (404, 431) else {}
    return {
        **response,
        "content": {
            **others,
            openai_errors.MEDIA_TYPE: {
                "schema": {"$ref": f"#/components/schemas/{OpenAIErrorDocument.__name__}"},
                "example": openai_errors.document(problem),
            },
        },
    }


def _example(code: int) -> str:
    return _EXAMPLES[code].code


@cache
def components() -> dict[str, dict[str, Any]]:
    """Return the components that the responses refer to."""
    schemas: dict[str, Any] = {}
    unseen = (ProblemDocument, OpenAIErrorDocument, PartialWorkspaceList)
    for model in unseen:  # the framework sees no route with them
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= {**schema.pop("$defs", {}), model.__name__: schema}
    return {
        "schemas": schemas,
        "examples": {
            problem.code: {
                "summary": _DESCRIPTIONS[code],
                "value": {**problem.document(_INSTANCE), "requestId": _REQUEST_ID},
            }
            for code, problem in _EXAMPLES.items()
        },
        "headers": {
            name: {"description": description, "schema": {"type": kind}}
            for name, (kind, description, _) in _HEADERS.items()
        },
    }


def event_stream(example: str, *events: str) -> dict[str, Any]:
    """Describe the content of a stream.

    OpenAPI 3.1 has no words for streams: the schema is that of one event, the example is the whole
    stream.
    """
    schema = {
        "type": "object",
        "description": "One event of the stream.",
        "properties": {
            "event": {"type": "string", "enum": events, "description": "What it tells."},
            "data": {"type": "string", "description": "JSON."},
            "id": {"type": "string", "description": "For Last-Event-ID."},
            "retry": {"type": "integer", "description": "Milliseconds until a new connection."},
        },
    }
    return {EVENT_STREAM: {"schema": schema, "example": example}}
