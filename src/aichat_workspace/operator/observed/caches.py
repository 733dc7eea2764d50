"""What the operator watches: one cache per kind, for all workspaces together."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.domain.kubernetes.field_ownership import removals
from aichat_workspace.domain.kubernetes.manifest import Manifest, covers, ref
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.policy import cluster_addresses
from aichat_workspace.domain.policy.ownership import is_orphaned
from aichat_workspace.domain.policy.platform_secrets import (
    secret_names,
)
from aichat_workspace.domain.status.platform_status import (
    Enforcement,
    admitted_namespaces,
)
from aichat_workspace.domain.v1alpha1.platform_settings import (
    format_problem,
)
from aichat_workspace.foundation.metadata import annotations
from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.cache import Cache, staleness
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.objects import Json, key, uid, without_managed_fields
from aichat_workspace.kube.store import Store
from aichat_workspace.operator.observed import trimming
from aichat_workspace.operator.observed.platform_settings import PlatformSettings
from aichat_workspace.operator.observed.workspace_index import WorkspaceIndex, chosen_host

_NAMED_BY_PLATFORM: Final = frozenset(
    {
        kinds.PLATFORM,
        kinds.STORAGE_CLASS,
        kinds.INGRESS_CLASS,
        kinds.GATEWAY,
        kinds.CLUSTER_ISSUER,
    }
)
"""The platform's status tells of these."""
_ADDRESSES: Final[Mapping[Resource, Callable[[Json], frozenset[str]]]] = {
    kinds.NODE: cluster_addresses.of_node,
    kinds.ENDPOINT_SLICE: cluster_addresses.of_endpoints,
}
# One comes while the other is decoded. All at once took 220 MB for a thousand workspaces.
_LISTS_AT_ONCE: Final = 2
# What a tenant object's status says before anything has written it.
_NEW_STATUSES: Final[tuple[Json, ...]] = ({}, {"replicas": 0}, {"phase": "Pending"})


class Caches:
    """Caches of all kinds that the operator reads, each for all workspaces together.

    `on_change` is called with the name of each workspace that a change concerns, `on_settings` when
    the platform's settings changed. `dns_servers` are the ranges of the servers that answer the
    operator's own questions for names.
    """

    def __init__(
        self,
        client: Client,
        on_change: Callable[[str], None],
        on_settings: Callable[[], None] = lambda: None,
        dns_servers: tuple[str, ...] = (),
    ) -> None:
        self._on_change = on_change
        self._on_settings = on_settings
        self._client = client
        self._list_slots = asyncio.Semaphore(_LISTS_AT_ONCE)
        self._expected_statuses: dict[str, Json] = {}
        self.index = WorkspaceIndex()
        self.enforcement: Enforcement | None = None
        self.api_endpoints_moved = asyncio.Event()  # for operator.enforcement_check
        self.session_key_moved = asyncio.Event()  # for operator.session_key, which clears it
        self.settings_moved = asyncio.Event()  # for operator.settings_record, which clears it
        self.platform_moved = asyncio.Event()  # for operator.platform_reporter, which clears it
        self.workspaces = self._cache(
            kinds.WORKSPACE, _workspace_name, transform=trimming.workspace, is_packed=True
        )
        self.platform = self._cache(kinds.PLATFORM, None, transform=without_managed_fields)
        self.namespaces = self._cache(kinds.NAMESPACE, _name, transform=trimming.namespace)
        self.pods = self._cache(
            kinds.POD,
            _namespace_of,
            label_selector=names.MANAGED_SELECTOR,
            transform=trimming.pod,
            is_packed=True,
        )
        self.secrets = self._cache(
            kinds.SECRET, self._served, namespace=names.SYSTEM_NAMESPACE, transform=trimming.secret
        )
        self.ingress_classes = self._cache(
            kinds.INGRESS_CLASS, None, transform=without_managed_fields
        )
        self.storage_classes = self._cache(
            kinds.STORAGE_CLASS, None, transform=without_managed_fields
        )
        self.snapshot_classes = self._cache(
            kinds.VOLUME_SNAPSHOT_CLASS, None, transform=without_managed_fields, optional=True
        )
        self.gateways = self._cache(kinds.GATEWAY, _of_none, transform=trimming.head, optional=True)
        self.issuers = self._cache(
            kinds.CLUSTER_ISSUER, _of_none, transform=trimming.head, optional=True
        )
        self.nodes = self._cache(kinds.NODE, _of_none, transform=trimming.node)
        self.api_servers = self._cache(
            kinds.ENDPOINT_SLICE,
            _of_none,
            namespace="default",
            label_selector="kubernetes.io/service-name=kubernetes",
            transform=without_managed_fields,
        )
        self.api_endpoints = Cache(
            client,
            kinds.ENDPOINT_SLICE,
            Store(lambda *_: self.api_endpoints_moved.set()),
            namespace=names.SYSTEM_NAMESPACE,
            label_selector=f"kubernetes.io/service-name={names.API}",
            transform=without_managed_fields,
        )
        self.patterns = self._cache(
            kinds.CONFIG_MAP,
            None,
            namespace=names.SYSTEM_NAMESPACE,
            label_selector=names.PATTERNS_LABEL,
            transform=without_managed_fields,
        )
        self.bundles = self._cache(
            kinds.CONFIG_MAP,
            _of_none,
            namespace=names.SYSTEM_NAMESPACE,
            transform=trimming.config_map,
        )
        self.records = Cache(
            client,
            kinds.CONFIG_MAP,
            Store(self._take_record),
            namespace=names.SYSTEM_NAMESPACE,
            label_selector=names.MANAGED_SELECTOR,
            transform=without_managed_fields,
        )
        self.tenants = {
            kind.kind: self._cache(
                kind,
                _namespace_of,
                label_selector=names.MANAGED_SELECTOR,
                transform=trimming.tenant_object,
                optional=kind in kinds.OPTIONAL_TENANT_KINDS,
                is_packed=True,
            )
            for kind in kinds.WATCHED_TENANT_KINDS
        }
        self.settings = PlatformSettings(
            self.platform, self.records, self.nodes, self.api_servers, dns_servers
        )

    @property
    def all(self) -> tuple[Cache, ...]:
        return (
            self.workspaces,
            self.platform,
            self.namespaces,
            self.pods,
            self.secrets,
            self.ingress_classes,
            self.storage_classes,
            self.snapshot_classes,
            self.gateways,
            self.issuers,
            self.nodes,
            self.api_servers,
            self.api_endpoints,
            self.patterns,
            self.bundles,
            self.records,
            *self.tenants.values(),
        )

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for cache in self.all:
                group.create_task(cache.run())

    async def wait_synced(self) -> None:
        """Everything is known that was there at the start."""
        for cache in self.all:
            await cache.wait_synced()

    @property
    def problem(self) -> str:
        """Why they can't be trusted now; empty when they can."""
        if problem := staleness(self.all):
            return problem
        settings = self.settings.in_force
        return format_problem(settings.not_understood[name] for name in sorted(settings.unknown))

    def _take_record(self, *_: Json | None) -> None:
        """Take in the record. It counts at the start only, when all workspaces are reconciled."""
        self._take_settings()

    def _take_settings(self) -> bool:
        """Take in the AIChatPlatform and the record as they are now. Return whether workspaces have
        other settings by that, or upgrades are paused or resumed."""
        self.settings_moved.set()
        is_moved = self.settings.take_in()
        if is_moved:
            self._on_settings()
        return is_moved

    def _addresses_changed(self) -> None:
        """Take in the cluster's new addresses. Bring all workspaces back if walls differ."""
        if self.settings.take_in_addresses():
            self._on_settings()
            for name in self.workspace_names():
                self._on_change(name)

    def tenant(self, name: str) -> Observed:
        """Everything known of one tenant."""
        return Observed(
            namespace=self.namespaces.get("", name),
            objects={
                ref(obj): obj for cache in self.tenants.values() for obj in cache.by_index(name)
            },
            pods=self.pods.by_index(name),
            expandable_classes=frozenset(
                _name(storage_class)
                for storage_class in self.storage_classes.all()
                if storage_class.get("allowVolumeExpansion")
            ),
        )

    def prompts(self) -> dict[str, str]:
        """The patterns of the platform team's ConfigMaps, by name."""
        config_maps = sorted(self.patterns.all(), key=_name)
        return {
            name: prompt
            for config_map in config_maps
            for name, prompt in (config_map.get("data") or {}).items()
        }

    def observe(self, obj: Json) -> None:
        """Take in the reply to a write of ours. Secrets of tenants are not kept."""
        if obj["kind"] in self.tenants:
            self.tenants[obj["kind"]].observe(obj)
        elif obj["kind"] == kinds.NAMESPACE.kind:
            self.namespaces.observe(obj)
        elif obj["kind"] == kinds.WORKSPACE.kind:
            self.workspaces.observe(obj)
        elif obj["kind"] == kinds.PLATFORM.kind:
            self.platform.observe(obj)

    def observe_applied(self, obj: Json, desired: Manifest) -> None:
        """Take in the reply to an apply. It is news only if the object is not as desired by it, or
        if its status has moved meanwhile."""
        if (cache := self.tenants.get(obj["kind"])) is None:
            self.observe(obj)
            return
        namespace, name = key(obj)
        before = cache.get(namespace, name)
        cache.observe(obj, is_news=False)
        after = cache.get(namespace, name)
        allowed = self.settings.spec().allowed.foreign_metadata
        if after is not None and not _is_settled(before, after, desired, allowed):
            self._on_change(namespace)

    def expect_status(self, uid: str, status: Json) -> None:
        """A workspace's status is being written: to see it is no news, and one that is refused
        again and again is not looked at again for what it says of that."""
        self._expected_statuses[uid] = status

    def _is_expected(self, old: Json | None, new: Json | None) -> bool:
        """Whether nothing has changed but the status, to what we have just written."""
        if old is None or new is None:
            self._expected_statuses.pop(uid(old or new or {}), "")
            return False
        expected = self._expected_statuses.get(uid(new))
        if expected is None or new.get("status") != expected:
            return False
        del self._expected_statuses[uid(new)]
        return _but_status(old) == _but_status(new)

    def workspace_names(self) -> set[str]:
        """The names that resources give to workspaces."""
        return {str(name) for name in self.workspaces.groups if name}

    def orphaned_namespaces(self) -> list[str]:
        """The namespaces whose resource is gone."""
        return [
            _name(namespace) for namespace in self.namespaces.all() if self._is_orphaned(namespace)
        ]

    def _is_orphaned(self, namespace: Json) -> bool:
        if not is_orphaned(namespace, ()):
            return False  # whatever names it: resources take time to read
        claimants = self.workspaces.by_index(_name(namespace))
        return is_orphaned(namespace, [uid(claimant) for claimant in claimants])

    def _is_known(self, name: str) -> bool:
        """Whether a resource names the workspace, or a namespace is left of one."""
        if name in self.workspaces.groups:
            return True
        namespace = self.namespaces.get("", name)
        return namespace is not None and self._is_orphaned(namespace)

    def _take_in(self, kind: Resource, old: Json | None, new: Json | None) -> bool:
        """Take in what concerns all workspaces together. Return whether that is all of it."""
        if kind in _NAMED_BY_PLATFORM:
            self.platform_moved.set()
        if kind is kinds.PLATFORM:
            # A written status is no news: workspaces follow the spec alone.
            return _is_same_spec(old, new) or not self._platform_changed()
        addresses = _ADDRESSES.get(kind)
        if addresses and addresses(old or {}) != addresses(new or {}):
            self._addresses_changed()
        if kind is kinds.SECRET and any(map(_is_session_key, (old, new))):
            self.session_key_moved.set()
        return False

    def _platform_changed(self) -> bool:
        """Take in another spec. Return whether workspaces have other settings by that."""
        optional = (self.tenants[kind.kind] for kind in kinds.OPTIONAL_TENANT_KINDS)
        for cache in (*optional, self.gateways, self.issuers, self.snapshot_classes):
            cache.retry_discovery()  # it may name a Gateway, an issuer or snapshots now
        return self._take_settings()

    def _workspace_changed(self, old: Json | None, new: Json | None) -> set[str | None]:
        """Index and count a workspace. Return the other ones that the change concerns."""
        if self.index.take_in(old, new):
            self.platform_moved.set()
        return self._rivals(old, new)

    def workspaces_with_host(self, host: str) -> list[Json]:
        """The workspaces that chose this host."""
        workspaces = (self.workspaces.get(*key) for key in self.index.with_host(host))
        return [workspace for workspace in workspaces if workspace is not None]

    def _rivals(self, *changed: Json | None) -> set[str | None]:
        """Workspaces that chose a host which a changed one has or had: it may be theirs now."""
        hosts = {chosen_host(workspace) for workspace in changed if workspace is not None} - {None}
        return {
            _workspace_name(workspace)
            for host in hosts
            for workspace in self.workspaces_with_host(str(host))
        }

    def _served(self, secret: Json) -> str | None:
        """The workspace that the Secret says it is for, or whose credentials have its name."""
        namespace, _, name = annotations(secret).get(names.SECRET_FOR_ANNOTATION, "").partition("/")
        workspace = self.workspaces.get(namespace, name)
        return (
            _workspace_name(workspace)
            if workspace
            else names.workspace_of_credentials(_name(secret))
        )

    def _is_admitted(self, kind: Resource, obj: Json | None) -> bool:
        """Whether the platform's status tells of this namespace: that a tenant comes is no news."""
        if kind is not kinds.NAMESPACE or obj is None:
            return False
        return _name(obj) in admitted_namespaces(self.settings.in_force.spec)

    def _is_platform_object(self, kind: Resource, obj: Json | None) -> bool:
        """Whether the settings name an object of the system namespace for all workspaces."""
        if obj is None:
            return False
        settings = self.settings.in_force.spec
        if kind is kinds.SECRET:
            return _name(obj) in secret_names(settings)
        authorities = settings.trusted_authorities
        is_named = authorities is not None and _name(obj) == authorities.config_map_name
        return kind is kinds.CONFIG_MAP and is_named

    def _cache(
        self,
        kind: Resource,
        workspace_of: Callable[[Json], str | None] | None,
        *,
        is_packed: bool = False,
        **options: Any,
    ) -> Cache:
        """A cache indexed by workspace. Without one, a change concerns every workspace."""

        def changed(old: Json | None, new: Json | None) -> None:
            if old is not None and new is not None and _but_version(old) == _but_version(new):
                return
            if self._take_in(kind, old, new):
                return
            is_for_all = self._is_platform_object(kind, old or new)
            if is_for_all or self._is_admitted(kind, old or new):
                self.platform_moved.set()
            if workspace_of is None or is_for_all:
                moved: set[str | None] = {*self.workspace_names(), *self.orphaned_namespaces()}
            else:
                moved = {workspace_of(obj) for obj in (old, new) if obj is not None}
            if kind is kinds.WORKSPACE:
                own = moved if self._is_expected(old, new) else set()
                moved = (moved | self._workspace_changed(old, new)) - own
            for name in moved:
                if name and (kind is kinds.WORKSPACE or self._is_known(name)):
                    self._on_change(name)

        store = Store(changed, workspace_of or (lambda _: None), is_packed)
        return Cache(self._client, kind, store, list_slots=self._list_slots, **options)


def _of_none(_: Json) -> None:
    """The index of a kind whose changes concern no workspace."""


def _is_settled(
    before: Json | None, after: Json, desired: Manifest, allowed_metadata: tuple[str, ...]
) -> bool:
    """Whether an apply left nothing to do, and no other change came with its reply."""
    status = after.get("status", {})
    is_known = status in _NEW_STATUSES if before is None else status == before.get("status", {})
    is_own = covers(after, desired) and not removals(after, desired, allowed_metadata)
    return is_known and is_own


def _but_version(obj: Json) -> Json:
    metadata = {key: value for key, value in obj["metadata"].items() if key != "resourceVersion"}
    return {**obj, "metadata": metadata}


def _is_same_spec(old: Json | None, new: Json | None) -> bool:
    """Whether the settings are as they were; an annotation may pause upgrades."""
    if old is None or new is None:
        return False
    return old.get("spec") == new.get("spec") and annotations(old) == annotations(new)


def _but_status(obj: Json) -> Json:
    return _but_version({key: value for key, value in obj.items() if key != "status"})


def _workspace_name(obj: Json) -> str | None:
    name: str | None = obj.get("spec", {}).get("workspaceName")
    return name


def _is_session_key(obj: Json | None) -> bool:
    return obj is not None and _name(obj) == names.API_SESSION


def _name(obj: Json) -> str:
    return str(obj["metadata"]["name"])


def _namespace_of(obj: Json) -> str:
    return str(obj["metadata"]["namespace"])
