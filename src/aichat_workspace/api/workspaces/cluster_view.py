"""What the API knows of the cluster: watch caches that serve every read, whoever asks."""

import asyncio
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping
from typing import Final

import structlog
from pydantic import ValidationError

from aichat_workspace.api.web import problems
from aichat_workspace.api.workspaces.change_log import Change, Changes, ChangeType
from aichat_workspace.api.workspaces.views import View, view, workspace_name
from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.domain.v1alpha1.platform_spec import (
    PLATFORM_NAME,
    PlatformSpec,
    read_settings,
)
from aichat_workspace.kube.cache import Cache, staleness
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.objects import Json, Key, key, labels

Order = tuple[str, str, str]
FIRST: Final[Order] = ("", "", "")
_log: Final = structlog.get_logger()


class ClusterView:
    """Workspaces, teams, the platform's settings and patterns, as they are now."""

    def __init__(self, client: Client, builtin_prompts: Mapping[str, str]) -> None:
        self.changes = Changes()
        self._begun = asyncio.Event()
        self._builtin = builtin_prompts
        self._views: dict[Key, View] = {}
        self._by_name: dict[str, dict[Key, View]] = {}
        self._order: list[Order] = []
        self._complete_until = 0
        self._settings: PlatformSpec | None = PlatformSpec()
        self._settings_problem = ""
        self.workspaces = Cache(
            client,
            kinds.WORKSPACE,
            on_change=self._changed,
            transform=_without_fields,
        )
        self._namespaces = Cache(
            client,
            kinds.NAMESPACE,
            on_change=lambda *_: None,
            transform=_namespace,
        )
        self._platform = Cache(
            client,
            kinds.PLATFORM,
            on_change=self._take_settings,
            transform=_without_fields,
        )
        self._patterns = Cache(
            client,
            kinds.CONFIG_MAP,
            on_change=lambda *_: None,
            namespace=names.SYSTEM_NAMESPACE,
            label_selector=names.PATTERNS_LABEL,
            transform=_without_fields,
        )

    @property
    def _all(self) -> tuple[Cache, ...]:
        return (self.workspaces, self._namespaces, self._platform, self._patterns)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for cache in self._all:
                group.create_task(cache.run())
            group.create_task(self._begin())

    async def _begin(self) -> None:
        for cache in self._all:
            await cache.wait_synced()
        self.changes.begin(self.workspaces.version)
        self._begun.set()

    async def wait_synced(self) -> None:
        await self._begun.wait()

    @property
    def synced(self) -> bool:
        """Whether everything that was there at the start is known; nobody is to be told anything
        before, for what is not known yet looks as if it were not there."""
        return self._begun.is_set()

    @property
    def problem(self) -> str:
        """Why what is known can't be trusted now; empty when it can."""
        return staleness(self._all)

    @property
    def complete_until(self) -> int:
        """Up to which version nothing of workspaces is missing."""
        return max(self.workspaces.version, self._complete_until)

    def complete(self, version: int) -> None:
        """A list of this version has shown that nothing is missing, before the watch tells so."""
        self._complete_until = max(self._complete_until, version)

    def __len__(self) -> int:
        return len(self._order)

    def sorted_from(self, after: Order) -> Iterator[View]:
        """Every workspace behind a place in the order, in order."""
        for _, team, resource in self._order[bisect_right(self._order, after) :]:
            yield self._views[(team, resource)]

    def named(self, name: str, team: str | None = None) -> View | None:
        """The resource that counts for a workspaceName, or the one of a team."""
        found = self._by_name.get(name, {}).values()
        of_team = [each for each in found if team is None or each.team == team]
        return min(of_team, key=lambda each: each.rank, default=None)

    def claimants(self, name: str) -> tuple[View, ...]:
        return tuple(self._by_name.get(name, {}).values())

    def at(self, team: str, resource: str) -> View | None:
        return self._views.get((team, resource))

    def object(self, of: View) -> Json | None:
        """The resource behind a view, as it is now."""
        return self.workspaces.get(*of.key)

    def teams_with_workspaces(self) -> set[str]:
        return {team for team, _ in self._views}

    def teams(self) -> list[str]:
        """Namespaces in which workspaces may be."""
        marked = {
            str(each["metadata"]["name"])
            for each in self._namespaces.all()
            if labels(each).get(names.TEAM_LABEL) == "true"
        }
        return sorted(marked | {names.SYSTEM_NAMESPACE})

    def all_teams(self) -> set[str]:
        """Namespaces in which workspaces may be or are."""
        return {*self.teams(), *self.teams_with_workspaces()}

    def namespace(self, name: str) -> Json | None:
        return self._namespaces.get("", name)

    def platform(self) -> PlatformSpec:
        """The settings, or the last ones that were understood. Raises ProblemError (503) while
        there were never any."""
        if self._settings is None:
            raise problems.unavailable(
                f"{self._settings_problem}. The platform team should edit it."
            )
        return self._settings

    def prompts(self) -> dict[str, tuple[str, str]]:
        """Each pattern's prompt and where it comes from, by the pattern's name."""
        found = {name: (text, "built in") for name, text in self._builtin.items()}
        for each in sorted(self._patterns.all(), key=key):
            origin = f"ConfigMap {each['metadata']['name']}"
            found |= {name: (text, origin) for name, text in (each.get("data") or {}).items()}
        return found

    def _changed(self, old: Json | None, new: Json | None) -> None:
        before = self._views.pop(key(old), None) if old is not None else None
        after = self._readable(old, new)
        if before is not None:
            self._forget(before)
        if after is not None:
            self._views[after.key] = after
            self._by_name.setdefault(after.name, {})[after.key] = after
            insort(self._order, after.order)
        shown = after or before
        if shown is not None:
            kind = _change_type(before, after)
            self.changes.add(Change(self.workspaces.version, kind, shown.key, shown))

    def _readable(self, old: Json | None, new: Json | None) -> View | None:
        """The view of what is there now; one that the CRD of an earlier version let through without
        a workspaceName is told of once, and is no workspace."""
        if new is None:
            return None
        if workspace_name(new) is None:
            if old is None or workspace_name(old) is not None:
                where = "/".join(key(new))
                _log.error("a resource without spec.workspaceName", resource=where, fix="delete it")
            return None
        return view(new)

    def _take_settings(self, _: Json | None, new: Json | None) -> None:
        """Settings that can't be understood leave the last ones that were, as in the operator.
        Those that are so from the beginning leave none: the operator waits for better ones, too."""
        try:
            self._settings = read_settings(new)
            self._settings_problem = ""
        except ValidationError as error:
            where = problems.path_of(("spec", *error.errors()[0]["loc"]))
            self._settings_problem = f"AIChatPlatform {PLATFORM_NAME!r} is not understood: {where}"
            _log.error(self._settings_problem, fix="edit it; until then nothing of it is taken up")
            if not self._platform.is_synced:
                self._settings = None

    def _forget(self, gone: View) -> None:
        del self._order[bisect_left(self._order, gone.order)]
        of_name = self._by_name[gone.name]
        del of_name[gone.key]
        if not of_name:
            del self._by_name[gone.name]


def _change_type(before: View | None, after: View | None) -> ChangeType:
    if after is None:
        return ChangeType.DELETED
    return ChangeType.MODIFIED if before else ChangeType.ADDED


def _without_fields(obj: Json) -> Json:
    metadata = {name: each for name, each in obj["metadata"].items() if name != "managedFields"}
    return {**obj, "metadata": metadata}


def _namespace(obj: Json) -> Json:
    """Who owns it and whether it is a team's."""
    kept = ("name", "uid", "labels", "annotations", "resourceVersion", "deletionTimestamp")
    metadata = {name: each for name, each in obj["metadata"].items() if name in kept}
    return {"kind": "Namespace", "metadata": metadata}
