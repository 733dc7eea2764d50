"""The console beside the API: it answers what the API has no path for."""

from contextlib import ExitStack

from fastapi import FastAPI
from starlette.requests import Request
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from aichat_workspace.console.routes import HELD, NOT_FOUND, Hold, Routes


def mount(api: FastAPI, *, has_provider: bool, hold: Hold) -> None:
    """Serve the console at `/`. The API's own paths come first, whenever they are added.

    `hold` counts a page for its person until it is sent.
    """
    routes = Routes(api, has_provider, hold)
    known, not_found = routes.all(), api.router.default

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        for route in known:
            match, child_scope = route.matches(scope)
            if match is Match.FULL:
                scope.update(child_scope)
                scope["route"] = route  # metrics count by it
                with ExitStack() as scope[HELD]:
                    await route.handle(scope, receive, send)
                return
        if _wants_page(scope):
            response = routes.problem_page(Request(scope), NOT_FOUND)
            await response(scope, receive, send)
            return
        await not_found(scope, receive, send)

    api.router.default = answer


def _wants_page(scope: Scope) -> bool:
    """Return whether a person follows a link to something that is no part of the API."""
    if scope["type"] != "http" or scope["path"].startswith("/api/"):
        return False
    return "text/html" in Request(scope).headers.get("Accept", "")
