"""The OpenAPI document, generated once and served as bytes."""

import asyncio
import hashlib
from functools import cache
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request, Response

from aichat_workspace.api.auth.sessions.cookies import SESSION_SCHEME
from aichat_workspace.api.auth.sessions.session import CSRF_HEADER
from aichat_workspace.api.openapi.open_answers import open_answers
from aichat_workspace.api.openapi.responses import components
from aichat_workspace.api.web.limits.body_limits import JSON, MERGE_PATCH
from aichat_workspace.api.web.responses import openai_errors
from aichat_workspace.api.web.responses.etags import is_unchanged

_CSRF_PARAMETER: Final = {
    "name": CSRF_HEADER,
    "in": "header",
    "required": False,
    "description": "The session's `csrfToken`: needed with the cookie, not with a bearer token.",
    "schema": {"type": "string"},
}
_PUBLIC: Final = {"Cache-Control": "public, max-age=300"}


def add_components(app: FastAPI) -> None:
    """Add the components that the documented responses refer to."""
    generate = app.openapi

    @cache
    def openapi() -> dict[str, Any]:
        document = generate()
        known = document["components"]
        _leave_out_validation_errors(document)
        for kind, named in components().items():
            known[kind] = dict(sorted({**known.get(kind, {}), **named}.items()))
        open_answers(document)
        for methods in document["paths"].values():
            for method, operation in methods.items():
                _complete(method, operation)
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # https://fastapi.tiangolo.com/how-to/extending-openapi/


def _leave_out_validation_errors(document: dict[str, Any]) -> None:
    """Leave out the framework's 422 where OpenAI's clients are told the same as 400."""
    for path, operations in document["paths"].items():
        if openai_errors.is_openai(path):
            for operation in operations.values():
                operation["responses"].pop("422", None)
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)


def _complete(method: str, operation: dict[str, Any]) -> None:
    """Add what the framework does not see: the CSRF token, and the second format of patches."""
    if method != "get" and {SESSION_SCHEME: []} in operation.get("security", ()):
        operation.setdefault("parameters", []).append(_CSRF_PARAMETER)
    if method == "patch":
        content = operation["requestBody"]["content"]
        content[JSON] = content[MERGE_PATCH]


def serve_document(app: FastAPI) -> None:
    """Serve the document at /openapi.json, without sign-in.

    The first request generates it, in a thread: others would have to wait for a third of a second.
    """
    generating = asyncio.Lock()

    @cache
    def document() -> tuple[bytes, str]:
        body = orjson.dumps(app.openapi())
        return body, f'W/"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'

    @app.get("/openapi.json", include_in_schema=False)
    async def read_document(request: Request) -> Response:
        async with generating:  # once, for all who ask meanwhile
            body, etag = await asyncio.to_thread(document)
        if is_unchanged(etag, request.headers.get("If-None-Match")):
            return Response(status_code=304, headers={"ETag": etag, **_PUBLIC})
        return Response(body, 200, {"ETag": etag, **_PUBLIC}, JSON)
