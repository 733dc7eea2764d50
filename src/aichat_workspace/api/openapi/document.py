"""The OpenAPI document, made once and served as bytes."""

import hashlib
from functools import cache
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response

from aichat_workspace.api.openapi.responses import components
from aichat_workspace.api.web.body_limits import JSON
from aichat_workspace.api.web.etags import unchanged


class Documented(FastAPI):
    """With what the answers in its document refer to."""

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        known = document["components"]
        for kind, named in components().items():
            known[kind] = dict(sorted({**known.get(kind, {}), **named}.items()))
        return document


def serve_document(app: FastAPI) -> None:
    """At /openapi.json, for whoever asks."""

    @cache
    def document() -> tuple[bytes, str]:
        body = orjson.dumps(app.openapi())
        return body, f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'

    @app.get("/openapi.json", include_in_schema=False)
    async def read_document(request: Request) -> Response:
        body, etag = document()
        if unchanged(etag, request.headers.get("If-None-Match")):
            return Response(status_code=304, headers={"ETag": etag})
        return Response(body, 200, {"ETag": etag}, JSON)
