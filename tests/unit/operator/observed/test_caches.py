import asyncio
from typing import Any, cast

import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.pods import is_controlled_by
from aichat_workspace.kube.cache import Cache
from aichat_workspace.kube.client import Client
from aichat_workspace.operator.models.downloads import DownloadSlots
from aichat_workspace.operator.observed.caches import Caches
from tests.unit.operator.observed.samples import platform
from tests.unit.waiting import turns


async def test_a_raised_limit_lets_waiting_downloads_go_on_at_once() -> None:
    places = DownloadSlots(lambda: caches.settings.spec().models.concurrent_pulls)
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
