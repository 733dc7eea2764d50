"""Routes for what concerns all workspaces: what to choose from, what the platform sets."""

from collections import Counter
from typing import Annotated

from fastapi import APIRouter, Query

from aichat_workspace.api.dependencies import AUTHENTICATED, CurrentCaller, ServicesDep
from aichat_workspace.api.openapi.responses import responses
from aichat_workspace.api.routes.queries import NoQuery
from aichat_workspace.api.schemas.platform import (
    Ceilings,
    Defaults,
    ModelList,
    ModelUse,
    PatternDocument,
    PatternList,
    PlatformDocument,
)
from aichat_workspace.domain.models.name import InvalidModelNameError, parse_model
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec, Share
from aichat_workspace.domain.v1alpha1.workspace_spec import NO_MODEL

router = APIRouter(prefix="/api/v1", tags=["platform"], dependencies=AUTHENTICATED)


@router.get("/patterns", summary="System prompts to choose from", responses=responses())
async def list_patterns(
    _: CurrentCaller, use: ServicesDep, __: Annotated[NoQuery, Query()]
) -> PatternList:
    """Built-in ones, and those of the platform team's ConfigMaps."""
    found = sorted(use.directory.prompts().items())
    return PatternList(
        items=tuple(
            PatternDocument(name=name, prompt=prompt, origin=origin)
            for name, (prompt, origin) in found
        )
    )


@router.get("/models", summary="Models to choose from", responses=responses())
async def list_models(
    who: CurrentCaller, use: ServicesDep, _: Annotated[NoQuery, Query()]
) -> ModelList:
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


@router.get("/platform", summary="The platform's settings", responses=responses())
async def read_platform(
    _: CurrentCaller, use: ServicesDep, __: Annotated[NoQuery, Query()]
) -> PlatformDocument:
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
    except InvalidModelNameError:
        return model


def _defaults(share: Share) -> Defaults:
    return Defaults(**share.model_dump())


def _embedding_model(platform: PlatformSpec) -> str | None:
    chosen = platform.models.embedding_model
    return None if chosen == NO_MODEL else chosen
