"""Routes for the caller: who they are and what they may do."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Final

from fastapi import APIRouter, Query

from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.auth.authorization import EVERYWHERE, AccessRequest
from aichat_workspace.api.dependencies import AUTHENTICATED, CurrentCaller, Services, ServicesDep
from aichat_workspace.api.openapi.responses import responses
from aichat_workspace.api.routes.queries import NoQuery
from aichat_workspace.api.schemas.session import Identity, TeamRights

router = APIRouter(prefix="/api/v1", tags=["platform"], dependencies=AUTHENTICATED)

_DEEDS: Final = (
    *(
        AccessRequest(verb)
        for verb in ("create", "get", "list", "watch", "update", "patch", "delete")
    ),
    AccessRequest("get", subresource="log"),
    AccessRequest("create", subresource="prompt"),
    AccessRequest("get", subresource="credentials"),
)


@router.get("/me", summary="Who you are and what you may do", responses=responses())
async def read_me(who: CurrentCaller, use: ServicesDep, _: Annotated[NoQuery, Query()]) -> Identity:
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
    who: Caller, use: Services, teams: Sequence[str], deeds: Sequence[AccessRequest]
) -> dict[str, list[AccessRequest]]:
    """Of each team, those of the deeds that are allowed in it."""
    asked = [(team, each) for team in teams for each in deeds]
    answers = await use.access.allows_each(who, [replace(each, team=team) for team, each in asked])
    allowed: dict[str, list[AccessRequest]] = {team: [] for team in teams}
    for (team, each), yes in zip(asked, answers, strict=True):
        if yes:
            allowed[team].append(each)
    return allowed


def _said(deed: AccessRequest) -> str:
    return f"{deed.verb} {deed.what}" if deed.subresource else deed.verb
