"""Every error becomes a problem document, those of the framework and of bugs too."""

import re
from dataclasses import dataclass
from typing import Any, Final

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aichat_workspace.api.web import problems
from aichat_workspace.api.web.head_requests import has_head
from aichat_workspace.api.web.problems import MEDIA_TYPE, FieldError, ProblemError
from aichat_workspace.kube.errors import ApiError, UnreachableError

_log: Final = structlog.get_logger()
_PLACES: Final = frozenset({"body", "query", "path", "header"})


def install(app: FastAPI) -> None:
    app.add_exception_handler(ProblemError, _problem)
    app.add_exception_handler(ApiError, _cluster)
    app.add_exception_handler(UnreachableError, _cluster)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _framework)


def answer(problem: ProblemError, path: str) -> Response:
    body = orjson.dumps(problem.document(path))
    return Response(body, problem.status, problem.all_headers(), MEDIA_TYPE)


def answer_to(request: Request, error: ProblemError | ApiError | UnreachableError) -> Response:
    """The answer that the error would become by itself, for whoever has to add to it."""
    return _problem(request, error) if isinstance(error, ProblemError) else _cluster(request, error)


def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)  # noqa: S101  (registered for it alone)
    return answer(error, request.url.path)


def _cluster(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError | UnreachableError)  # noqa: S101
    problem = problems.from_cluster(error)
    if problem.status >= 500:
        _log.error("the cluster refuses", path=request.url.path, error=str(error))
    return answer(problem, request.url.path)


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    found = [
        FieldError(
            problems.path_of(
                [part for at, part in enumerate(each["loc"]) if at or part not in _PLACES]
            ),
            problems.plain(each["type"], each["msg"]),
        )
        for each in error.errors()
    ]
    return answer(problems.invalid(found), request.url.path)


def _framework(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    return answer(_of_framework(request, error), request.url.path)


def _of_framework(request: Request, error: HTTPException) -> ProblemError:
    path, headers = request.url.path, dict(error.headers or {})
    match error.status_code:
        case 400:  # what FastAPI says of a body that json can't read
            return problems.invalid([FieldError("", problems.plain("json_invalid", ""))])
        case 404:
            detail = f"There is nothing at {path}. GET /openapi.json lists what there is."
            return ProblemError(404, "no-such-path", detail)
        case 405:
            detail = f"{path} does not take {request.method}."
            allowed = {"Allow": ", ".join(_methods(request))}
            return ProblemError(405, "method-not-allowed", detail, headers=allowed)
        case status:
            return ProblemError(status, "refused", str(error.detail), headers=headers)


def _methods(request: Request) -> list[str]:
    """All that the path takes; the framework knows only those of the first route that has it."""
    paths: dict[str, dict[str, Any]] = request.app.openapi()["paths"]
    for path, methods in paths.items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/:]+", path), request.url.path):
            return _with_head({each.upper() for each in methods}, path)
    return _with_head({"GET"}, request.url.path)


def _with_head(methods: set[str], path: str) -> list[str]:
    return sorted(methods | {"HEAD"} if "GET" in methods and has_head(path) else methods)


@dataclass(frozen=True, slots=True)
class ErrorMiddleware:
    """ASGI middleware: an exception that nobody expected is a problem document as well, and counts
    like any other answer. The framework's own handler would stand outside of what counts, and pass
    the exception on to the server, which then breaks the connection."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, noted)
        except Exception:
            _log.exception("a request broke", path=scope["path"])
            if started:
                raise
            await answer(problems.bug(), scope["path"])(scope, receive, send)
