"""Service to create, read, change and delete workspaces.

Every method first asks Kubernetes whether the caller may, and raises ProblemError for a refusal.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from aichat_workspace.api.auth import audit_log
from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.auth.authorization import AccessRequest
from aichat_workspace.api.schemas.workspace import WorkspaceCreate
from aichat_workspace.api.web.requests.merge_patch import merge
from aichat_workspace.api.web.responses import etags, problems
from aichat_workspace.api.workspaces.logs.reader import Workload
from aichat_workspace.api.workspaces.reader import WorkspaceReader
from aichat_workspace.api.workspaces.views import View, view
from aichat_workspace.api.workspaces.writing import creation, spec_lists, spec_patch
from aichat_workspace.api.workspaces.writing.spec_rules import (
    require_change_within_limits,
    require_within_limits,
    spec_document,
)
from aichat_workspace.api.workspaces.writing.visibility import await_deleted, await_visible
from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.domain.v1alpha1.workspace_spec import WorkspaceSpec
from aichat_workspace.domain.v1alpha1.workspace_status import Phase
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidError,
    NotFoundError,
)

_WORKSPACE: Final = kinds.WORKSPACE
_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class ChangeOptions:
    """How to change a workspace."""

    team: str | None = None
    """The team, where several resources name the workspace."""
    if_match: str | None = None
    """The ETag of the state to change; None for any."""
    dry_run: bool = False
    """Check everything and change nothing."""


_ANY_STATE: Final = ChangeOptions()


@dataclass(frozen=True, slots=True)
class Workspaces(WorkspaceReader):
    """Reads from the cluster view; writes to the API server, and waits for the cluster view."""

    client: Client
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    """Tells the time for the record of changes."""

    async def create(
        self, caller: Caller, body: WorkspaceCreate, *, dry_run: bool
    ) -> tuple[View, bool]:
        """Create the workspace, and return whether it is new. The same request may be repeated."""
        name, team = body.spec.workspace_name, body.team
        audit_log.note(workspace=name, team=team, dry_run=dry_run)
        request = AccessRequest("create", team)
        if not await self.authorizer.allows(caller, request):
            raise problems.forbidden(caller.username, "create", request.what, team)
        creation.require_team(self.cluster, team)
        if claimants := self.cluster.claimants(name):
            return creation.require_same_request(caller, body, claimants), False
        require_within_limits(self.cluster, body.spec, team)
        try:
            with audit_log.note_unknown_outcome(dry_run=dry_run):
                created = await self.client.create(
                    _WORKSPACE,
                    creation.manifest(caller, body, self.now()),
                    field_manager=names.API,
                    dry_run=dry_run,
                )
        except AlreadyExistsError:
            existing = await creation.load_existing(self.client, team, name)
            return creation.require_same_request(caller, body, [existing]), False
        except NotFoundError:
            raise creation.no_team(team) from None
        if dry_run:
            created["metadata"].setdefault("resourceVersion", "0")  # nothing was stored
            return view(created), True
        workspace = await await_visible(self.cluster, created)
        if creation.lost_name_race(self.cluster, view(created)):
            await creation.undo_create(self.client, workspace)
            raise creation.name_taken(name)
        return workspace, True

    async def replace(
        self, caller: Caller, name: str, spec: WorkspaceSpec, options: ChangeOptions
    ) -> tuple[View, bool]:
        """Replace the workspace's spec, and return whether that changed anything."""
        workspace = await self.find(caller, "update", name, options.team)
        return await self._change(caller, workspace, lambda _: spec_document(spec), options)

    async def patch(
        self,
        caller: Caller,
        name: str,
        changes: dict[str, Any],
        options: ChangeOptions = _ANY_STATE,
    ) -> tuple[View, bool]:
        """Apply a merge patch to the workspace's spec, and return whether that changed anything."""
        return await self.change(caller, name, lambda spec: dict(merge(spec, changes)), options)

    async def change(
        self,
        caller: Caller,
        name: str,
        change: Callable[[dict[str, Any]], dict[str, Any]],
        options: ChangeOptions,
    ) -> tuple[View, bool]:
        """Change the workspace's spec, and return whether that changed anything. `change` may be
        called again, with a newer spec."""
        workspace = await self.find(caller, "patch", name, options.team)
        return await self._change(caller, workspace, change, options)

    async def restart(
        self,
        caller: Caller,
        name: str,
        workloads: Iterable[Workload],
        now: datetime,
        options: ChangeOptions = _ANY_STATE,
    ) -> View:
        """Have the pods of workloads replaced. Raises ProblemError (409) for a suspended workspace,
        also for one whose time is over."""
        workloads = tuple(workloads)
        audit_log.note(workload=" ".join(workloads))
        workspace = await self.find(caller, "patch", name, options.team)
        observed = workspace.document["status"].get("observedGeneration")
        if workspace.phase == Phase.SUSPENDED and observed == workspace.document["generation"]:
            raise spec_lists.nothing_to_restart()
        change = spec_lists.restart(workloads, now)
        restarted, _ = await self._change(caller, workspace, change, options)
        return restarted

    async def delete(self, caller: Caller, name: str, options: ChangeOptions = _ANY_STATE) -> View:
        """Delete the workspace, and return its last state."""
        audit_log.note(dry_run=options.dry_run)
        current = await self.find(caller, "delete", name, options.team)
        for _ in range(_ATTEMPTS):
            current = await self._require_match(current, options.if_match)
            try:
                with audit_log.note_unknown_outcome(dry_run=options.dry_run):
                    deleted = await self.client.delete(
                        _WORKSPACE,
                        current.resource,
                        current.team,
                        uid=str(current.document["uid"]),
                        version=str(current.version) if etags.is_tag(options.if_match) else None,
                        dry_run=options.dry_run,
                    )
            except ConflictError:
                current = await self._reload(current, name, options.if_match)
                continue
            if options.dry_run:
                return current
            if deleted is None or deleted.get("kind") != kinds.WORKSPACE.kind:
                await await_deleted(self.cluster, current)
                return current
            return await await_visible(self.cluster, deleted)
        raise problems.changing()

    async def _change(
        self,
        caller: Caller,
        current: View,
        change: Callable[[dict[str, Any]], dict[str, Any]],
        options: ChangeOptions,
    ) -> tuple[View, bool]:
        """Replace exactly the spec that the change was computed from.

        A workspace that has changed meanwhile is read again. With If-Match that is a lost update
        (412), else the change is computed again.
        """
        name, dry_run = current.name, options.dry_run
        audit_log.note(dry_run=dry_run)
        for _ in range(_ATTEMPTS):
            current = await self._require_match(current, options.if_match)
            spec = change(dict(current.document["spec"]))
            require_change_within_limits(self.cluster, spec, current)
            try:
                with audit_log.note_unknown_outcome(dry_run=dry_run):
                    written = await self.client.json_patch(
                        _WORKSPACE,
                        current.resource,
                        current.team,
                        spec_patch.operations(self.cluster, caller, current, spec, self.now()),
                        field_manager=names.API,
                        dry_run=dry_run,
                    )
            except (InvalidError, ConflictError) as error:
                latest = await self._reload(current, name, options.if_match)
                if spec_patch.has_same_base(latest, current) and not isinstance(
                    error, ConflictError
                ):
                    raise
                current = latest
                continue
            except NotFoundError:
                raise problems.not_found(name) from None
            has_changed = written["metadata"]["generation"] != current.document["generation"]
            if dry_run:
                return view(written), has_changed
            return await await_visible(self.cluster, written), has_changed
        raise problems.changing()

    async def _require_match(self, current: View, if_match: str | None) -> View:
        """Return a state that If-Match matches; reload one that the caller may have seen newer.

        Raises ProblemError (412).
        """
        if not etags.matches(current.etag, if_match):
            return await self._reload(current, current.name, if_match)
        return current

    async def _reload(self, current: View, name: str, if_match: str | None) -> View:
        """Read the workspace from the API server.

        Raises ProblemError: 404 when it is gone, 412 when If-Match does not match it, and 409
        without If-Match when it was created again.
        """
        try:
            latest = view(await self.client.get(_WORKSPACE, current.resource, current.team))
        except NotFoundError:
            raise problems.not_found(name) from None
        if latest.document["uid"] != current.document["uid"] and if_match is None:
            raise problems.recreated()
        if not etags.matches(latest.etag, if_match):
            raise problems.precondition_failed()
        return latest
