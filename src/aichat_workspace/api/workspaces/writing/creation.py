"""The steps of creating a workspace: what is sent, and who gets a name that two ask for."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from aichat_workspace.api.auth import audit_log
from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.schemas.history import Action
from aichat_workspace.api.schemas.workspace import WorkspaceCreate
from aichat_workspace.api.web.requests.request_ids import request_id
from aichat_workspace.api.web.responses import problems
from aichat_workspace.api.web.responses.field_errors import FieldError
from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.api.workspaces.change_log import ChangeType
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.api.workspaces.history import changes, record
from aichat_workspace.api.workspaces.views import View, view, workspace_name
from aichat_workspace.api.workspaces.writing.spec_rules import parse_spec, spec_document
from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import (
    ApiError,
    NotFoundError,
    UnreachableError,
)
from aichat_workspace.kube.objects import Json

_WORKSPACE: Final = kinds.WORKSPACE


def manifest(caller: Caller, body: WorkspaceCreate, now: datetime) -> Json:
    """Return the resource to create."""
    is_clone = body.spec.restore is not None and body.spec.restore.source is not None
    creation = changes.Change(Action.CLONE if is_clone else Action.CREATE, ())
    entry = record.entry(creation, caller.username, now, request_id())
    return {
        "apiVersion": names.API_VERSION,
        "kind": kinds.WORKSPACE.kind,
        "metadata": {
            "name": body.spec.workspace_name,
            "namespace": body.team,
            "annotations": {
                names.REQUESTED_BY_ANNOTATION: caller.username,
                **record.annotation(entry),
            },
        },
        "spec": spec_document(body.spec),
    }


def require_team(cluster: ClusterView, team: str) -> None:
    """Raise ProblemError (422) unless there is such a team."""
    if team not in cluster.teams():
        raise no_team(team)


def lost_name_race(cluster: ClusterView, created: View) -> bool:
    """Return whether another resource had the name before.

    All earlier ones are in the cluster view, and all later ones are in the change log.
    """
    position = cluster.changes.position_after(created.version)
    changes = None if position is None else cluster.changes.since(position)
    if changes is None:
        return False  # unknown; the operator decides by their age
    later = {change.key for change in changes if change.type is ChangeType.ADDED}
    others = {claimant.key for claimant in cluster.claimants(created.name)} - {created.key}
    return bool(others - later)


async def undo_create(client: Client, created: View) -> None:
    """Delete what was created for a name that another has."""
    try:
        await client.delete(
            _WORKSPACE, created.resource, created.team, uid=str(created.document["uid"])
        )
        note = "taken back: another had the name before"
    except (ApiError, UnreachableError):  # the operator will report that the name is taken
        note = "another had the name before; it may still be there"
    audit_log.note(note=note)


async def load_existing(client: Client, team: str, resource: str) -> View:
    """Return the existing resource's workspace. Raises ProblemError (409) for another name."""
    try:
        obj = await client.get(_WORKSPACE, resource, team)
    except NotFoundError:
        raise name_taken(resource) from None  # deleted meanwhile, or being deleted
    if workspace_name(obj) != resource:  # the caller may not see that workspace's name
        raise ProblemError(
            409,
            "resource-name-taken",
            f"Team {team!r} has a resource called {resource!r} already, for another "
            "workspace. Choose another workspaceName.",
        )
    return view(obj)


def require_same_request(caller: Caller, body: WorkspaceCreate, claimants: Iterable[View]) -> View:
    """Return the workspace that the same request created before. Raises ProblemError (409)."""
    for claimant in claimants:
        if (
            claimant.team == body.team
            and claimant.owner == caller.username
            and not claimant.document["deleting"]
            and parse_spec(claimant.document["spec"]) == body.spec
        ):
            return claimant
    raise name_taken(body.spec.workspace_name)


def no_team(team: str) -> ProblemError:
    """Return the problem for a namespace that is no team."""
    return problems.invalid(
        [
            FieldError(
                "team",
                f"{team!r} is no team; the platform team makes one by labelling a namespace "
                f"{names.TEAM_LABEL}=true. GET /api/v1/me lists yours",
            )
        ]
    )


def name_taken(name: str) -> ProblemError:
    """Return the problem for a name that another workspace has."""
    return ProblemError(
        409,
        "name-taken",
        f"The workspaceName {name!r} is taken, and names are unique in the whole cluster. Choose "
        "another one.",
        errors=(FieldError("spec.workspaceName", "taken; choose another one"),),
    )
