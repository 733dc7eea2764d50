import asyncio
from typing import Any, cast

import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.pods import is_controlled_by
from aichat_workspace.domain.policy import cluster_addresses
from aichat_workspace.domain.policy.platform_secrets import PULL_SECRET_KEY, PULL_SECRET_TYPE
from aichat_workspace.domain.v1alpha1.platform_settings import settings_record
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.kube.cache import Cache
from aichat_workspace.kube.client import Client
from aichat_workspace.operator.models.downloads import DownloadSlots
from aichat_workspace.operator.observed.caches import Caches
from tests.unit.domain.samples import CERTIFICATE
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


def test_of_a_foreign_namespace_only_its_identity_and_its_place_in_upgrades_are_kept() -> None:
    caches = Caches(cast("Client", None), lambda _: None)
    identity = {"name": "a", "uid": "uid-a", "resourceVersion": "1"}
    metadata = {**identity, "labels": {"x": "y"}, "managedFields": [{"manager": "kubectl"}]}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    caches.observe({**namespace, "spec": {"finalizers": ["kubernetes"]}})
    cached = caches.tenant("a").namespace
    assert cached == {"apiVersion": "v1", "kind": "Namespace", "metadata": identity}
    order = {names.UPGRADE_ORDER_LABEL: "7"}
    labels = {"x": "y", **order}
    team = {**metadata, "resourceVersion": "2", "labels": labels}
    caches.observe({**namespace, "metadata": team})
    cached = caches.tenant("a").namespace
    assert cached is not None
    assert cached["metadata"]["labels"] == order
    owner = {names.OWNER_UID_ANNOTATION: "uid-of-a-workspace"}
    ours = {**metadata, "resourceVersion": "3", "annotations": owner}
    caches.observe({**namespace, "metadata": ours})
    cached = caches.tenant("a").namespace
    assert cached is not None
    assert cached["metadata"]["labels"] == {"x": "y"}


def test_of_a_storage_class_it_is_known_whether_its_volumes_grow() -> None:
    caches = Caches(cast("Client", None), lambda _: None)
    for name, grows in (("fast", True), ("slow", False), ("silent", None)):
        fields = {} if grows is None else {"allowVolumeExpansion": grows}
        metadata = {"name": name, "resourceVersion": "1"}
        caches.storage_classes.observe({"kind": "StorageClass", "metadata": metadata, **fields})
    assert caches.tenant("a").expandable_classes == {"fast"}


def test_a_snapshot_is_known_by_its_status_and_a_class_concerns_every_workspace() -> None:
    moved: list[str] = []
    caches = Caches(cast("Client", None), moved.append)
    head = {"apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshot"}
    metadata = {"name": "a-backup-0000000a", "namespace": "a", "resourceVersion": "1"}
    status = {"readyToUse": True, "restoreSize": "1Gi", "creationTime": "…"}
    unread = {"boundVolumeSnapshotContentName": "content"}
    caches.observe({**head, "metadata": metadata, "spec": {}, "status": status | unread})
    (snapshot,) = caches.tenant("a").objects.values()
    assert snapshot["status"] == status
    owned = {"name": "team-a", "namespace": "team", "uid": "uid-a", "resourceVersion": "1"}
    spec = {"workspaceName": "a"}
    caches.observe({"kind": "AIChatWorkspace", "metadata": owned, "spec": spec})
    moved.clear()
    of_class = {"kind": "VolumeSnapshotClass", "metadata": {"name": "c", "resourceVersion": "1"}}
    caches.snapshot_classes.observe(of_class)
    assert moved == ["a"]


def test_without_a_platform_the_defaults_hold() -> None:
    assert Caches(cast("Client", None), lambda _: None).settings().models.concurrent_pulls == 4


def test_settings_that_cannot_be_understood_leave_the_last_ones_in_force() -> None:
    caches = Caches(cast("Client", None), lambda _: None)
    caches.platform.observe(platform(1, pulls=7))
    caches.platform.observe(platform(2, pulls=-1))
    assert caches.settings().models.concurrent_pulls == 7
    caches.platform.observe(platform(3, pulls=8))
    assert caches.settings().models.concurrent_pulls == 8


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
    assert caches.settings().models.concurrent_pulls == 7
    assert caches.settings_in_force.is_deleted
    caches.platform.observe({**platform(3, pulls=1), "spec": {}})
    assert moved == ["settings", "a"]
    assert caches.settings().models.concurrent_pulls == 4
    assert not caches.settings_in_force.is_deleted


def test_the_record_is_in_force_where_there_is_no_platform() -> None:
    recorded = Caches(cast("Client", None), lambda _: None)
    recorded.platform.observe(platform(1, pulls=7))
    record = settings_record(recorded.settings_in_force)
    metadata = {**record["metadata"], "resourceVersion": "1", "uid": "r"}
    caches = Caches(cast("Client", None), lambda _: None)
    caches.records.observe({**record, "metadata": metadata})
    assert caches.settings().models.concurrent_pulls == 7
    caches.platform.observe(platform(2, pulls=2))
    assert caches.settings().models.concurrent_pulls == 2


async def test_a_replica_is_not_ready_while_a_setting_has_no_known_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caches = Caches(cast("Client", None), lambda _: None)
    monkeypatch.setattr(Cache, "wait_synced", lambda _: asyncio.sleep(0))
    monkeypatch.setattr(Cache, "is_synced", True)
    monkeypatch.setattr(Cache, "silent_seconds", 0.0)
    caches.platform.observe(platform(1, pulls=-1))
    await asyncio.wait_for(caches.wait_synced(), 30)  # deletions go on
    assert "spec.models.concurrentPulls" in caches.problem
    caches.platform.observe(platform(2, pulls=3))
    assert caches.problem == ""
    caches.platform.observe(platform(3, pulls=-1))
    assert caches.problem == "", "the earlier value is in force"


def test_a_change_of_an_orphaned_namespace_and_of_its_grace_brings_it_back() -> None:
    enqueued: list[str] = []
    caches = Caches(cast("Client", None), enqueued.append)
    marks = {names.OWNER_UID_ANNOTATION: "gone"}
    metadata = {"name": "left", "uid": "n", "resourceVersion": "1", "annotations": marks}
    caches.namespaces.observe({"kind": "Namespace", "metadata": metadata})
    assert enqueued == ["left"]
    assert caches.orphaned_namespaces() == ["left"]
    caches.platform.observe(platform(2, pulls=1))
    assert enqueued == ["left", "left"]
    foreign = {"name": "theirs", "uid": "f", "resourceVersion": "1"}
    caches.namespaces.observe({"kind": "Namespace", "metadata": foreign})
    assert enqueued == ["left", "left"]


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


def test_workspaces_are_counted_by_phase_without_being_read() -> None:
    caches = Caches(cast("Client", None), lambda _: None)

    def put(name: str, version: int, **status: str) -> None:
        metadata = {"namespace": "n", "name": name, "uid": name, "resourceVersion": str(version)}
        spec = {"workspaceName": name}
        caches.observe(
            {"kind": "AIChatWorkspace", "metadata": metadata, "spec": spec, "status": status}
        )

    put("a", 1)
    put("b", 2, phase="Ready")
    put("a", 3, phase="Ready")
    put("b", 4, phase="Degraded")
    assert {phase: count for phase, count in caches.phases.items() if count} == {
        "Ready": 1,
        "Degraded": 1,
    }
    caches.workspaces._store.reset((), 5)
    assert not any(caches.phases.values())


def test_workspaces_that_ask_for_backups_are_counted_by_how_these_are() -> None:
    caches = Caches(cast("Client", None), lambda _: None)

    def put(version: int, status: str, reason: str) -> None:
        metadata = {"namespace": "n", "name": "a", "uid": "a", "resourceVersion": str(version)}
        condition = {"type": "BackedUp", "status": status, "reason": reason}
        caches.observe(
            {
                "kind": "AIChatWorkspace",
                "metadata": metadata,
                "spec": {"workspaceName": "a"},
                "status": {"conditions": [condition]},
            }
        )

    put(1, "True", "BackedUp")
    assert caches.backups["made"] == 1
    put(2, "False", "BackupOverdue")
    assert {state: count for state, count in caches.backups.items() if count} == {"overdue": 1}
    caches.workspaces._store.reset((), 3)
    assert not any(caches.backups.values())


def deployment(version: int, replicas: int = 1, **status: int) -> dict[str, Any]:
    metadata = {"name": "web", "namespace": "chat", "uid": "u", "resourceVersion": str(version)}
    body = {"kind": "Deployment", "metadata": metadata, "spec": {"replicas": replicas}}
    return {**body, "status": status} if status else body


def world() -> tuple[Caches, list[str]]:
    """Caches that know one workspace, and the names of what changed since."""
    changed: list[str] = []
    caches = Caches(cast("Client", None), changed.append)
    metadata = {"name": "a", "namespace": "team", "uid": "w", "resourceVersion": "1"}
    caches.observe(
        {"kind": "AIChatWorkspace", "metadata": metadata, "spec": {"workspaceName": "chat"}}
    )
    changed.clear()
    return caches, changed


def test_the_reply_to_an_apply_that_left_nothing_to_do_is_no_news() -> None:
    caches, changed = world()
    caches.observe_applied(deployment(1), deployment(1))
    caches.observe_applied(deployment(2, replicas=0), deployment(2, replicas=0))
    assert caches.tenants["Deployment"].get("chat", "web") == deployment(2, replicas=0)
    assert changed == []


def test_a_reply_that_differs_from_what_was_applied_is_news() -> None:
    caches, changed = world()
    caches.observe_applied(deployment(1, replicas=2), deployment(1))
    assert changed == ["chat"]


@pytest.mark.parametrize(
    ("name", "news"),
    [("field.cattle.io/publicEndpoints", []), ("nginx.ingress.kubernetes.io/x", ["chat"])],
)
def test_a_foreign_annotation_in_the_reply_is_news_unless_the_platform_allows_it(
    name: str, news: list[str]
) -> None:
    caches, changed = world()
    desired = {**deployment(1), "kind": "Service"}
    fields: dict[str, Any] = {"f:metadata": {"f:annotations": {f"f:{name}": {}}}}
    metadata = {
        **desired["metadata"],
        "annotations": {name: "x"},
        "managedFields": [{"manager": "other", "fieldsV1": fields}],
    }
    caches.observe_applied({**desired, "metadata": metadata}, desired)
    assert changed == news


def test_a_status_that_comes_with_the_reply_is_news() -> None:
    caches, changed = world()
    caches.observe_applied(deployment(1, readyReplicas=1), deployment(1))
    assert changed == ["chat"]


def test_an_event_that_changes_nothing_that_is_read_is_no_news() -> None:
    caches, changed = world()
    caches.observe(deployment(1, readyReplicas=1))
    caches.observe(deployment(2, readyReplicas=1, availableReplicas=1))
    assert changed == ["chat"]
    caches.observe(deployment(3, readyReplicas=0))
    assert changed == ["chat", "chat"]


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
    assert caches.settings().network.egress_except[-1] == "203.0.113.2/32"
    assert worked_out == [3]


SPEC = {"imagePullSecretNames": ["registry"], "trustedAuthorities": {"configMapName": "corp"}}


def system_object(kind: str, name: str, version: int, **fields: Any) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": names.SYSTEM_NAMESPACE,
        "uid": name,
        "resourceVersion": str(version),
    }
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **fields}


def pull_secret(version: int, text: str, name: str = "registry") -> dict[str, Any]:
    data = {PULL_SECRET_KEY: text}
    return system_object("Secret", name, version, type=PULL_SECRET_TYPE, data=data)


def bundle(version: int, text: str, name: str = "corp") -> dict[str, Any]:
    return system_object("ConfigMap", name, version, data={"ca.crt": text})


def test_a_change_of_what_the_settings_name_for_all_brings_all_back_and_no_other_does() -> None:
    enqueued: list[str] = []
    caches = Caches(cast("Client", None), enqueued.append)
    metadata = {"name": "a", "namespace": "t", "uid": "a", "resourceVersion": "1"}
    caches.workspaces.observe({"metadata": metadata, "spec": {"workspaceName": "a"}})
    caches.platform.observe({**platform(1, pulls=1), "spec": SPEC})
    present = caches.present_platform()
    assert present is not None
    missing = [problem.reason for problem in caches.platform_inputs(present).missing]
    assert missing == ["PullSecretNotFound", "AuthoritiesNotFound"]
    enqueued.clear()
    caches.secrets.observe(pull_secret(2, "eA==", "another"))
    caches.bundles.observe(bundle(3, CERTIFICATE, "another"))
    assert enqueued == []
    caches.platform_moved.clear()
    caches.secrets.observe(pull_secret(4, "eA=="))
    assert enqueued == ["a"]
    caches.bundles.observe(bundle(5, CERTIFICATE))
    assert enqueued == ["a", "a"]
    assert caches.platform_moved.is_set()
    assert caches.platform_inputs(present).missing == ()


def test_the_platforms_client_secret_is_kept_with_its_data_and_brings_all_back() -> None:
    enqueued: list[str] = []
    caches = Caches(cast("Client", None), enqueued.append)
    metadata = {"name": "a", "namespace": "t", "uid": "a", "resourceVersion": "1"}
    caches.workspaces.observe({"metadata": metadata, "spec": {"workspaceName": "a"}})
    provider = {"providerURL": "https://a.test/b", "clientID": "c", "secretName": "login"}
    caches.platform.observe({**platform(1, pulls=1), "spec": {"signIn": {"oidc": provider}}})
    present = caches.present_platform()
    assert present is not None
    missing = [problem.reason for problem in caches.platform_inputs(present).missing]
    assert missing == ["ClientSecretNotFound"]
    enqueued.clear()
    secret = system_object("Secret", "login", 2, data={"clientSecret": "eA=="})
    caches.secrets.observe(secret)
    assert [problem.reason for problem in caches.platform_inputs(present).missing] == missing
    mark = {"annotations": {names.SECRET_FOR_ANNOTATION: "*"}}
    marked = {**secret, "metadata": {**secret["metadata"], "resourceVersion": "3", **mark}}
    caches.secrets.observe(marked)
    assert caches.platform_inputs(present).missing == ()
    assert enqueued == ["a", "a"]


def test_the_servers_that_the_operator_asks_for_names_are_dns_for_all() -> None:
    caches = Caches(cast("Client", None), lambda _: None, dns_servers=("10.96.0.10/32",))
    assert caches.settings().network.dns.addresses[-1] == "10.96.0.10/32"


def test_of_namespaces_the_platforms_status_follows_those_that_may_come_in() -> None:
    """What it costs does not grow with tenants."""
    caches = Caches(cast("Client", None), lambda _: None)
    caches.platform.observe(platform(1, pulls=1))
    present = caches.present_platform()
    assert present is not None
    caches.platform_moved.clear()
    caches.namespaces.observe({"kind": "Namespace", "metadata": {"name": "a", **_version(2)}})
    assert not caches.platform_moved.is_set()
    metadata = {"name": "kube-system", **_version(3)}
    caches.namespaces.observe({"kind": "Namespace", "metadata": metadata})
    assert caches.platform_moved.is_set()
    assert caches.platform_inputs(present).namespaces == {"kube-system"}


def _version(number: int) -> dict[str, str]:
    return {"uid": f"uid-{number}", "resourceVersion": str(number)}
