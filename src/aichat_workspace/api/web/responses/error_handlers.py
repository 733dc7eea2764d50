"""Turn every error into a problem document, including the framework's and unexpected ones."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aichat_workspace.api.web.requests.head_requests import has_head
from aichat_workspace.api.web.responses import cluster_errors, field_errors, openai_errors, problems
from aichat_workspace.api.web.responses.field_errors import FieldError
from aichat_workspace.api.web.responses.problems import MEDIA_TYPE, ProblemError
from aichat_workspace.kube.errors import ApiError, UnreachableError

_log: Final = structlog.get_logger()
_LOCATIONS: Final = frozenset({"body", "query", "path", "header"})


def install(app: FastAPI) -> None:
    """Register the handlers of all known errors."""
    app.add_exception_handler(ProblemError, _without_thread(_on_problem))
    app.add_exception_handler(ApiError, _without_thread(_on_cluster_error))
    app.add_exception_handler(UnreachableError, _without_thread(_on_cluster_error))
    app.add_exception_handler(RequestValidationError, _without_thread(_on_invalid_request))
    app.add_exception_handler(HTTPException, _without_thread(_on_framework_error))


def _without_thread(
    handler: Callable[[Request, Exception], Response],
) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Return an async handler: the framework would call another one in a thread."""

    async def handle(request: Request, error: Exception) -> Response:
        return handler(request, error)

    return handle


def problem_response(problem: ProblemError, path: str) -> Response:
    """Return the response for a problem, in the shape that the path's clients know."""
    if openai_errors.is_openai(path):
        return Response(
            orjson.dumps(openai_errors.document(problem)),
            openai_errors.status(problem),
            openai_errors.headers(problem),
            openai_errors.MEDIA_TYPE,
        )
    body = orjson.dumps(problem.document(path))
    return Response(body, problem.status, problem.all_headers(), MEDIA_TYPE)


def error_response(request: Request, error: ProblemError | ApiError | UnreachableError) -> Response:
    """Return the response that the error would become, for routes that add headers to it."""
    if isinstance(error, ProblemError):
        return _on_problem(request, error)
    return _on_cluster_error(request, error)


def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)  # noqa: S101  (registered for it alone)
    return problem_response(error, request.url.path)


def _on_cluster_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError | UnreachableError)  # noqa: S101
    problem = cluster_errors.from_cluster(error)
    if problem.status >= 500:
        _log.error("the cluster refuses", path=request.url.path, error=str(error))
    return problem_response(problem, request.url.path)


def _on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    fields = [
        FieldError(
            field_errors.path_of(
                [
                    part
                    for index, part in enumerate(detail["loc"])
                    if index or part not in _LOCATIONS
                ]
            ),
            field_errors.plain_message(detail["type"], detail["msg"]),
        )
        for detail in error.errors()
    ]
    return problem_response(problems.invalid(fields), request.url.path)


def _on_framework_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    return problem_response(_framework_problem(request, error), request.url.path)


def _framework_problem(request: Request, error: HTTPException) -> ProblemError:
    path, headers = request.url.path, dict(error.headers or {})
    match error.status_code:
        case 400:  # FastAPI's answer to a body that is not JSON
            return problems.invalid(
                [FieldError("", field_errors.plain_message("json_invalid", ""))]
            )
        case 404:
            detail = f"There is nothing at {path}. GET /openapi.json lists what there is."
            return ProblemError(404, "no-such-path", detail)
        case 405:
            detail = f"{path} does not take {request.method}."
            allowed = {"Allow": ", ".join(_allowed_methods(request))}
            return ProblemError(405, "method-not-allowed", detail, headers=allowed)
        case status:
            return ProblemError(status, "refused", str(error.detail), headers=headers)


def _allowed_methods(request: Request) -> list[str]:
    """Return all methods of the path; the framework knows only those of its first route."""
    routes = iter_route_contexts(request.app.routes)
    matching = (route for route in routes if route.matches(request.scope)[0] is not Match.NONE)
    methods = {method for route in matching for method in route.methods or ()}
    if "GET" in methods and has_head(request.url.path):
        methods.add("HEAD")
    return sorted(methods)


@dataclass(frozen=True, slots=True)
class ErrorMiddleware:
    """ASGI middleware: turns an unexpected exception into a problem document.

    The framework's own handler would run outside the metrics middleware, and pass the exception on
    to the server, which breaks the connection.
    """

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        has_started = False

        async def noting_send(message: Message) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        try:
            await self.app(scope, receive, noting_send)
        except ClientDisconnect:
            return  # no one is there to answer
        except Exception:
            _log.exception("request crashed", path=scope["path"])
            if has_started:
                raise
            await problem_response(problems.bug(), scope["path"])(scope, receive, send)
