"""What concerns all workspaces: who you are, what to choose from, what the platform sets."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response
from fastapi.responses import PlainTextResponse

from aichat_workspace.api import problems
from aichat_workspace.api.access import EVERYWHERE, Deed
from aichat_workspace.api.answers import answers, only_problems
from aichat_workspace.api.identity import Caller
from aichat_workspace.api.queries import Nothing as NoQuery
from aichat_workspace.api.schemas import (
    Ceilings,
    Defaults,
    Identity,
    ModelList,
    ModelUse,
    PatternDocument,
    PatternList,
    PlatformDocument,
    TeamRights,
)
from aichat_workspace.api.wiring import Authenticated, Services, Use, Who
from aichat_workspace.domain.errors import InvalidModelName
from aichat_workspace.domain.models import parse_model
from aichat_workspace.domain.platform import PlatformSpec, Share
from aichat_workspace.domain.spec import NO_MODEL

router = APIRouter(prefix="/api/v1", tags=["platform"], dependencies=Authenticated)
health = APIRouter(tags=["health"])

Nothing = Annotated[NoQuery, Query()]
_OK: Final[dict[str, Any]] = {
    "description": "It is so.",
    "content": {"text/plain": {"example": "ok\n"}},
}

_DEEDS: Final = (
    *(Deed(verb) for verb in ("create", "get", "list", "watch", "update", "patch", "delete")),
    Deed("get", subresource="log"),
    Deed("create", subresource="prompt"),
    Deed("get", subresource="credentials"),
)


@router.get("/me", summary="Who you are and what you may do", responses=answers())
async def read_me(who: Who, use: Use, _: Nothing) -> Identity:
    """By Kubernetes' own decision, in every team that there is."""
    everywhere = (await _allowed(who, use, [EVERYWHERE], _DEEDS))[EVERYWHERE]
    rest = [each for each in _DEEDS if each not in everywhere]
    teams = sorted(use.directory.all_teams()) if rest else []
    rights = await _allowed(who, use, teams, rest)
    return Identity(
        username=who.username,
        groups=who.groups,
        everywhere=tuple(map(_said, everywhere)),
        teams=tuple(
            TeamRights(team=team, verbs=tuple(map(_said, found)))
            for team, found in rights.items()
            if found
        ),
    )


async def _allowed(
    who: Caller, use: Services, teams: Sequence[str], deeds: Sequence[Deed]
) -> dict[str, list[Deed]]:
    """Of each team, those of the deeds that are allowed in it."""
    asked = [(team, each) for team in teams for each in deeds]
    answers = await use.access.may_each(who, [replace(each, team=team) for team, each in asked])
    allowed: dict[str, list[Deed]] = {team: [] for team in teams}
    for (team, each), yes in zip(asked, answers, strict=True):
        if yes:
            allowed[team].append(each)
    return allowed


def _said(deed: Deed) -> str:
    return f"{deed.verb} {deed.what}" if deed.subresource else deed.verb


@router.get("/patterns", summary="System prompts to choose from", responses=answers())
async def list_patterns(_: Who, use: Use, __: Nothing) -> PatternList:
    """Built-in ones, and those of the platform team's ConfigMaps."""
    found = sorted(use.directory.prompts().items())
    return PatternList(
        items=tuple(
            PatternDocument(name=name, prompt=prompt, origin=origin)
            for name, (prompt, origin) in found
        )
    )


@router.get("/models", summary="Models to choose from", responses=answers())
async def list_models(who: Who, use: Use, _: Nothing) -> ModelList:
    """Any model of an allowed registry may be named; these are in use already, in workspaces that
    you may see."""
    platform = use.directory.platform()
    scope = await use.access.scope(who, "list", use.directory.teams_with_workspaces)
    chosen = Counter(
        _listed(model)
        for view in use.directory.sorted_from(("", "", ""))
        if view.team in scope
        for model in view.document["spec"].get("models", ())
    )
    return ModelList(
        allowed_registries=platform.models.allowed_registries,
        embedding_model=_embedding_model(platform),
        in_use=tuple(
            ModelUse(name=name, workspaces=count)
            for name, count in sorted(chosen.items(), key=lambda each: (-each[1], each[0]))
        ),
    )


@router.get("/platform", summary="The platform's settings", responses=answers())
async def read_platform(_: Who, use: Use, __: Nothing) -> PlatformDocument:
    """Those that matter to whoever makes a workspace."""
    platform = use.directory.platform()
    ingress = platform.ingress
    return PlatformDocument(
        domain=ingress.domain,
        allowed_domains=ingress.allowed_domains,
        ceiling=Ceilings(**platform.ceiling.model_dump()),
        ollama=_defaults(platform.ollama),
        open_webui=_defaults(platform.open_webui),
        embedding_model=_embedding_model(platform),
        allowed_registries=platform.models.allowed_registries,
        tls=ingress.issuer is not None or ingress.default_certificate,
        version=use.settings.version,
    )


def _listed(model: str) -> str:
    """As servers list it, or as it was let through by a cluster that asks for less."""
    try:
        return str(parse_model(model))
    except InvalidModelName:
        return model


def _defaults(share: Share) -> Defaults:
    return Defaults(**share.model_dump())


def _embedding_model(platform: PlatformSpec) -> str | None:
    chosen = platform.models.embedding_model
    return None if chosen == NO_MODEL else chosen


@health.get(
    "/healthz",
    summary="Whether the process lives",
    response_class=PlainTextResponse,
    responses={200: _OK, **only_problems()},
)
async def healthz() -> str:
    return "ok\n"


@health.get(
    "/readyz",
    summary="Whether it can serve",
    response_class=PlainTextResponse,
    responses={200: _OK, **only_problems(503)},
)
async def readyz(use: Use) -> Response:
    problem = "it stops" if use.stopping.is_set() else use.directory.problem
    if problem:
        raise problems.unavailable(f"This replica does not serve: {problem}.")
    return PlainTextResponse("ok\n")
