"""The platform's settings, as the AIChatPlatform, the record of it and the cluster say now."""

from aichat_workspace.domain import names
from aichat_workspace.domain.policy import cluster_addresses
from aichat_workspace.domain.v1alpha1.platform_settings import (
    DEFAULTS,
    Settings,
    settings_in_force,
)
from aichat_workspace.domain.v1alpha1.platform_spec import PLATFORM_NAME, PlatformSpec
from aichat_workspace.kube.cache import Cache
from aichat_workspace.kube.objects import Json


class PlatformSettings:
    """Reads them from caches. `dns_servers` are the ranges of the servers that answer the
    operator's own questions for names."""

    def __init__(
        self,
        platforms: Cache,
        records: Cache,
        nodes: Cache,
        api_servers: Cache,
        dns_servers: tuple[str, ...] = (),
    ) -> None:
        self._platforms = platforms
        self._records = records
        self._nodes = nodes
        self._api_servers = api_servers
        self._dns_servers = dns_servers
        self._settings: Settings | None = None
        self._base: PlatformSpec | None = None
        self._effective = DEFAULTS.spec  # `_base` with the cluster's addresses

    @property
    def in_force(self) -> Settings:
        """The platform's settings in force, and what of them could not be read."""
        return self._settings or DEFAULTS

    @property
    def is_known(self) -> bool:
        """Whether there is an AIChatPlatform, or was one."""
        return self._settings is not None

    @property
    def record(self) -> Json | None:
        """The ConfigMap that keeps the settings for a time without an AIChatPlatform."""
        return self._records.get(names.SYSTEM_NAMESPACE, names.SETTINGS_RECORD)

    @property
    def platform(self) -> Json | None:
        """The AIChatPlatform as the API server has it."""
        return self._platforms.get("", PLATFORM_NAME)

    @property
    def generation(self) -> int:
        """How often the AIChatPlatform's spec was changed; 0 where there is none."""
        platform = self.platform
        return platform["metadata"].get("generation", 0) if platform else 0

    def spec(self) -> PlatformSpec:
        """Return the settings in force, with what they leave to the cluster. Its own addresses are
        excepted from what workspaces may reach."""
        spec = self.in_force.spec
        if self._base is not spec:
            self._base = spec
            nodes = self._nodes.all()
            with_cluster = cluster_addresses.with_cluster(spec, nodes, self._dns_servers)
            self._effective = cluster_addresses.without(with_cluster, self._addresses())
        return self._effective

    def take_in(self) -> bool:
        """Take in the AIChatPlatform and the record as they are now. Return whether workspaces have
        other settings by that, or upgrades are paused or resumed."""
        before = _parts(self.in_force)
        self._settings = settings_in_force(self.platform, self.record, self._settings)
        return _parts(self.in_force) != before

    def take_in_addresses(self) -> bool:
        """Take in the cluster's addresses as they are now. Return whether workspaces have other
        settings by that; none are reconciled before all addresses are known."""
        if not (self._nodes.is_synced and self._api_servers.is_synced):
            self._base = None
            return False
        before = self.spec()
        self._base = None
        return self.spec() != before

    def _addresses(self) -> set[str]:
        return {
            *(address for node in self._nodes.all() for address in cluster_addresses.of_node(node)),
            *(
                address
                for endpoint_slice in self._api_servers.all()
                for address in cluster_addresses.of_endpoints(endpoint_slice)
            ),
        }


def _parts(settings: Settings) -> tuple[PlatformSpec, frozenset[str], bool]:
    """What workspaces and upgrades follow."""
    return settings.spec, settings.unknown, settings.is_upgrade_paused
