"""The API's view of the cluster: watch caches that serve every read."""

import asyncio
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping
from sys import intern
from typing import Any, Final

import structlog

from aichat_workspace.api.web.responses import problems
from aichat_workspace.api.workspaces.change_log import Change, ChangeLog, ChangeType
from aichat_workspace.api.workspaces.views import View, view, workspace_name
from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.domain.policy import size_classes
from aichat_workspace.domain.v1alpha1.platform_settings import (
    DEFAULTS,
    Settings,
    format_problem,
    settings_in_force,
)
from aichat_workspace.domain.v1alpha1.platform_spec import PLATFORM_NAME, PlatformSpec
from aichat_workspace.foundation.metadata import labels
from aichat_workspace.kube.cache import Cache, staleness
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.objects import Json, Key, key, without_managed_fields
from aichat_workspace.kube.store import Store

Order = tuple[str, str, str]
CATCH_UP_SECONDS: Final = 5.0
"""How long an answer waits for the view to have what was written."""
FIRST: Final[Order] = ("", "", "")
_log: Final = structlog.get_logger()


class ClusterView:
    """Workspaces, teams, the platform's settings and patterns, as they are now."""

    def __init__(self, client: Client, builtin_prompts: Mapping[str, str]) -> None:
        self.changes = ChangeLog()
        self._synced = asyncio.Event()
        self._builtin_prompts = builtin_prompts
        self._views: dict[Key, View] = {}
        self._by_name: dict[str, dict[Key, View]] = {}
        self._by_team: dict[str, dict[Key, View]] = {}
        self._order: list[Order] = []
        self._complete_version = 0
        self._settings: Settings | None = None
        self._all_teams: frozenset[str] | None = None
        self._teams_with_workspaces: frozenset[str] | None = None
        self.workspaces = Cache(
            client,
            kinds.WORKSPACE,
            Store(self._on_change),
            transform=without_managed_fields,
        )
        self._namespaces = Cache(
            client,
            kinds.NAMESPACE,
            Store(self._forget_teams),
            transform=_namespace_summary,
        )
        self._quotas = Cache(
            client,
            kinds.RESOURCE_QUOTA,
            Store(lambda *_: None),
            label_selector=names.MANAGED_SELECTOR,
            transform=_quota_summary,
        )
        self._claims = Cache(
            client,
            kinds.VOLUME_CLAIM,
            Store(lambda *_: None),
            label_selector=names.MANAGED_SELECTOR,
            transform=_claim_summary,
        )
        self._platform = Cache(
            client,
            kinds.PLATFORM,
            Store(self._update_settings),
            transform=without_managed_fields,
        )
        self._patterns = Cache(
            client,
            kinds.CONFIG_MAP,
            Store(lambda *_: None),
            namespace=names.SYSTEM_NAMESPACE,
            label_selector=names.PATTERNS_LABEL,
            transform=without_managed_fields,
        )
        self._records = Cache(
            client,
            kinds.CONFIG_MAP,
            Store(self._update_settings),
            namespace=names.SYSTEM_NAMESPACE,
            label_selector=names.MANAGED_SELECTOR,
            transform=without_managed_fields,
        )

    @property
    def _caches(self) -> tuple[Cache, ...]:
        return (
            self.workspaces,
            self._namespaces,
            self._quotas,
            self._claims,
            self._platform,
            self._patterns,
            self._records,
        )

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            for cache in self._caches:
                group.create_task(cache.run())
            group.create_task(self._await_caches())

    async def _await_caches(self) -> None:
        for cache in self._caches:
            await cache.wait_synced()
        self.changes.begin(self.workspaces.version)
        self._synced.set()

    async def wait_synced(self) -> None:
        """Wait until the caches are filled."""
        await self._synced.wait()

    @property
    def is_synced(self) -> bool:
        """Whether the caches are filled; until then, existing objects seem to be missing."""
        return self._synced.is_set()

    @property
    def problem(self) -> str:
        """Why the caches can't be trusted now; empty when they can."""
        return staleness(self._caches)

    @property
    def complete_version(self) -> int:
        """The version up to which no change of a workspace is missing."""
        return max(self.workspaces.version, self._complete_version)

    def mark_complete(self, version: int) -> None:
        """Note that a list of this version has shown that nothing is missing."""
        self._complete_version = max(self._complete_version, version)

    def __len__(self) -> int:
        return len(self._order)

    def sorted_from(self, after: Order) -> Iterator[View]:
        """Yield all workspaces after a position in the order, in order."""
        for _, team, resource in self._order[bisect_right(self._order, after) :]:
            yield self._views[(team, resource)]

    def claimants(self, name: str, team: str | None = None) -> list[View]:
        """Return the resources that name a workspaceName, or the team's ones; the holder first."""
        views = self._by_name.get(name, {}).values()
        return sorted(
            (view for view in views if team in (None, view.team)), key=lambda view: view.rank
        )

    def get(self, team: str, resource: str) -> View | None:
        """Return the workspace of a resource; None without one."""
        return self._views.get((team, resource))

    def resource(self, view: View) -> Json | None:
        """Return the resource of a view, as it is now."""
        return self.workspaces.get(*view.key)

    def teams_with_workspaces(self) -> frozenset[str]:
        """Return the namespaces that have workspaces; all requests share the set."""
        if self._teams_with_workspaces is None:
            self._teams_with_workspaces = frozenset(self._by_team)
        return self._teams_with_workspaces

    def of_team(self, team: str) -> list[View]:
        """Return the team's workspaces, as they are now."""
        return list(self._by_team.get(team, {}).values())

    def teams(self) -> list[str]:
        """Return the namespaces where workspaces may be created."""
        marked = {
            str(namespace["metadata"]["name"])
            for namespace in self._namespaces.all()
            if labels(namespace).get(names.TEAM_LABEL) == "true"
        }
        return sorted(marked | {names.SYSTEM_NAMESPACE})

    def all_teams(self) -> frozenset[str]:
        """Return the namespaces where workspaces may be created or exist; all requests share it."""
        if self._all_teams is None:
            self._all_teams = self.teams_with_workspaces().union(self.teams())
        return self._all_teams

    def namespace(self, name: str) -> Json | None:
        """Return a namespace; None without one."""
        return self._namespaces.get("", name)

    def quota(self, namespace: str, name: str) -> Json | None:
        """Return a tenant's ResourceQuota: what it bounds and counts. None without one."""
        return self._quotas.get(namespace, name)

    def claim(self, namespace: str, name: str) -> Json | None:
        """Return a tenant's PersistentVolumeClaim: its class and sizes. None without one."""
        return self._claims.get(namespace, name)

    def platform(self) -> PlatformSpec:
        """Return the settings in force, as the operator has them. Raises ProblemError (503) while
        one of them is not understood and has no earlier value."""
        settings = self._settings or DEFAULTS
        unknown = (settings.not_understood[name] for name in sorted(settings.unknown))
        if problem := format_problem(unknown):
            raise problems.unavailable(f"{problem}. The platform team should edit it.")
        return settings.spec

    def platform_resource(self) -> Json | None:
        """Return the AIChatPlatform as it is now; None without one."""
        return self._platform.get("", PLATFORM_NAME)

    @property
    def is_upgrade_paused(self) -> bool:
        """Whether the platform team has paused upgrades."""
        return (self._settings or DEFAULTS).is_upgrade_paused

    async def wait_for_platform(self, version: int) -> None:
        """Wait until this version of the AIChatPlatform was seen. Put a time-out around it."""
        await self._platform.wait_for_version(version)

    def models_of(self, spec: Mapping[str, Any]) -> tuple[str, ...] | None:
        """Return the models of a stored spec: its own, or else those of its size class; None where
        that class is missing. Raises ProblemError (503) where the classes are not known."""
        return size_classes.models_of(spec, self.platform)

    def prompts(self) -> dict[str, tuple[str, str]]:
        """Return each pattern's prompt and origin by the pattern's name."""
        prompts = {name: (text, "built in") for name, text in self._builtin_prompts.items()}
        for config_map in sorted(self._patterns.all(), key=key):
            origin = f"ConfigMap {config_map['metadata']['name']}"
            data = config_map.get("data") or {}
            prompts |= {name: (text, origin) for name, text in data.items()}
        return prompts

    def _on_change(self, old: Json | None, new: Json | None) -> None:
        before = self._views.pop(key(old), None) if old is not None else None
        after = self._parse_view(old, new)
        if (before is None) is not (after is None):
            self._teams_with_workspaces = None
            self._forget_teams()
        if before is not None:
            self._remove(before)
        if after is not None:
            self._views[after.key] = after
            self._by_name.setdefault(after.name, {})[after.key] = after
            self._by_team.setdefault(after.team, {})[after.key] = after
            insort(self._order, after.order)
        state = after or before
        if state is not None:
            kind = _change_type(before, after)
            self.changes.add(Change(self.workspaces.version, kind, state.key, state))

    def _parse_view(self, old: Json | None, new: Json | None) -> View | None:
        """Return the view of the new state; None for a resource without a workspaceName.

        The CRD of an earlier version accepted such resources; each is logged once.
        """
        if new is None:
            return None
        if workspace_name(new) is None:
            if old is None or workspace_name(old) is not None:
                location = "/".join(key(new))
                _log.error(
                    "a resource without spec.workspaceName", resource=location, fix="delete it"
                )
            return None
        return view(new)

    def _update_settings(self, *_: Json | None) -> None:
        """Take in the AIChatPlatform and the operator's record as they are now."""
        settings = settings_in_force(
            self._platform.get("", PLATFORM_NAME),
            self._records.get(names.SYSTEM_NAMESPACE, names.SETTINGS_RECORD),
            self._settings,
        )
        if settings is not None and settings != self._settings and settings.problem:
            _log.error(settings.problem, fix="edit it")
        self._settings = settings

    def _forget_teams(self, *_: Json | None) -> None:
        self._all_teams = None

    def _remove(self, view: View) -> None:
        del self._order[bisect_left(self._order, view.order)]
        _remove_from(self._by_name, view.name, view)
        _remove_from(self._by_team, view.team, view)


def _remove_from(groups: dict[str, dict[Key, View]], group: str, view: View) -> None:
    views = groups[group]
    del views[view.key]
    if not views:
        del groups[group]


def _change_type(before: View | None, after: View | None) -> ChangeType:
    if after is None:
        return ChangeType.DELETED
    return ChangeType.MODIFIED if before else ChangeType.ADDED


def _namespace_summary(obj: Json) -> Json:
    """Return the namespace with only the fields that say its owner and whether it is a team's."""
    fields = ("name", "uid", "labels", "annotations", "resourceVersion", "deletionTimestamp")
    metadata = {name: value for name, value in obj["metadata"].items() if name in fields}
    return {"kind": "Namespace", "metadata": metadata}


def _quota_summary(obj: Json) -> Json:
    """Return the quota with only what it bounds and counts."""
    status = obj.get("status") or {}
    parts = {part: _interned(status.get(part) or {}) for part in ("hard", "used")}
    return {"metadata": _identity(obj), "status": parts}


def _claim_summary(obj: Json) -> Json:
    """Return the claim with only its class, its sizes and its phase."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    return {
        "metadata": _identity(obj),
        "spec": {name: spec.get(name) for name in ("storageClassName", "resources")},
        "status": {name: status.get(name) for name in ("phase", "capacity")},
    }


def _interned(quantities: Mapping[str, str]) -> dict[str, str]:
    """Return them with each text kept once: most workspaces have the same."""
    return {intern(resource): intern(text) for resource, text in quantities.items()}


def _identity(obj: Json) -> Json:
    fields = ("name", "namespace", "uid", "resourceVersion")
    return {name: value for name, value in obj["metadata"].items() if name in fields}
