"""Every error becomes a problem document, those of the framework and of bugs too."""

from typing import Final

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from aichat_workspace.api import problems
from aichat_workspace.api.problems import MEDIA_TYPE, FieldError, Problem
from aichat_workspace.kube.errors import ApiError, Unreachable

_log: Final = structlog.get_logger()
_PLACES: Final = frozenset({"body", "query", "path", "header"})


def install(app: FastAPI) -> None:
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(ApiError, _cluster)
    app.add_exception_handler(Unreachable, _cluster)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _framework)
    app.add_exception_handler(Exception, _bug)


def answer(problem: Problem, path: str) -> Response:
    body = orjson.dumps(problem.document(path))
    return Response(body, problem.status, problem.all_headers(), MEDIA_TYPE)


def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101  (registered for it alone)
    return answer(error, request.url.path)


def _cluster(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError | Unreachable)  # noqa: S101
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
    told = {
        404: f"There is nothing at {request.url.path}. GET /openapi.json lists what there is.",
        405: f"{request.url.path} does not take {request.method}.",
    }
    detail = told.get(error.status_code, str(error.detail))
    code = {404: "no-such-path", 405: "method-not-allowed"}.get(error.status_code, "refused")
    headers = dict(error.headers or {})
    return answer(Problem(error.status_code, code, detail, headers=headers), request.url.path)


def _bug(request: Request, error: Exception) -> Response:
    _log.error("a request broke", path=request.url.path, exc_info=error)
    detail = "This is a bug of the API. Its log has more; tell the platform team the time."
    return answer(Problem(500, "bug", detail), request.url.path)
