from typing import Any, cast

import pytest

from aichat_workspace.domain.policy import cluster_addresses
from aichat_workspace.domain.v1alpha1.platform_settings import settings_record
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.kube.client import Client
from aichat_workspace.operator.observed.caches import Caches
from tests.unit.operator.observed.samples import platform


def test_without_a_platform_the_defaults_hold() -> None:
    assert Caches(cast("Client", None), lambda _: None).settings.spec().models.concurrent_pulls == 4


def test_settings_that_cannot_be_understood_leave_the_last_ones_in_force() -> None:
    caches = Caches(cast("Client", None), lambda _: None)
    caches.platform.observe(platform(1, pulls=7))
    caches.platform.observe(platform(2, pulls=-1))
    assert caches.settings.spec().models.concurrent_pulls == 7
    caches.platform.observe(platform(3, pulls=8))
    assert caches.settings.spec().models.concurrent_pulls == 8


def test_a_deleted_platform_keeps_its_settings_and_moves_no_workspace() -> None:
    moved: list[str] = []
    caches = Caches(cast("Client", None), moved.append, lambda: moved.append("settings"))
    caches.platform.observe(platform(1, pulls=7))
    metadata = {"name": "a", "namespace": "team", "uid": "a", "resourceVersion": "1"}
    resource = {"kind": "AIChatWorkspace", "metadata": metadata, "spec": {"workspaceName": "a"}}
    caches.observe(resource)
    assert moved == ["settings", "a"]
    moved.clear()
    caches.platform._store.remove(platform(2, pulls=7))
    assert moved == []
    assert caches.settings.spec().models.concurrent_pulls == 7
    assert caches.settings.in_force.is_deleted
    caches.platform.observe({**platform(3, pulls=1), "spec": {}})
    assert moved == ["settings", "a"]
    assert caches.settings.spec().models.concurrent_pulls == 4
    assert not caches.settings.in_force.is_deleted


def test_the_record_is_in_force_where_there_is_no_platform() -> None:
    recorded = Caches(cast("Client", None), lambda _: None)
    recorded.platform.observe(platform(1, pulls=7))
    record = settings_record(recorded.settings.in_force)
    metadata = {**record["metadata"], "resourceVersion": "1", "uid": "r"}
    caches = Caches(cast("Client", None), lambda _: None)
    caches.records.observe({**record, "metadata": metadata})
    assert caches.settings.spec().models.concurrent_pulls == 7
    caches.platform.observe(platform(2, pulls=2))
    assert caches.settings.spec().models.concurrent_pulls == 2


def node(name: str, version: int, *addresses: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "resourceVersion": str(version)},
        "status": {"addresses": [{"type": "ExternalIP", "address": a} for a in addresses]},
    }


def test_public_addresses_of_nodes_and_the_api_server_are_excepted_and_bring_all_back() -> None:
    enqueued: list[str] = []
    caches = Caches(cast("Client", None), enqueued.append)
    metadata = {"name": "a", "namespace": "t", "uid": "a", "resourceVersion": "1"}
    caches.workspaces.observe({"metadata": metadata, "spec": {"workspaceName": "a"}})
    enqueued.clear()
    caches.nodes.observe(node("two", 2, "203.0.113.8"))
    assert enqueued == [], "until all nodes are listed nothing is reconciled"
    for cache in (caches.nodes, caches.api_servers):
        cache._synced.set()
    caches.nodes.observe(node("one", 2, "10.0.0.1"))
    assert enqueued == []
    caches.nodes.observe(node("one", 3, "10.0.0.1", "203.0.113.7"))
    assert caches.settings.spec().network.egress_except[-2:] == ("203.0.113.7/32", "203.0.113.8/32")
    assert enqueued == ["a"]
    enqueued.clear()
    caches.nodes.observe(node("one", 4, "10.0.0.1", "203.0.113.7"))  # it is alive, no more
    assert enqueued == []
    metadata = {"name": "kubernetes", "namespace": "default", "resourceVersion": "5"}
    head = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata}
    caches.api_servers.observe({**head, "endpoints": [{"addresses": ["198.51.100.1"]}]})
    assert caches.settings.spec().network.egress_except[-3] == "198.51.100.1/32"
    assert enqueued == ["a"]
    caches.platform.observe(platform(9, pulls=7))
    assert caches.settings.spec().network.egress_except[-3] == "198.51.100.1/32"
    assert caches.settings.spec().models.concurrent_pulls == 7


def test_while_nodes_are_listed_walls_are_not_worked_out_for_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worked_out: list[int] = []
    without = cluster_addresses.without

    def count(spec: PlatformSpec, addresses: set[str]) -> PlatformSpec:
        worked_out.append(len(addresses))
        return without(spec, addresses)

    monkeypatch.setattr(cluster_addresses, "without", count)
    caches = Caches(cast("Client", None), lambda _: None)
    for number in range(3):
        caches.nodes.observe(node(str(number), number + 1, f"203.0.113.{number}"))
    assert worked_out == []
    assert caches.settings.spec().network.egress_except[-1] == "203.0.113.2/32"
    assert worked_out == [3]


def test_the_servers_that_the_operator_asks_for_names_are_dns_for_all() -> None:
    caches = Caches(cast("Client", None), lambda _: None, dns_servers=("10.96.0.10/32",))
    assert caches.settings.spec().network.dns.addresses[-1] == "10.96.0.10/32"
