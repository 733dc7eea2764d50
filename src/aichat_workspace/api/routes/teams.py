"""Routes for a team's people and scripts: members and tokens."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Response

from aichat_workspace.api.dependencies import AUTHENTICATED, CurrentCaller, ServicesDep
from aichat_workspace.api.openapi.responses import responses
from aichat_workspace.api.routes.queries import CreateQuery, NoQuery
from aichat_workspace.api.routes.queries import Team as TeamName
from aichat_workspace.api.schemas.teams import (
    TOKEN_NAME_MAX_LENGTH,
    Invitation,
    Member,
    MemberList,
    NewToken,
    SubjectKind,
    SubjectName,
    TokenCreate,
    TokenDocument,
    TokenList,
)
from aichat_workspace.api.teams.members import Subject
from aichat_workspace.api.web.responses.json_responses import json_response
from aichat_workspace.api.web.responses.security_headers import NO_STORE
from aichat_workspace.domain.v1alpha1.field_types import DnsLabel

router = APIRouter(prefix="/api/v1/teams/{team}", tags=["teams"], dependencies=AUTHENTICATED)

Team = Annotated[TeamName, Path(description="The team's namespace.", examples=["team-a"])]
TokenName = Annotated[
    DnsLabel,
    Path(description="What it is for.", min_length=1, max_length=TOKEN_NAME_MAX_LENGTH),
]
DryRun = Annotated[CreateQuery, Query()]
Nothing = Annotated[NoQuery, Query()]


def _documented(status: int, description: str, model: Any) -> dict[int | str, Any]:
    return {status: {"description": description, "model": model}}


_INVITED: Final = {
    **_documented(201, "It is a member now.", Member),
    **_documented(200, "It was a member; it has this role now. Or a dry run.", Member),
    **responses(404, 409, 415),
}


@router.get(
    "/members",
    summary="Who may do what in a team",
    responses={
        **_documented(200, "RoleBindings of the team's namespace.", MemberList),
        **responses(),
    },
)
async def list_members(
    caller: CurrentCaller, services: ServicesDep, team: Team, _: Nothing
) -> Response:
    """By the roles of workspaces, and by Kubernetes' own that include them. Others may have rights
    by other roles, or in the whole cluster. Needs `list` on rolebindings there."""
    with services.lists.slot(caller.username):
        return json_response(await services.members.read(caller, team))


@router.post("/members", summary="Invite a member", status_code=201, responses=_INVITED)
async def invite_member(
    caller: CurrentCaller, services: ServicesDep, team: Team, query: DryRun, body: Invitation
) -> Response:
    """Gives a role, in place of another that was given here. Needs `create` on rolebindings there
    (and `delete` where it had another), and all that the role allows or `bind` on its ClusterRole:
    what kubectl needs. It shows within half a minute."""
    subject = Subject(body.kind, body.name)
    member, is_new = await services.members.invite(
        caller, team, subject, body.role, dry_run=query.dry_run
    )
    return json_response(member, 201 if is_new and not query.dry_run else 200)


@router.delete(
    "/members/{kind}/{member:path}",
    summary="Remove a member",
    responses={
        **_documented(200, "It was removed; its last state.", Member),
        **responses(404, 409),
    },
)
async def remove_member(
    caller: CurrentCaller,
    services: ServicesDep,
    team: Team,
    kind: Annotated[SubjectKind, Path(description="What it is.")],
    member: Annotated[SubjectName, Path(description="Its name.", examples=["oidc:bob"])],
    query: DryRun,
) -> Response:
    """Takes the role that was given here; other RoleBindings stay. Needs `delete` on rolebindings
    there. It acts within half a minute."""
    subject = Subject(kind, member)
    return json_response(
        await services.members.remove(caller, team, subject, dry_run=query.dry_run)
    )


@router.get(
    "/tokens",
    summary="The tokens of a team's scripts",
    responses={**_documented(200, "Without the tokens themselves.", TokenList), **responses()},
)
async def list_tokens(
    caller: CurrentCaller, services: ServicesDep, team: Team, _: Nothing
) -> Response:
    """Those that were made here. Needs `list` on serviceaccounts there."""
    with services.lists.slot(caller.username):
        return json_response({"items": await services.tokens.read(caller, team)})


@router.post(
    "/tokens",
    summary="Make a token for a script",
    status_code=201,
    responses={
        **_documented(201, "The token, which is shown this once.", NewToken),
        **responses(404, 409, 415),
    },
)
async def create_token(
    caller: CurrentCaller, services: ServicesDep, team: Team, _: Nothing, body: TokenCreate
) -> Response:
    """For a service account of its own, which has only this role and only this token, for this
    API's audience. A team has 20 at most. Needs `create` on serviceaccounts,
    serviceaccounts/token and rolebindings there, and the right to give the role, as an invitation
    does."""
    with services.lists.slot(caller.username):
        return json_response(await services.tokens.create(caller, team, body), 201, NO_STORE)


@router.delete(
    "/tokens/{name}",
    summary="Revoke a token",
    responses={
        **_documented(200, "Its account is deleted; its last state.", TokenDocument),
        **responses(404, 409),
    },
)
async def revoke_token(
    caller: CurrentCaller, services: ServicesDep, team: Team, name: TokenName, _: Nothing
) -> Response:
    """The token is refused within twenty seconds: so long may Kubernetes and the API keep an answer
    about it. Needs `delete` on serviceaccounts there."""
    return json_response(await services.tokens.revoke(caller, team, name))
