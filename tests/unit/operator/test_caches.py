import asyncio
from typing import Any, cast

import pytest

from aichat_workspace.domain.kubernetes.pods import is_controlled_by
from aichat_workspace.kube.cache import Cache
from aichat_workspace.kube.client import Client
from aichat_workspace.operator.caches import Caches
from aichat_workspace.operator.models.downloads import DownloadSlots
from tests.unit.waiting import turns


def platform(version: int, pulls: int) -> dict[str, Any]:
    return {
        "apiVersion": "apps.aichatworkspaces.io/v1alpha1",
        "kind": "AIChatPlatform",
        "metadata": {"name": "default", "resourceVersion": str(version)},
        "spec": {"models": {"concurrentPulls": pulls}},
    }


async def test_a_raised_limit_lets_waiting_downloads_go_on_at_once() -> None:
    places = DownloadSlots(lambda: caches.settings().models.concurrent_pulls)
    caches = Caches(cast("Client", None), lambda _: None, places.grant_waiting)
    caches.platform.observe(platform(1, pulls=1))
    inside: list[str] = []
    enough = asyncio.Event()

    async def download(name: str) -> None:
        async with places.slot(name):
            inside.append(name)
            await enough.wait()

    async with asyncio.TaskGroup() as group:
        for name in ("first", "second"):
            group.create_task(download(name))
        await turns()
        assert inside == ["first"]
        caches.platform.observe(platform(2, pulls=2))
        await turns()
        assert inside == ["first", "second"]
        enough.set()


def test_of_a_pod_it_is_kept_who_made_it() -> None:
    caches = Caches(cast("Client", None), lambda _: None)
    owner = {"kind": "StatefulSet", "name": "set", "uid": "set-1", "controller": True}
    metadata = {"namespace": "a", "name": "set-0", "uid": "1", "resourceVersion": "1"}
    pod = {"kind": "Pod", "metadata": {**metadata, "ownerReferences": [owner]}, "spec": {}}
    caches.pods.observe(pod)
    (cached,) = caches.tenant("a").pods
    assert is_controlled_by(cached, "set-1")


def test_of_a_storage_class_it_is_known_whether_its_volumes_grow() -> None:
    caches = Caches(cast("Client", None), lambda _: None)
    for name, grows in (("fast", True), ("slow", False), ("silent", None)):
        fields = {} if grows is None else {"allowVolumeExpansion": grows}
        metadata = {"name": name, "resourceVersion": "1"}
        caches.storage_classes.observe({"kind": "StorageClass", "metadata": metadata, **fields})
    assert caches.tenant("a").expandable_classes == {"fast"}


def test_without_a_platform_the_defaults_hold() -> None:
    assert Caches(cast("Client", None), lambda _: None).settings().models.concurrent_pulls == 4


def test_settings_that_cannot_be_understood_leave_the_last_ones_in_force() -> None:
    caches = Caches(cast("Client", None), lambda _: None)
    caches.platform.observe(platform(1, pulls=7))
    caches.platform.observe(platform(2, pulls=-1))
    assert caches.settings().models.concurrent_pulls == 7
    caches.platform.observe(platform(3, pulls=8))
    assert caches.settings().models.concurrent_pulls == 8


async def test_nothing_begins_by_defaults_while_the_settings_cannot_be_understood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caches = Caches(cast("Client", None), lambda _: None)
    monkeypatch.setattr(Cache, "wait_synced", lambda _: asyncio.sleep(0))
    monkeypatch.setattr(Cache, "is_synced", True)
    monkeypatch.setattr(Cache, "silent_seconds", 0.0)
    caches.platform.observe(platform(1, pulls=-1))
    waiting = asyncio.create_task(caches.wait_synced())
    await turns()
    assert not waiting.done()
    assert "models.concurrentPulls" in caches.problem
    caches.platform.observe(platform(2, pulls=3))
    await asyncio.wait_for(waiting, 30)
    assert caches.problem == ""


def test_a_host_is_found_as_long_as_a_workspace_chooses_it() -> None:
    caches = Caches(cast("Client", None), lambda _: None)

    def choose(host: str, version: str) -> None:
        metadata = {
            "name": "a",
            "namespace": "team",
            "uid": "uid-a",
            "resourceVersion": version,
        }
        spec = {"workspaceName": "a", "ingress": {"host": host}}
        caches.observe({"kind": "AIChatWorkspace", "metadata": metadata, "spec": spec})

    choose("one.example.org", "1")
    assert len(caches.workspaces_with_host("one.example.org")) == 1
    choose("two.example.org", "2")
    assert caches.workspaces_with_host("one.example.org") == []
    assert len(caches.workspaces_with_host("two.example.org")) == 1


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
    assert caches.settings().network.egress_except[-2:] == ("203.0.113.7/32", "203.0.113.8/32")
    assert enqueued == ["a"]
    enqueued.clear()
    caches.nodes.observe(node("one", 4, "10.0.0.1", "203.0.113.7"))  # it is alive, no more
    assert enqueued == []
    metadata = {"name": "kubernetes", "namespace": "default", "resourceVersion": "5"}
    head = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata}
    caches.api_servers.observe({**head, "endpoints": [{"addresses": ["198.51.100.1"]}]})
    assert caches.settings().network.egress_except[-3] == "198.51.100.1/32"
    assert enqueued == ["a"]
    caches.platform.observe(platform(9, pulls=7))
    assert caches.settings().network.egress_except[-3] == "198.51.100.1/32"
    assert caches.settings().models.concurrent_pulls == 7
