"""Responses of JSON whose content is plain already: no model has to read it again."""

import orjson
from fastapi import Response

from aichat_workspace.api.web.limits.body_limits import JSON


def json_response(
    document: object, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """Return a response with the document."""
    return Response(orjson.dumps(document), status, headers, JSON)
