"""Routes for probes."""

from typing import Any, Final

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from aichat_workspace.api.dependencies import ServicesDep
from aichat_workspace.api.openapi.responses import only_problems
from aichat_workspace.api.web import problems

router = APIRouter(tags=["health"])
_OK: Final[dict[str, Any]] = {
    "description": "It is so.",
    "content": {"text/plain": {"example": "ok\n"}},
}


@router.get(
    "/healthz",
    summary="Whether the process lives",
    response_class=PlainTextResponse,
    responses={200: _OK, **only_problems()},
)
async def healthz() -> str:
    return "ok\n"


@router.get(
    "/readyz",
    summary="Whether it can serve",
    response_class=PlainTextResponse,
    responses={200: _OK, **only_problems(503)},
)
async def readyz(services: ServicesDep) -> Response:
    problem = "it stops" if services.stopping.is_set() else services.cluster.problem
    if problem:
        raise problems.unavailable(f"This replica does not serve: {problem}.")
    return PlainTextResponse("ok\n")
