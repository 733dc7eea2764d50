"""Requests are exact: what would be ignored is refused, so a mistyped request changes nothing."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from fastapi import Request
from fastapi.routing import APIRoute

from aichat_workspace.api.web.responses import problems
from aichat_workspace.api.web.responses.field_errors import FieldError

_NO_BODY: Final = "this operation takes no body; leave it out, and write options as parameters"
_TWICE: Final = "it stands twice; write it once"


async def require_exact(request: Request) -> None:
    """Refuse repeated parameters, repeated members of JSON objects, and a body where none belongs.

    RFC 8259 4 leaves repeated members to the reader. Raises ProblemError (422) with each field.
    """
    errors = [FieldError(name, _TWICE) for name in _repeated(request.query_params.multi_items())]
    route = request.scope.get("route")
    if body := await request.body():
        takes_body = isinstance(route, APIRoute) and route.body_field is not None
        errors += _repeated_members(body) if takes_body else [FieldError("", _NO_BODY)]
    if errors:
        raise problems.invalid(errors)


def _repeated(pairs: Iterable[tuple[str, Any]]) -> list[str]:
    return [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]


def _repeated_members(body: bytes) -> list[FieldError]:
    """Return an error for each repeated member. What is no JSON is refused elsewhere."""
    repeated: dict[str, None] = {}

    def note(pairs: Sequence[tuple[str, Any]]) -> None:
        repeated.update(dict.fromkeys(_repeated(pairs)))

    try:
        json.loads(body, object_pairs_hook=note)
    except (ValueError, RecursionError):
        return []
    return [FieldError(name, _TWICE) for name in repeated]
