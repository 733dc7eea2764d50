"""Routes for the platform: patterns and models to choose from, and its settings."""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from aichat_workspace.api.auth.authorization import Scope
from aichat_workspace.api.dependencies import AUTHENTICATED, CurrentCaller, ServicesDep
from aichat_workspace.api.openapi.responses import responses
from aichat_workspace.api.routes.queries import NoQuery
from aichat_workspace.api.schemas.platform import (
    Ceilings,
    Choices,
    Defaults,
    ModelList,
    ModelUse,
    PatternDocument,
    PatternList,
    PlatformDocument,
)
from aichat_workspace.api.web import problems
from aichat_workspace.domain.models.name import InvalidModelNameError, model_key, parse_model
from aichat_workspace.domain.models.status import ModelState
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec, Share
from aichat_workspace.domain.v1alpha1.workspace_spec import NO_MODEL

router = APIRouter(prefix="/api/v1", tags=["platform"], dependencies=AUTHENTICATED)


async def get_listed_teams(caller: CurrentCaller, services: ServicesDep) -> Scope:
    """Return the teams whose workspaces the caller may list.

    The platform's settings are for people who have a team. Raises ProblemError (403) for others.
    """
    scope = await services.authorizer.scope(caller, "list", services.cluster.all_teams)
    if not scope:
        raise problems.no_team_at_all(caller.username)
    return scope


ListedTeams = Annotated[Scope, Depends(get_listed_teams)]


@router.get("/patterns", summary="System prompts to choose from", responses=responses())
async def list_patterns(
    _: ListedTeams, services: ServicesDep, __: Annotated[NoQuery, Query()]
) -> PatternList:
    """Built-in ones, and those of the platform team's ConfigMaps. Needs `list` on aichatworkspaces
    in any team."""
    prompts = sorted(services.cluster.prompts().items())
    return PatternList(
        items=tuple(
            PatternDocument(name=name, prompt=prompt, origin=origin)
            for name, (prompt, origin) in prompts
        )
    )


@router.get("/models", summary="Models to choose from", responses=responses())
async def list_models(
    scope: ListedTeams, services: ServicesDep, _: Annotated[NoQuery, Query()]
) -> ModelList:
    """Any model of an allowed registry may be named; these are used by workspaces that you may
    see. Needs `list` on aichatworkspaces in any team."""
    platform = services.cluster.platform()
    counts: Counter[str] = Counter()
    sizes: dict[str, int] = {}
    for view in services.cluster.sorted_from(("", "", "")):
        if view.team in scope:
            models = view.document["spec"].get("models", ())
            counts.update(model_key(_canonical_name(model)) for model in models)
            sizes |= _sizes(view.document["status"])
    return ModelList(
        allowed_registries=platform.models.allowed_registries,
        embedding_model=_embedding_model(platform),
        in_use=tuple(
            ModelUse(name=name, workspaces=count, size_bytes=sizes.get(name))
            for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        ),
    )


@router.get("/platform", summary="The platform's settings", responses=responses())
async def read_platform(
    _: ListedTeams, services: ServicesDep, __: Annotated[NoQuery, Query()]
) -> PlatformDocument:
    """The settings that matter when you create a workspace. Needs `list` on aichatworkspaces in any
    team."""
    platform = services.cluster.platform()
    ingress = platform.ingress
    return PlatformDocument(
        domain=ingress.domain,
        allowed_domains=ingress.allowed_domains,
        ceiling=Ceilings(**platform.ceiling.model_dump()),
        ollama=_defaults(platform.ollama),
        open_webui=_defaults(platform.open_webui),
        embedding_model=_embedding_model(platform),
        allowed_registries=platform.models.allowed_registries,
        allowed=Choices(**platform.allowed.model_dump(exclude={"foreign_metadata"})),
        tls=ingress.issuer is not None or ingress.default_certificate,
        version=services.settings.version,
    )


def _sizes(status: Mapping[str, Any]) -> dict[str, int]:
    """Return the bytes of each model that the workspace has."""
    return {
        model_key(model["name"]): model["totalBytes"]
        for model in status.get("models", ())
        if model["state"] == ModelState.READY and model.get("totalBytes")
    }


def _canonical_name(model: str) -> str:
    """Return the name as servers list it, or as it is if it is invalid but was accepted."""
    try:
        return str(parse_model(model))
    except InvalidModelNameError:
        return model


def _defaults(share: Share) -> Defaults:
    return Defaults(**share.model_dump())


def _embedding_model(platform: PlatformSpec) -> str | None:
    model = platform.models.embedding_model
    return None if model == NO_MODEL else model
