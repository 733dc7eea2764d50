"""Routes for the platform: patterns and models to choose from, and its settings."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.auth.authorization import AccessRequest, Scope
from aichat_workspace.api.capacity.catalogue import room_of
from aichat_workspace.api.dependencies import AUTHENTICATED, CurrentCaller, Services, ServicesDep
from aichat_workspace.api.openapi.responses import responses
from aichat_workspace.api.routes.queries import CatalogueQuery, CreateQuery, NoQuery, OptionsQuery
from aichat_workspace.api.schemas.catalogue import ModelCatalogue
from aichat_workspace.api.schemas.options import OptionsDocument
from aichat_workspace.api.schemas.platform import (
    Ceilings,
    Choices,
    Defaults,
    ModelList,
    ModelUse,
    PatternDocument,
    PatternList,
    PlatformDiagnosis,
    PlatformDocument,
    UpgradesDocument,
)
from aichat_workspace.api.web.responses import problems
from aichat_workspace.api.web.responses.json_responses import json_response
from aichat_workspace.api.workspaces.diagnosis import diagnose_platform
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.domain.v1alpha1.platform_spec import PLATFORM_NAME, PlatformSpec, Share
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
    platform, models = services.cluster.platform(), await services.catalogue.in_use(scope)
    return ModelList(
        allowed_registries=platform.models.allowed_registries,
        embedding_model=_embedding_model(platform),
        in_use=tuple(
            ModelUse(name=name, workspaces=count, size_bytes=models.size_bytes.get(name))
            for name, count in sorted(
                models.workspaces.items(), key=lambda item: (-item[1], item[0])
            )
        ),
    )


@router.get(
    "/catalogue",
    summary="What is known of models to choose from",
    responses={
        200: {"model": ModelCatalogue, "description": "By name."},
        **responses(404),
    },
)
async def read_catalogue(
    caller: CurrentCaller,
    scope: ListedTeams,
    services: ServicesDep,
    query: Annotated[CatalogueQuery, Query()],
) -> Response:
    """Sizes, memory, context, licence and capabilities before a download. With `workspace`, or with
    `memory` or `storage`, each model says whether it fits. Needs `list` on aichatworkspaces in any
    team."""
    room = query.room
    if query.workspace is not None:
        view = await services.workspaces.find(caller, "get", query.workspace, query.team)
        room = room_of(services.cluster, view)
    return json_response(await services.catalogue.entries(scope, room))


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
        has_backup_passphrase=platform.backup.passphrase_secret_name is not None,
        tls=ingress.issuer is not None or ingress.default_certificate,
        version=services.settings.version,
    )


@router.get(
    "/platform/diagnosis",
    summary="What the platform lacks",
    responses={
        200: {"model": PlatformDiagnosis, "description": "From the AIChatPlatform's conditions."},
        **responses(),
    },
)
async def read_platform_diagnosis(
    caller: CurrentCaller, services: ServicesDep, _: Annotated[NoQuery, Query()]
) -> Response:
    """Needs `get` on aichatplatforms."""
    read = AccessRequest("get", name=PLATFORM_NAME, resource=kinds.PLATFORM)
    if not await services.authorizer.allows(caller, read):
        raise problems.not_the_platform(caller.username, "get")
    return json_response(diagnose_platform(services.cluster.platform_resource()))


@router.get("/platform/upgrades", summary="Whether upgrades are paused", responses=responses())
async def read_upgrades(
    caller: CurrentCaller,
    _: ListedTeams,
    services: ServicesDep,
    __: Annotated[NoQuery, Query()],
) -> UpgradesDocument:
    """Who changes its pods, waits or has failed is in the condition UpToDate of workspaces. Needs
    `list` on aichatworkspaces in any team."""
    return UpgradesDocument(
        paused=services.cluster.is_upgrade_paused,
        may_change=await services.upgrades.may_change(caller),
    )


@router.post("/platform/upgrades:pause", summary="Pause upgrades", responses=responses(409, 415))
async def pause_upgrades(
    caller: CurrentCaller, services: ServicesDep, query: Annotated[CreateQuery, Query()]
) -> UpgradesDocument:
    """No further workspace changes its pods for what the platform has changed; those that do go on.
    Needs `patch` on aichatplatforms."""
    return await _set_paused(services, caller, query, is_paused=True)


@router.post("/platform/upgrades:resume", summary="Resume upgrades", responses=responses(409, 415))
async def resume_upgrades(
    caller: CurrentCaller, services: ServicesDep, query: Annotated[CreateQuery, Query()]
) -> UpgradesDocument:
    """Needs `patch` on aichatplatforms."""
    return await _set_paused(services, caller, query, is_paused=False)


async def _set_paused(
    services: Services, caller: Caller, query: CreateQuery, *, is_paused: bool
) -> UpgradesDocument:
    await services.upgrades.set_paused(caller, is_paused=is_paused, dry_run=query.dry_run)
    return UpgradesDocument(paused=is_paused, may_change=True)


@router.get(
    "/options",
    summary="What there is to choose for a new workspace",
    responses={
        200: {"model": OptionsDocument, "description": "By name."},
        **responses(404),
    },
)
async def read_options(
    caller: CurrentCaller,
    scope: ListedTeams,
    services: ServicesDep,
    query: Annotated[OptionsQuery, Query()],
) -> Response:
    """Classes of the cluster, what the platform allows by name, its size classes with what each
    costs, what a workspace gets by default and, with `team`, how many more the team may have. Needs
    `list` on aichatworkspaces in any team, or in that one."""
    if query.team is not None:
        await services.workspaces.require_team(caller, query.team)
    return json_response(await services.options.read(scope, query.team))


def _defaults(share: Share) -> Defaults:
    return Defaults(**share.model_dump())


def _embedding_model(platform: PlatformSpec) -> str | None:
    model = platform.models.embedding_model
    return None if model == NO_MODEL else model
