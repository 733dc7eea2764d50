"""Other writers, lost data and leftovers, as a real API server records them."""

import asyncio

import pytest

from aichat_workspace.domain.kubernetes.kinds import CONFIG_MAP
from aichat_workspace.kube import client as client_module
from aichat_workspace.kube.cache import Cache
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.store import Store
from tests.integration.conftest import OPERATOR, SYSTEM, Cluster, workspace
from tests.integration.tenants import condition
from tests.unit.waiting import until
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("operator")
RECORD = "apps.aichatworkspaces.io/secrets"


def created(cluster: Cluster, name: str) -> bool:
    return bool(cluster.get("aiws", name, "-n", SYSTEM).get("status", {}).get("isCreated"))


def test_who_changes_a_field_again_and_again_is_named(cluster: Cluster) -> None:
    def replicas() -> int:
        return int(cluster.get("deployment/fought-openwebui", "-n", "fought")["spec"]["replicas"])

    cluster.apply(workspace("fought"))
    eventually(lambda: created(cluster, "fought"), "fought is provisioned")
    assert condition(cluster, "fought", "Synced")["reason"] == "Synced"
    for _ in range(6):
        cluster.kubectl("scale", "deployment/fought-openwebui", "-n", "fought", "--replicas=3")
        eventually(lambda: replicas() == 1, "it is repaired at once")
    eventually(
        lambda: condition(cluster, "fought", "Synced")["reason"] == "ChangedByOthers", "it is named"
    )
    message = condition(cluster, "fought", "Synced")["message"]
    assert "Deployment fought/fought-openwebui (spec.replicas)" in message
    assert "by 'kubectl'" in message
    cluster.kube.delete("aiws", "fought", SYSTEM)


def test_who_wrote_an_object_with_all_its_defaults_owns_none_of_them_in_the_end(
    cluster: Cluster,
) -> None:
    """As a backup that is restored: to remove a default changes nothing, again and again."""

    def owners(kind: str) -> set[str]:
        obj = cluster.get(f"{kind}/restored-openwebui", "-n", "restored", "--show-managed-fields")
        entries = obj["metadata"]["managedFields"]
        return {entry["manager"] for entry in entries if "f:spec" in entry["fieldsV1"]}

    def restore(kind: str) -> None:
        obj = cluster.get(f"{kind}/restored-openwebui", "-n", "restored")
        metadata = {key: obj["metadata"][key] for key in ("name", "namespace", "labels")}
        spec = {key: value for key, value in obj["spec"].items() if key != "clusterIPs"}
        backup = {**obj, "metadata": metadata, "spec": {**spec, "clusterIP": ""}}
        if kind == "deployment":
            backup["spec"] = spec
        del backup["status"]
        cluster.kube.delete(kind, "restored-openwebui", "restored")
        cluster.kube.apply(backup)

    cluster.apply(workspace("restored"))
    eventually(lambda: created(cluster, "restored"), "restored is provisioned")
    for kind in ("service", "deployment"):
        restore(kind)
        eventually(lambda: owners(kind) == {OPERATOR}, "it is ours alone")  # noqa: B023
    cluster.kube.delete("aiws", "restored", SYSTEM)


def test_of_the_copies_of_credentials_only_the_present_one_stays(cluster: Cluster) -> None:
    def copies() -> list[str]:
        return [name.rpartition("/")[2] for name in cluster.names("secret", "renewed")]

    def recorded() -> list[str]:
        marks = cluster.get("namespace", "renewed")["metadata"]["annotations"]
        return str(marks[RECORD]).split(",")

    cluster.apply(workspace("renewed"))
    eventually(lambda: created(cluster, "renewed"), "renewed is provisioned")
    first = copies()
    assert (len(first), recorded()) == (1, first)
    cluster.kube.patch("aiws", "renewed", SYSTEM, {"spec": {"access": {"passwordReset": "once"}}})
    eventually(lambda: len(copies()) == 1 and copies() != first, "the old one is gone")
    eventually(lambda: recorded() == copies(), "and struck from the record")
    cluster.kube.delete("aiws", "renewed", SYSTEM)


async def test_an_api_server_that_is_behind_what_it_reported_is_followed(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after its data were restored from a backup: its watch is silent until it has caught up."""
    monkeypatch.setattr(client_module, "_WATCH_SECONDS", 2)
    async with await Client.connect(str(cluster.kubeconfig), user_agent="test") as client:
        cache = Cache(client, CONFIG_MAP, Store(lambda *_: None), namespace="default")
        running = asyncio.create_task(cache.run())
        await cache.wait_synced()
        cache._store.version += 10**9
        cluster.kubectl("create", "configmap", "restored", "-n", "default")
        await until(lambda: cache.version < 10**9)
        await until(lambda: cache.get("default", "restored"))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    cluster.kubectl("delete", "configmap", "restored", "-n", "default")
