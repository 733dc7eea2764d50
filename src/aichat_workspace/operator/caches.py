"""What the operator watches: one cache per kind, for all workspaces together."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog
from pydantic import ValidationError

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.domain.kubernetes.field_ownership import keep_foreign
from aichat_workspace.domain.kubernetes.manifest import ref
from aichat_workspace.domain.planning.plan import Observed
from aichat_workspace.domain.policy import cluster_addresses
from aichat_workspace.domain.status.platform_status import PlatformInputs, Standing, standing
from aichat_workspace.domain.v1alpha1.platform_spec import (
    PLATFORM_NAME,
    PlatformSpec,
    read_settings,
)
from aichat_workspace.domain.v1alpha1.platform_status import WorkspaceCounts
from aichat_workspace.domain.v1alpha1.workspace import format_refusal
from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.cache import Cache, staleness
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.objects import (
    Json,
    annotations,
    key,
    labels,
    uid,
    without_managed_fields,
)

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
_IDENTITY: Final = ("name", "namespace", "uid", "resourceVersion")
_log: Final = structlog.get_logger()


class Caches:
    """Caches of all kinds that the operator reads, each for all workspaces together.

    `on_change` is called with the name of each workspace that a change concerns, `on_settings` when
    the platform's settings changed.
    """

    def __init__(
        self,
        client: Client,
        on_change: Callable[[str], None],
        on_settings: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_change = on_change
        self._on_settings = on_settings
        self._client = client
        self._settings = PlatformSpec()
        self._base: PlatformSpec | None = None
        self._effective = self._settings  # of `_base`, with the cluster's addresses
        self._settings_known = asyncio.Event()
        self._settings_problem = ""
        self._expected_statuses: dict[str, Json] = {}
        self._hosts: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        self._standings: Counter[Standing] = Counter()
        self.session_key_moved = asyncio.Event()  # for operator.session_key, which clears it
        self.platform_moved = asyncio.Event()  # for operator.platform_reporter, which clears it
        self.workspaces = self._cache(
            kinds.WORKSPACE, _workspace_name, transform=without_managed_fields
        )
        self.platform = self._cache(kinds.PLATFORM, None, transform=without_managed_fields)
        self.namespaces = self._cache(kinds.NAMESPACE, _name, transform=_namespace)
        self.pods = self._cache(
            kinds.POD, _namespace_of, label_selector=names.MANAGED_SELECTOR, transform=_pod
        )
        self.secrets = self._cache(
            kinds.SECRET, self._served, namespace=names.SYSTEM_NAMESPACE, transform=_secret
        )
        self.ingress_classes = self._cache(
            kinds.INGRESS_CLASS, None, transform=without_managed_fields
        )
        self.storage_classes = self._cache(
            kinds.STORAGE_CLASS, None, transform=without_managed_fields
        )
        self.gateways = self._cache(kinds.GATEWAY, _of_none, transform=_head, optional=True)
        self.issuers = self._cache(kinds.CLUSTER_ISSUER, _of_none, transform=_head, optional=True)
        self.nodes = self._cache(kinds.NODE, _of_none, transform=_node)
        self.api_servers = self._cache(
            kinds.ENDPOINT_SLICE,
            _of_none,
            namespace="default",
            label_selector="kubernetes.io/service-name=kubernetes",
            transform=without_managed_fields,
        )
        self.patterns = self._cache(
            kinds.CONFIG_MAP,
            None,
            namespace=names.SYSTEM_NAMESPACE,
            label_selector=names.PATTERNS_LABEL,
            transform=without_managed_fields,
        )
        self.tenants = {
            kind.kind: self._cache(
                kind,
                _namespace_of,
                label_selector=names.MANAGED_SELECTOR,
                transform=_tenant_object,
                optional=kind is kinds.HTTP_ROUTE,
            )
            for kind in kinds.WATCHED_TENANT_KINDS
        }

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
            self.gateways,
            self.issuers,
            self.nodes,
            self.api_servers,
            self.patterns,
            *self.tenants.values(),
        )

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for cache in self.all:
                group.create_task(cache.run())

    async def wait_synced(self) -> None:
        """Everything is known that was there at the start. Settings that can't be understood are
        waited for until they are mended: defaults in their place would change every workspace."""
        for cache in self.all:
            await cache.wait_synced()
        if not self._settings_problem:
            self._settings_known.set()
        await self._settings_known.wait()

    @property
    def problem(self) -> str:
        """Why they can't be trusted now; empty when they can."""
        if problem := staleness(self.all):
            return problem
        return "" if self._settings_known.is_set() else self._settings_problem

    def settings(self) -> PlatformSpec:
        """The platform's settings as they are now, or the defaults; the last ones that were
        understood, while those that are there can't be. The cluster's own addresses are excepted
        from what workspaces may reach."""
        if self._base is not self._settings:
            self._base = self._settings
            self._effective = cluster_addresses.without(self._settings, self._addresses())
        return self._effective

    def _addresses(self) -> set[str]:
        return {
            *(address for node in self.nodes.all() for address in cluster_addresses.of_node(node)),
            *(
                address
                for endpoint_slice in self.api_servers.all()
                for address in cluster_addresses.of_endpoints(endpoint_slice)
            ),
        }

    def _addresses_changed(self) -> None:
        """Take in the cluster's new addresses. Bring all workspaces back if walls differ."""
        before = self.settings()
        self._base = None
        is_listed = self.nodes.is_synced and self.api_servers.is_synced
        if is_listed and self.settings() != before:  # before that nothing is reconciled
            self._on_settings()
            for name in self.workspace_names():
                self._on_change(name)

    def _take_settings(self, platform: Json | None) -> None:
        try:
            self._settings = read_settings(platform)
        except ValidationError as error:
            self._settings_problem = (
                f"AIChatPlatform {PLATFORM_NAME!r} is not understood: {format_refusal(error)}"
            )
            _log.error(self._settings_problem, fix="edit it; until then nothing of it is taken up")
            return
        self._settings_problem = ""
        self._settings_known.set()
        self._on_settings()

    def present_platform(self) -> Json | None:
        """The AIChatPlatform as the API server has it."""
        return self.platform.get("", PLATFORM_NAME)

    def platform_inputs(self, platform: Json) -> PlatformInputs:
        """What the platform's status is computed from. It costs the same with any number of
        workspaces."""
        return PlatformInputs(
            generation=platform["metadata"].get("generation", 0),
            settings=self._settings,
            refusal=self._settings_problem,
            storage_classes=tuple(self.storage_classes.all()),
            ingress_classes=tuple(self.ingress_classes.all()),
            gateways=tuple(self.gateways.all()),
            issuers=tuple(self.issuers.all()),
            counts=WorkspaceCounts(
                total=self._standings.total(),
                following=self._standings[Standing.FOLLOWING],
                waiting=self._standings[Standing.WAITING],
                failing=self._standings[Standing.FAILING],
            ),
        )

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
        """Take in the reply to a write of ours."""
        if obj["kind"] in self.tenants:
            self.tenants[obj["kind"]].observe(obj)
        elif obj["kind"] == kinds.NAMESPACE.kind:
            self.namespaces.observe(obj)
        elif obj["kind"] == kinds.WORKSPACE.kind:
            self.workspaces.observe(obj)
        elif obj["kind"] == kinds.PLATFORM.kind:
            self.platform.observe(obj)

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
        return {*filter(None, map(_workspace_name, self.workspaces.all()))}

    def workspaces_with_host(self, host: str) -> list[Json]:
        """The workspaces that chose this host."""
        keys = sorted(self._hosts.get(host, ()))
        workspaces = (self.workspaces.get(*key) for key in keys)
        return [workspace for workspace in workspaces if workspace is not None]

    def _concerns_nobody(self, kind: Resource, old: Json | None, new: Json | None) -> bool:
        """Take in what concerns all workspaces together. Return whether that is all of it."""
        if kind in _NAMED_BY_PLATFORM:
            self.platform_moved.set()
        if kind is kinds.PLATFORM:
            if _is_same_spec(old, new):
                return True  # a written status: workspaces follow the spec alone
            self._platform_changed(new)
        addresses = _ADDRESSES.get(kind)
        if addresses and addresses(old or {}) != addresses(new or {}):
            self._addresses_changed()
        if kind is kinds.SECRET and any(map(_is_session_key, (old, new))):
            self.session_key_moved.set()
        return False

    def _platform_changed(self, platform: Json | None) -> None:
        for cache in (self.tenants[kinds.HTTP_ROUTE.kind], self.gateways, self.issuers):
            cache.retry_discovery()  # it may name a Gateway or an issuer now
        self._take_settings(platform)

    def _workspace_changed(self, old: Json | None, new: Json | None) -> set[str | None]:
        """Index and count a workspace. Return the other ones that the change concerns."""
        self._index_host(old, new)
        self._count(old, new)
        return self._rivals(old, new)

    def _index_host(self, old: Json | None, new: Json | None) -> None:
        if old is not None and (host := _chosen_host(old)):
            self._hosts[host].discard(key(old))
            if not self._hosts[host]:
                del self._hosts[host]
        if new is not None and (host := _chosen_host(new)):
            self._hosts[host].add(key(new))

    def _count(self, old: Json | None, new: Json | None) -> None:
        before = None if old is None else standing(old)
        after = None if new is None else standing(new)
        if before is after:
            return
        if before is not None:
            self._standings[before] -= 1
        if after is not None:
            self._standings[after] += 1
        self.platform_moved.set()

    def _rivals(self, *changed: Json | None) -> set[str | None]:
        """Workspaces that chose a host which a changed one has or had: it may be theirs now."""
        hosts = {_chosen_host(workspace) for workspace in changed if workspace is not None} - {None}
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

    def _cache(
        self, kind: Resource, workspace_of: Callable[[Json], str | None] | None, **options: Any
    ) -> Cache:
        """A cache indexed by workspace. Without one, a change concerns every workspace."""

        def changed(old: Json | None, new: Json | None) -> None:
            if self._concerns_nobody(kind, old, new):
                return
            if workspace_of is None:
                moved: set[str | None] = {*self.workspace_names()}
            else:
                moved = {workspace_of(obj) for obj in (old, new) if obj is not None}
            if kind is kinds.WORKSPACE:
                own = moved if self._is_expected(old, new) else set()
                moved = (moved | self._workspace_changed(old, new)) - own
            for name in moved:
                if name and (kind is kinds.WORKSPACE or self.workspaces.by_index(name)):
                    self._on_change(name)

        index = workspace_of or (lambda _: None)
        return Cache(self._client, kind, on_change=changed, index=index, **options)


def _of_none(_: Json) -> None:
    """The index of a kind whose changes concern no workspace."""


def _head(obj: Json) -> Json:
    """What tells that an object is there."""
    metadata = {key: obj["metadata"][key] for key in _IDENTITY if key in obj["metadata"]}
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": metadata}


def _node(obj: Json) -> Json:
    addresses = obj.get("status", {}).get("addresses", [])
    return {**_head(obj), "status": {"addresses": addresses}}


def _secret(obj: Json) -> Json:
    """Only credentials and Secrets that say which resource they serve keep what is in them."""
    secret = without_managed_fields(obj)
    is_own = labels(obj).get(names.MANAGED_BY_LABEL) == names.OPERATOR and not _is_session_key(obj)
    if not is_own and names.SECRET_FOR_ANNOTATION not in annotations(obj):
        secret.pop("data", None)
    return secret


def _is_same_spec(old: Json | None, new: Json | None) -> bool:
    return old is not None and new is not None and old.get("spec") == new.get("spec")


def _but_status(obj: Json) -> Json:
    metadata = {key: value for key, value in obj["metadata"].items() if key != "resourceVersion"}
    return {**{key: value for key, value in obj.items() if key != "status"}, "metadata": metadata}


def _workspace_name(obj: Json) -> str | None:
    name: str | None = obj.get("spec", {}).get("workspaceName")
    return name


def _is_session_key(obj: Json | None) -> bool:
    return obj is not None and _name(obj) == names.API_SESSION


def _chosen_host(obj: Json) -> str | None:
    host: str | None = (obj.get("spec", {}).get("ingress") or {}).get("host")
    return host


def _name(obj: Json) -> str:
    return str(obj["metadata"]["name"])


def _namespace_of(obj: Json) -> str:
    return str(obj["metadata"]["namespace"])


def _tenant_object(obj: Json) -> Json:
    return dict(keep_foreign(obj, names.OPERATOR))


def _namespace(obj: Json) -> Json:
    """All namespaces are watched, so that a foreign one is known before anything is written."""
    head: Json = {key: obj[key] for key in ("apiVersion", "kind", "status") if key in obj}
    namespace = {**head, "metadata": obj["metadata"]}
    if names.OWNER_UID_ANNOTATION in annotations(obj):
        return dict(keep_foreign(namespace, names.OPERATOR))
    return without_managed_fields(namespace)


def _pod(obj: Json) -> Json:
    """What diagnosis and model sync read of a pod."""
    status = obj.get("status", {})
    read = ("conditions", "initContainerStatuses", "containerStatuses", "phase")
    return {
        **without_managed_fields({"metadata": obj["metadata"]}),
        "apiVersion": "v1",
        "kind": "Pod",
        "status": {key: status[key] for key in read if key in status},
    }
