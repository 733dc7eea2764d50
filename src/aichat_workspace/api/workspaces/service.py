"""What people do with workspaces, whichever way they come in. Every use-case asks Kubernetes first
whether the caller may, and raises Problem for an answer that says no."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from aichat_workspace.api.auth import audit_log
from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.auth.authorization import AccessRequest, Authorizer
from aichat_workspace.api.schemas.workspace import WorkspaceCreate
from aichat_workspace.api.ttl_cache import CoalescedCall
from aichat_workspace.api.web import etags, problems
from aichat_workspace.api.web.merge_patch import merge
from aichat_workspace.api.web.problems import FieldError, ProblemError
from aichat_workspace.api.workspaces import pages
from aichat_workspace.api.workspaces.change_log import ChangeType
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.api.workspaces.pages import Filter
from aichat_workspace.api.workspaces.views import View, view, workspace_name
from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.domain.v1alpha1.workspace_spec import WorkspaceSpec
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
_CATCH_UP_SECONDS: Final = 5.0
_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class Workspaces:
    """Reads come from the directory; writes go to the API server, and are answered once the
    directory has seen them. Those who ask the API server the same while another such question is
    under way share the next one."""

    client: Client
    directory: ClusterView
    access: Authorizer
    version_of: CoalescedCall[int] = field(default_factory=CoalescedCall)
    known_of: CoalescedCall[bool] = field(default_factory=CoalescedCall)

    async def find(
        self, caller: Caller, verb: str, name: str, team: str | None = None, subresource: str = ""
    ) -> View:
        """The workspace, if the caller may use the verb on it or on the part of it."""
        found = self.directory.named(name, team)
        if found is None:
            await self._review_missing(caller, verb, name, team, subresource)
            raise problems.not_found(name)
        deed = AccessRequest(verb, found.team, found.resource, subresource)
        await self.access.require(caller, deed, name)
        return found

    async def _review_missing(
        self, caller: Caller, verb: str, name: str, team: str | None, subresource: str
    ) -> None:
        """What is not there takes as many reviews as what is hidden: time tells neither."""
        asked = team or names.SYSTEM_NAMESPACE
        await self.access.allows(caller, AccessRequest(verb, asked, name, subresource))
        await self.access.allows(caller, AccessRequest("get", asked, name))

    async def page(
        self, caller: Caller, wanted: Filter, page: str | None, limit: int
    ) -> tuple[Sequence[View], str | None]:
        """Those that the caller may see, in order, and where the next page begins."""
        after = pages.read_page(page)
        scope = await self.access.scope(
            caller,
            "list",
            lambda: {wanted.team} if wanted.team else self.directory.teams_with_workspaces(),
        )
        if wanted.team and wanted.team not in scope:
            raise problems.forbidden(caller.username, "list", _WORKSPACE.plural, wanted.team)
        return pages.page_of(
            self.directory.sorted_from(after),
            lambda each: each.team in scope and wanted.matches(each),
            limit,
        )

    async def create(
        self, caller: Caller, asked: WorkspaceCreate, *, dry_run: bool
    ) -> tuple[View, bool]:
        """The workspace, and whether it is new: the same request again gives the same answer."""
        name, team = asked.spec.workspace_name, asked.team
        deed = AccessRequest("create", team)
        if not await self.access.allows(caller, deed):
            raise problems.forbidden(caller.username, "create", deed.what, team)
        self._require_team(team)
        if held := self.directory.claimants(name):
            return self._require_same_request(caller, asked, held), False
        try:
            with self._audited(caller, "create", team, name, dry_run=dry_run):
                made = await self.client.create(
                    _WORKSPACE, _manifest(caller, asked), field_manager=names.API, dry_run=dry_run
                )
        except AlreadyExistsError:
            return self._require_same_request(
                caller, asked, [await self._load_existing(team, name)]
            ), False
        except NotFoundError:
            raise _no_team(team) from None
        if dry_run:
            made["metadata"].setdefault("resourceVersion", "0")  # nothing was stored
            return view(made), True
        audit_log.record(caller, "create", team=team, name=name, outcome=201)
        seen = await self._await_visible(made)
        if self._lost_name_race(view(made)):
            await self._undo_create(caller, seen)
            raise _name_taken(name)
        return seen, True

    async def replace(
        self,
        caller: Caller,
        name: str,
        spec: WorkspaceSpec,
        *,
        team: str | None = None,
        if_match: str,
        dry_run: bool,
    ) -> tuple[View, bool]:
        """The workspace with this spec, and whether that changed anything."""
        found = await self.find(caller, "update", name, team)
        return await self._change(
            caller, "replace", found, lambda _: _document(spec), if_match=if_match, dry_run=dry_run
        )

    async def patch(
        self,
        caller: Caller,
        name: str,
        changes: dict[str, Any],
        *,
        team: str | None = None,
        if_match: str | None = None,
        dry_run: bool = False,
        action: str = "patch",
    ) -> tuple[View, bool]:
        """The workspace with a merge patch of its spec, and whether that changed anything."""
        found = await self.find(caller, "patch", name, team)
        return await self._change(
            caller,
            action,
            found,
            lambda spec: dict(merge(spec, changes)),
            if_match=if_match,
            dry_run=dry_run,
        )

    async def delete(
        self,
        caller: Caller,
        name: str,
        *,
        team: str | None = None,
        if_match: str | None = None,
        dry_run: bool = False,
    ) -> View:
        """The workspace as it goes."""
        found = await self.find(caller, "delete", name, team)
        for _ in range(_ATTEMPTS):
            found = await self._matching(found, if_match)
            try:
                with self._audited(caller, "delete", found.team, name, dry_run=dry_run):
                    gone = await self.client.delete(
                        _WORKSPACE,
                        found.resource,
                        found.team,
                        uid=str(found.document["uid"]),
                        version=str(found.version) if if_match else None,
                        dry_run=dry_run,
                    )
            except ConflictError:
                found = await self._reload(found, name, if_match)
                continue
            if dry_run:
                return found
            audit_log.record(caller, "delete", team=found.team, name=name, outcome=202)
            if gone is None or gone.get("kind") != kinds.WORKSPACE.kind:
                await self._await_deleted(found)
                return found
            return await self._await_visible(gone)
        raise problems.changing()

    async def version(self) -> int:
        """The version that the API server has reached."""
        return await self.version_of.get(self._version)

    async def is_known(self) -> bool:
        """Whether the directory misses nothing of what the API server has."""
        return await self.known_of.get(self._is_known)

    async def _version(self) -> int:
        page = await anext(self.client.list_pages(_WORKSPACE, page_size=1))
        return int(page["metadata"]["resourceVersion"])

    async def _is_known(self) -> bool:
        listed: dict[Key, int] = {}
        version = 0
        async for page in self.client.list_pages(_WORKSPACE):
            version = int(page["metadata"]["resourceVersion"])
            listed |= {key(each): resource_version(each) for each in page["items"]}
        held = {key(each): resource_version(each) for each in self.directory.workspaces.all()}
        if listed != held:
            return False
        self.directory.complete(version)
        return True

    async def _change(
        self,
        caller: Caller,
        action: str,
        found: View,
        change: Callable[[dict[str, Any]], dict[str, Any]],
        *,
        if_match: str | None,
        dry_run: bool,
    ) -> tuple[View, bool]:
        """Write the changed spec over exactly the one it was made from. One that has changed
        meanwhile is read again: with If-Match that is a lost update (412), and else the change is
        made anew."""
        name = found.name
        for _ in range(_ATTEMPTS):
            found = await self._matching(found, if_match)
            spec = change(dict(found.document["spec"]))
            _require_valid(spec, found.document["spec"])
            try:
                with self._audited(caller, action, found.team, name, dry_run=dry_run):
                    written = await self.client.json_patch(
                        _WORKSPACE,
                        found.resource,
                        found.team,
                        _over(found, spec),
                        field_manager=names.API,
                        dry_run=dry_run,
                    )
            except (InvalidError, ConflictError) as error:
                now = await self._reload(found, name, if_match)
                if _same_spec(now, found) and not isinstance(error, ConflictError):
                    raise
                found = now
                continue
            except NotFoundError:
                raise problems.not_found(name) from None
            changed = written["metadata"]["generation"] != found.document["generation"]
            if dry_run:
                return view(written), changed
            if changed:
                audit_log.record(caller, action, team=found.team, name=name, outcome=202)
            return await self._await_visible(written), changed
        raise problems.changing()

    def _audited(
        self, caller: Caller, action: str, team: str, name: str, *, dry_run: bool
    ) -> AbstractContextManager[None]:
        """Around a write."""
        if dry_run:
            return nullcontext()
        return audit_log.audit_unknown_outcome(caller, action, team=team, name=name)

    async def _matching(self, found: View, if_match: str | None) -> View:
        """The state that If-Match speaks of; the caller may have read a newer one than this replica
        knows. Raises ProblemError (412)."""
        if not etags.matches(found.etag, if_match):
            return await self._reload(found, found.name, if_match)
        return found

    async def _reload(self, found: View, name: str, if_match: str | None) -> View:
        """The workspace as the API server has it now. Raises ProblemError: 404 when it is gone, 412
        when it is not what If-Match speaks of, 409 when nothing does and another has taken its
        place."""
        try:
            now = view(await self.client.get(_WORKSPACE, found.resource, found.team))
        except NotFoundError:
            raise problems.not_found(name) from None
        if now.document["uid"] != found.document["uid"] and if_match is None:
            raise problems.made_anew()
        if not etags.matches(now.etag, if_match):
            raise problems.precondition_failed()
        return now

    async def _await_visible(self, written: Json) -> View:
        """The workspace in the directory, at least as new as what was written."""
        mine = view(written)
        try:
            async with asyncio.timeout(_CATCH_UP_SECONDS):
                await self.directory.workspaces.wait_for_version(mine.version)
        except TimeoutError:
            return mine
        return self.directory.at(*mine.key) or mine

    async def _await_deleted(self, found: View) -> None:
        """Wait until the directory does not have the workspace any more, if it gets there soon."""
        changes, uid = self.directory.changes, found.document["uid"]
        with suppress(TimeoutError):
            async with asyncio.timeout(_CATCH_UP_SECONDS):
                while held := self.directory.at(*found.key):
                    if held.document["uid"] != uid:
                        return
                    await changes.moved(changes.end)

    def _lost_name_race(self, mine: View) -> bool:
        """Whether another resource had the name before: all that came before this one are known,
        and those that came after it are in the log of changes."""
        position = self.directory.changes.position_after(mine.version)
        changes = None if position is None else self.directory.changes.since(position)
        if changes is None:
            return False  # nobody knows any more; the operator decides by their age
        later = {each.key for each in changes if each.type is ChangeType.ADDED}
        others = {each.key for each in self.directory.claimants(mine.name)} - {mine.key}
        return bool(others - later)

    async def _undo_create(self, caller: Caller, mine: View) -> None:
        try:
            await self.client.delete(
                _WORKSPACE, mine.resource, mine.team, uid=str(mine.document["uid"])
            )
            note = "another had the name before"
        except (ApiError, UnreachableError):  # then the operator tells it that the name is taken
            note = "another had the name before; it may still be there"
        audit_log.record(
            caller, "take back", team=mine.team, name=mine.name, outcome=409, note=note
        )

    def _require_team(self, team: str) -> None:
        if team not in self.directory.teams():
            raise _no_team(team)

    async def _load_existing(self, team: str, resource: str) -> View:
        """What has the name of the resource that was to be made. Raises ProblemError (409)."""
        try:
            found = await self.client.get(_WORKSPACE, resource, team)
        except NotFoundError:
            raise _name_taken(resource) from None  # it went just now, or goes
        if workspace_name(found) != resource:  # which, is nothing that a maker need be told
            raise ProblemError(
                409,
                "resource-name-taken",
                f"Team {team!r} has a resource called {resource!r} already, for another "
                "workspace. Choose another workspaceName.",
            )
        return view(found)

    def _require_same_request(
        self, caller: Caller, asked: WorkspaceCreate, held: Iterable[View]
    ) -> View:
        """The workspace that the same request has made before. Raises ProblemError (409)."""
        for each in held:
            if (
                each.team == asked.team
                and each.owner == caller.username
                and not each.document["deleting"]
                and _read(each.document["spec"]) == asked.spec
            ):
                return each
        raise _name_taken(asked.spec.workspace_name)


def _read(spec: dict[str, Any]) -> WorkspaceSpec | None:
    """None for one that these models refuse, whoever let it through."""
    try:
        return WorkspaceSpec.model_validate(spec, extra="ignore")
    except ValidationError:
        return None


def _over(found: View, spec: dict[str, Any]) -> list[Json]:
    return [
        {"op": "test", "path": "/metadata/uid", "value": found.document["uid"]},
        {"op": "test", "path": "/metadata/generation", "value": found.document["generation"]},
        {"op": "replace", "path": "/spec", "value": spec},
    ]


def _same_spec(one: View, other: View) -> bool:
    return bool(one.document["generation"] == other.document["generation"])


def _manifest(caller: Caller, asked: WorkspaceCreate) -> Json:
    return {
        "apiVersion": names.API_VERSION,
        "kind": kinds.WORKSPACE.kind,
        "metadata": {
            "name": asked.spec.workspace_name,
            "namespace": asked.team,
            "annotations": {names.REQUESTED_BY_ANNOTATION: caller.username},
        },
        "spec": _document(asked.spec),
    }


def _document(spec: WorkspaceSpec) -> dict[str, Any]:
    """What was written, and no default: those are the API server's and the platform's."""
    return spec.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)


def _require_valid(spec: dict[str, Any], stored: dict[str, Any]) -> None:
    """Raises ProblemError (422) with every field that is wrong. What was stored so already, as
    under another version's rules, is not the caller's to mend, and stays."""
    before = _refused(stored)
    wrong = [each for each in _refused(spec) if each not in before]
    if wrong:
        raise problems.invalid(
            FieldError(
                problems.path_of(("spec", *each["loc"])), problems.plain(each["type"], each["msg"])
            )
            for each in wrong
        )


def _refused(spec: dict[str, Any]) -> list[ErrorDetails]:
    """Every field that is wrong, with its value."""
    try:
        WorkspaceSpec.model_validate(spec)
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
