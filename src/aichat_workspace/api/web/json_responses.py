"""Responses of JSON whose content is plain already: no model has to read it again."""

import orjson
from fastapi import Response

from aichat_workspace.api.web.body_limits import JSON


def json_response(document: object, headers: dict[str, str] | None = None) -> Response:
    """Return a response of 200 with the document."""
    return Response(orjson.dumps(document), 200, headers, JSON)
