"""Service to create, read, change and delete workspaces.

Every method first asks Kubernetes whether the caller may, and raises ProblemError for a refusal.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from aichat_workspace.api.auth import audit_log
from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.auth.authorization import AccessRequest, Authorizer
from aichat_workspace.api.schemas.history import Action
from aichat_workspace.api.schemas.workspace import WorkspaceCreate
from aichat_workspace.api.ttl_cache import CoalescedCall
from aichat_workspace.api.web.requests.merge_patch import merge
from aichat_workspace.api.web.requests.request_ids import request_id
from aichat_workspace.api.web.responses import etags, problems
from aichat_workspace.api.web.responses.problems import FieldError, ProblemError
from aichat_workspace.api.workspaces import pages, spec_lists
from aichat_workspace.api.workspaces.change_log import ChangeType
from aichat_workspace.api.workspaces.cluster_view import CATCH_UP_SECONDS, FIRST, ClusterView
from aichat_workspace.api.workspaces.history import changes, record
from aichat_workspace.api.workspaces.logs.reader import Workload
from aichat_workspace.api.workspaces.pages import BY_NAME, Filter, Page, Sort
from aichat_workspace.api.workspaces.views import View, view, workspace_name
from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.domain.policy import backups, limits, size_classes
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace_spec import WorkspaceSpec
from aichat_workspace.domain.v1alpha1.workspace_status import Phase
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    InvalidError,
    NotFoundError,
    UnreachableError,
)
from aichat_workspace.kube.objects import Json, Key, key, resource_version

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
class Workspaces:
    """Reads from the cluster view; writes to the API server, and waits for the cluster view."""

    client: Client
    cluster: ClusterView
    authorizer: Authorizer
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    """Tells the time for the record of changes."""
    version_call: CoalescedCall[int] = field(default_factory=CoalescedCall)
    """The request that `version` shares."""
    completeness_call: CoalescedCall[bool] = field(default_factory=CoalescedCall)
    """The request that `is_complete` shares."""

    async def find(
        self, caller: Caller, verb: str, name: str, team: str | None = None, subresource: str = ""
    ) -> View:
        """Return the workspace if the caller may use the verb on it, or on the part of it."""
        audit_log.note(workspace=name, team=team)
        workspace = await self._resolve(caller, name, team)
        location = workspace.key if workspace else (team or names.SYSTEM_NAMESPACE, name)
        request = AccessRequest(verb, *location, subresource, address=(team, name))
        if workspace is None:
            await self._review_missing(caller, request)
            raise problems.not_found(name)
        audit_log.note(team=workspace.team)
        await self.authorizer.require(caller, request, name)
        return workspace

    async def _resolve(self, caller: Caller, name: str, team: str | None) -> View | None:
        """Return the first claimant of a name, in the team if that is given; None without one.

        The caller's own come before those that they may not see, so that lists and addresses agree.
        """
        claimants = self.cluster.claimants(name, team)
        for claimant in claimants if len(claimants) > 1 else ():
            request = AccessRequest("get", claimant.team, claimant.resource)
            if await self.authorizer.allows(caller, request):
                return claimant
        return claimants[0] if claimants else None

    async def _review_missing(self, caller: Caller, request: AccessRequest) -> None:
        """Make as many reviews as for a hidden workspace: the time must not reveal which it is."""
        await self.authorizer.allows(caller, request)
        await self.authorizer.allows(caller, replace(request, verb="get", subresource=""))

    async def page(
        self,
        caller: Caller,
        query: Filter,
        page: str | None,
        limit: int,
        *,
        sort: Sort = BY_NAME,
        count: bool = False,
    ) -> Page:
        """Return a page of workspaces that the caller may see.

        `count`, and any order but that of names, look at all of them.
        """
        audit_log.note(team=query.team)
        take = self._pager(page, limit, sort)
        scope = await self.authorizer.scope(
            caller,
            "list",
            lambda: {query.team} if query.team else self.cluster.teams_with_workspaces(),
        )
        if query.team and query.team not in scope:
            raise problems.forbidden(caller.username, "list", _WORKSPACE.plural, query.team)

        def matches(workspace: View) -> bool:
            return workspace.team in scope and query.matches(workspace)

        page_of_views = take(matches)
        if not count:
            return page_of_views
        return replace(page_of_views, total=sum(map(matches, self.cluster.sorted_from(FIRST))))

    def _pager(
        self, page: str | None, limit: int, sort: Sort
    ) -> Callable[[Callable[[View], bool]], Page]:
        """Return what takes the page of a list. Raises ProblemError (422) for a wrong page."""
        if sort == BY_NAME:
            after = pages.parse_page(page)
            return lambda matches: pages.take_page(self.cluster.sorted_from(after), matches, limit)
        position = pages.parse_sorted_page(page, sort)
        return lambda matches: pages.take_sorted_page(
            self.cluster.sorted_from(FIRST), matches, limit, sort, position
        )

    async def require_team(self, caller: Caller, team: str) -> None:
        """Raise ProblemError unless the caller may list the team's workspaces (403), and then
        unless there is such a team (404)."""
        audit_log.note(team=team)
        if team not in await self.authorizer.scope(caller, "list", lambda: {team}):
            raise problems.forbidden(caller.username, "list", _WORKSPACE.plural, team)
        if team not in self.cluster.all_teams():
            raise problems.no_such_team(team)

    async def require_every_team(self, caller: Caller) -> None:
        """Raise ProblemError (403) unless the caller may list the workspaces of every team."""
        if not await self.authorizer.allows(caller, AccessRequest("list")):
            raise problems.not_every_team(caller.username)

    async def create(
        self, caller: Caller, body: WorkspaceCreate, *, dry_run: bool
    ) -> tuple[View, bool]:
        """Create the workspace, and return whether it is new. The same request may be repeated."""
        name, team = body.spec.workspace_name, body.team
        audit_log.note(workspace=name, team=team, dry_run=dry_run)
        request = AccessRequest("create", team)
        if not await self.authorizer.allows(caller, request):
            raise problems.forbidden(caller.username, "create", request.what, team)
        self._require_team(team)
        if claimants := self.cluster.claimants(name):
            return self._require_same_request(caller, body, claimants), False
        self._require_within_limits(body.spec, team)
        try:
            with audit_log.note_unknown_outcome(dry_run=dry_run):
                created = await self.client.create(
                    _WORKSPACE,
                    _manifest(caller, body, self.now()),
                    field_manager=names.API,
                    dry_run=dry_run,
                )
        except AlreadyExistsError:
            existing = await self._load_existing(team, name)
            return self._require_same_request(caller, body, [existing]), False
        except NotFoundError:
            raise _no_team(team) from None
        if dry_run:
            created["metadata"].setdefault("resourceVersion", "0")  # nothing was stored
            return view(created), True
        workspace = await self._await_visible(created)
        if self._lost_name_race(view(created)):
            await self._undo_create(workspace)
            raise _name_taken(name)
        return workspace, True

    async def replace(
        self, caller: Caller, name: str, spec: WorkspaceSpec, options: ChangeOptions
    ) -> tuple[View, bool]:
        """Replace the workspace's spec, and return whether that changed anything."""
        workspace = await self.find(caller, "update", name, options.team)
        return await self._change(caller, workspace, lambda _: _spec_document(spec), options)

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
                await self._await_deleted(current)
                return current
            return await self._await_visible(deleted)
        raise problems.changing()

    async def version(self) -> int:
        """Return the version that the API server has reached."""
        return await self.version_call.get(self._read_version)

    async def is_complete(self) -> bool:
        """Return whether the cluster view has everything that the API server has."""
        return await self.completeness_call.get(self._check_complete)

    async def _read_version(self) -> int:
        page = await anext(self.client.list_pages(_WORKSPACE, page_size=1))
        return int(page["metadata"]["resourceVersion"])

    async def _check_complete(self) -> bool:
        stored: dict[Key, int] = {}
        version = 0
        async for page in self.client.list_pages(_WORKSPACE):
            version = int(page["metadata"]["resourceVersion"])
            stored |= {key(obj): resource_version(obj) for obj in page["items"]}
        cached = {key(obj): resource_version(obj) for obj in self.cluster.workspaces.all()}
        if stored != cached:
            return False
        self.cluster.mark_complete(version)
        return True

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
            self._require_change_within_limits(spec, current)
            try:
                with audit_log.note_unknown_outcome(dry_run=dry_run):
                    written = await self.client.json_patch(
                        _WORKSPACE,
                        current.resource,
                        current.team,
                        self._operations(caller, current, spec),
                        field_manager=names.API,
                        dry_run=dry_run,
                    )
            except (InvalidError, ConflictError) as error:
                latest = await self._reload(current, name, options.if_match)
                if _has_same_base(latest, current) and not isinstance(error, ConflictError):
                    raise
                current = latest
                continue
            except NotFoundError:
                raise problems.not_found(name) from None
            has_changed = written["metadata"]["generation"] != current.document["generation"]
            if dry_run:
                return view(written), has_changed
            return await self._await_visible(written), has_changed
        raise problems.changing()

    def _operations(self, caller: Caller, current: View, spec: dict[str, Any]) -> list[Json]:
        """Return the JSON patch that replaces the spec and adds the change to the record."""
        document = current.document
        change = changes.change(document["spec"], spec, self._models_of)
        recorded = (
            record.operations(
                current.annotations, record.entry(change, caller.username, self.now(), request_id())
            )
            if change
            else ()
        )
        return [
            {"op": "test", "path": "/metadata/uid", "value": document["uid"]},
            {"op": "test", "path": "/metadata/generation", "value": document["generation"]},
            *recorded,
            {"op": "replace", "path": "/spec", "value": spec},
        ]

    def _models_of(self, spec: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the models of a stored spec: its own where those of its class are missing or not
        known, as the record of a change must not prevent it."""
        try:
            return self.cluster.models_of(spec) or ()
        except ProblemError:
            return tuple(spec.get("models") or ())

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

    async def _await_visible(self, written: Json) -> View:
        """Return the workspace once the cluster view has the write, or after some seconds."""
        view_of_written = view(written)
        try:
            async with asyncio.timeout(CATCH_UP_SECONDS):
                await self.cluster.workspaces.wait_for_version(view_of_written.version)
        except TimeoutError:
            return view_of_written
        return self.cluster.get(*view_of_written.key) or view_of_written

    async def _await_deleted(self, deleted: View) -> None:
        """Wait until the cluster view does not have the workspace any more, for some seconds."""
        changes, uid = self.cluster.changes, deleted.document["uid"]
        with suppress(TimeoutError):
            async with asyncio.timeout(CATCH_UP_SECONDS):
                while workspace := self.cluster.get(*deleted.key):
                    if workspace.document["uid"] != uid:
                        return
                    await changes.wait_for_change(changes.end)

    def _lost_name_race(self, created: View) -> bool:
        """Return whether another resource had the name before.

        All earlier ones are in the cluster view, and all later ones are in the change log.
        """
        position = self.cluster.changes.position_after(created.version)
        changes = None if position is None else self.cluster.changes.since(position)
        if changes is None:
            return False  # unknown; the operator decides by their age
        later = {change.key for change in changes if change.type is ChangeType.ADDED}
        others = {claimant.key for claimant in self.cluster.claimants(created.name)} - {created.key}
        return bool(others - later)

    async def _undo_create(self, created: View) -> None:
        try:
            await self.client.delete(
                _WORKSPACE, created.resource, created.team, uid=str(created.document["uid"])
            )
            note = "taken back: another had the name before"
        except (ApiError, UnreachableError):  # the operator will report that the name is taken
            note = "another had the name before; it may still be there"
        audit_log.note(note=note)

    def _require_team(self, team: str) -> None:
        if team not in self.cluster.teams():
            raise _no_team(team)

    def _require_within_limits(
        self, spec: WorkspaceSpec, team: str, stored: WorkspaceSpec | None = None
    ) -> None:
        """Raise ProblemError (422) with every limit of the platform that the spec breaks.

        What is stored already, as from before a limit was lowered, is allowed to stay.
        """
        try:
            platform = self.cluster.platform()
        except ProblemError:
            return  # the settings are not understood; the operator has the last word anyway
        known = {*_violations(stored, team, platform)} if stored else set()
        broken = [problem for problem in _violations(spec, team, platform) if problem not in known]
        if broken:
            raise problems.invalid(FieldError(problem.field, problem.message) for problem in broken)

    def _require_change_within_limits(self, spec: dict[str, Any], current: View) -> None:
        stored = current.document["spec"]
        require_valid(spec, stored)
        if (new_spec := _parse_spec(spec)) is not None:
            self._require_within_limits(new_spec, current.team, _parse_spec(stored))

    async def _load_existing(self, team: str, resource: str) -> View:
        """Return the existing resource's workspace. Raises ProblemError (409) for another name."""
        try:
            obj = await self.client.get(_WORKSPACE, resource, team)
        except NotFoundError:
            raise _name_taken(resource) from None  # deleted meanwhile, or being deleted
        if workspace_name(obj) != resource:  # the caller may not see that workspace's name
            raise ProblemError(
                409,
                "resource-name-taken",
                f"Team {team!r} has a resource called {resource!r} already, for another "
                "workspace. Choose another workspaceName.",
            )
        return view(obj)

    def _require_same_request(
        self, caller: Caller, body: WorkspaceCreate, claimants: Iterable[View]
    ) -> View:
        """Return the workspace that the same request created before. Raises ProblemError (409)."""
        for claimant in claimants:
            if (
                claimant.team == body.team
                and claimant.owner == caller.username
                and not claimant.document["deleting"]
                and _parse_spec(claimant.document["spec"]) == body.spec
            ):
                return claimant
        raise _name_taken(body.spec.workspace_name)


def _violations(spec: WorkspaceSpec, team: str, platform: PlatformSpec) -> Iterator[Problem]:
    """Yield what no newly written spec may have. A workspace keeps a class that is retired."""
    yield from size_classes.violations(spec, team, platform)
    yield from size_classes.retirement_problems(spec, team, platform)
    yield from backups.violations(spec, team, platform)
    yield from limits.violations(backups.fill_spec(spec, team, platform), platform)


def _parse_spec(spec: dict[str, Any]) -> WorkspaceSpec | None:
    """Parse a stored spec; None for one that the models reject."""
    try:
        return WorkspaceSpec.model_validate(spec, extra="ignore")
    except ValidationError:
        return None


def _has_same_base(first: View, second: View) -> bool:
    """Return whether a patch that was computed from one state is as good for the other."""
    return first.document["generation"] == second.document["generation"] and bool(
        first.annotations
    ) == bool(second.annotations)


def _manifest(caller: Caller, body: WorkspaceCreate, now: datetime) -> Json:
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
        "spec": _spec_document(body.spec),
    }


def _spec_document(spec: WorkspaceSpec) -> dict[str, Any]:
    """Return the given fields; defaults are left to the API server and the platform."""
    return spec.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)


def require_valid(
    spec: Mapping[str, Any], stored: Mapping[str, Any] = MappingProxyType({})
) -> None:
    """Raise ProblemError (422) with every field that is wrong.

    What is stored already, as under another version's rules, is allowed to stay.
    """
    stored_errors = _spec_errors(stored) if stored else []
    errors = [error for error in _spec_errors(spec) if error not in stored_errors]
    if errors:
        raise problems.invalid(
            FieldError(
                problems.path_of(("spec", *error["loc"])),
                problems.plain_message(error["type"], error["msg"]),
            )
            for error in errors
        )


def _spec_errors(spec: Mapping[str, Any]) -> list[ErrorDetails]:
    """Return every field that is wrong, with its value."""
    try:
        WorkspaceSpec.model_validate(spec, by_alias=True, by_name=False)
    except ValidationError as error:
        return error.errors(include_url=False, include_context=False)
    return []


def _no_team(team: str) -> ProblemError:
    return problems.invalid(
        [
            FieldError(
                "team",
                f"{team!r} is no team; the platform team makes one by labelling a namespace "
                f"{names.TEAM_LABEL}=true. GET /api/v1/me lists yours",
            )
        ]
    )


def _name_taken(name: str) -> ProblemError:
    return ProblemError(
        409,
        "name-taken",
        f"The workspaceName {name!r} is taken, and names are unique in the whole cluster. Choose "
        "another one.",
        errors=(FieldError("spec.workspaceName", "taken; choose another one"),),
    )
