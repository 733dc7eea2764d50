"""Backups that are snapshots of the chat's volume, before a real API server with the real kinds.

The first test plays the snapshot controller and the CSI driver; in the second one they are real,
and so is the backup program. Both play the kubelet.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from aichat_workspace.domain import names
from tests import csi
from tests.chat_data import read_chat, restored, write_chat
from tests.csi import SNAPSHOT_GROUP, SNAPSHOT_KINDS, definitions
from tests.integration.conftest import (
    SYSTEM,
    Cluster,
    platform,
    restore_default_settings,
    workspace,
)
from tests.integration.test_restores import condition, end, one_pod, replicas, status
from tests.waiting import eventually

NAME: Final = "snapped"
STORAGE: Final = "snapped-disks"
DRIVER: Final = "csi.example.org"
SETTINGS: Final = {
    "storageClassName": STORAGE,
    "backup": {
        "destinations": [{"name": "snapshots", "snapshot": {"volumeSnapshotClassName": ""}}]
    },
}
BACKUP: Final = {"schedule": "30 2 * * *", "keep": 1}
STORAGE_CLASS: Final = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": STORAGE},
    "provisioner": DRIVER,
}
SNAPSHOT_CLASS: Final = {
    "apiVersion": f"{SNAPSHOT_GROUP}/v1",
    "kind": "VolumeSnapshotClass",
    "metadata": {"name": "snapped"},
    "driver": DRIVER,
    "deletionPolicy": "Delete",
}


@contextmanager
def snapshot_kinds(cluster: Cluster) -> Iterator[None]:
    """The cluster has the kinds of external-snapshotter for a while, and a class."""
    crds = [f"crd/{kind}.{SNAPSHOT_GROUP}" for kind in SNAPSHOT_KINDS]
    for path in definitions():
        cluster.kubectl("apply", "-f", str(path))
    cluster.kubectl("wait", *crds, "--for=condition=Established", "--timeout=30s")
    cluster.apply(SNAPSHOT_CLASS)
    yield
    cluster.kubectl("delete", *crds, "--timeout=60s")


@pytest.fixture(scope="module")
def tenant(cluster: Cluster, operator: Path) -> Iterator[str]:
    cluster.apply(STORAGE_CLASS)
    cluster.apply(platform(SETTINGS))
    cluster.apply(workspace(NAME, backup=BACKUP))
    eventually(
        lambda: cluster.names("deployment", NAME), "the chat is there", story=operator.read_text
    )
    yield NAME
    cluster.kube.delete("aiws", NAME, SYSTEM)
    restore_default_settings(cluster)
    cluster.kubectl("delete", "storageclass", STORAGE)


def snapshots(cluster: Cluster) -> list[Any]:
    items: list[Any] = cluster.get("volumesnapshots", "-n", NAME)["items"]
    return sorted(items, key=lambda item: str(item["metadata"]["creationTimestamp"]))


def backed_up(cluster: Cluster) -> tuple[str, str]:
    return condition(cluster, NAME, "BackedUp")


def listed(cluster: Cluster) -> list[str]:
    items = status(cluster, NAME).get("backup", {}).get("items", [])
    return [entry["name"] for entry in items]


def answer(cluster: Cluster, snapshot: Any, **fields: Any) -> None:
    """Say what became of a snapshot, as the snapshot controller does."""
    cluster.kubectl(
        *("patch", "volumesnapshot", snapshot["metadata"]["name"], "-n", NAME),
        *("--subresource=status", "--type=merge", "-p", json.dumps({"status": fields})),
    )


def back_up(cluster: Cluster, request: str) -> Any:
    """Ask for a backup, and return the snapshot that is made of it once its run has ended."""
    before = [snapshot["metadata"]["name"] for snapshot in snapshots(cluster)]
    cluster.apply(workspace(NAME, backup={**BACKUP, "request": request}))
    pod = one_pod(cluster, NAME)
    (container,) = pod["spec"]["containers"]
    assert container["args"] == ["check"]
    assert [entry["name"] for entry in container["env"]] == ["BACKUP_DATA", "BACKUP_SCRATCH"]
    end(cluster, pod, 0, {"checked": 2})

    def new() -> list[Any]:
        present = snapshots(cluster)
        return [item for item in present if item["metadata"]["name"] not in before]

    eventually(lambda: len(new()) == 1, "a snapshot is made after the run")
    return new()[0]


def ready(cluster: Cluster, snapshot: Any) -> None:
    moment = snapshot["metadata"]["creationTimestamp"]
    answer(
        cluster,
        snapshot,
        readyToUse=True,
        creationTime=moment,
        restoreSize="3Gi",
        error=None,
    )


@pytest.mark.timeout(600)
def test_backups_are_snapshots_where_the_cluster_makes_them(cluster: Cluster, tenant: str) -> None:
    unsupported = ("False", "BackupSnapshotsUnsupported")
    eventually(lambda: backed_up(cluster) == unsupported, "the obstacle is told")
    assert not cluster.names("cronjob", tenant)
    with snapshot_kinds(cluster):
        eventually(lambda: cluster.names("cronjob", tenant), "the schedule is there by itself")
        assert backed_up(cluster) == ("Unknown", "BackupWaiting")
        first = back_up(cluster, "first")
        assert first["spec"] == {
            "source": {"persistentVolumeClaimName": f"{tenant}-openwebui"},
            "volumeSnapshotClassName": "snapped",
        }
        assert first["metadata"]["labels"]["app.kubernetes.io/component"] == "backup"
        message = "the limit of snapshots is reached"
        answer(
            cluster,
            first,
            readyToUse=False,
            error={"message": message, "time": first["metadata"]["creationTimestamp"]},
        )
        eventually(
            lambda: backed_up(cluster) == ("False", "BackupSnapshotFailed"),
            "the driver's words are told",
        )
        assert message in status(cluster, tenant)["backup"]["message"]
        assert listed(cluster) == []
        ready(cluster, first)
        eventually(lambda: backed_up(cluster) == ("True", "BackedUp"), "the backup counts")
        (backup,) = listed(cluster)
        assert status(cluster, tenant)["backup"]["items"][0]["sizeBytes"] == 3 * 1024**3
        _restore(cluster, tenant, backup, first)
        second = back_up(cluster, "second")
        assert len(snapshots(cluster)) == 2, "the old one stays until the new one is ready"
        ready(cluster, second)
        eventually(lambda: len(snapshots(cluster)) == 1, "one stays, as spec.backup.keep says")
        assert snapshots(cluster)[0]["metadata"]["uid"] == second["metadata"]["uid"]
        eventually(lambda: listed(cluster) not in ([], [backup]), "the list has the new one")
        cluster.apply(workspace(tenant))
        eventually(lambda: not cluster.names("cronjob", tenant), "the schedule is gone")
        eventually(lambda: cluster.rests(2), "the operator rests")
        assert len(snapshots(cluster)) == 1, "no backup is lost by an edit"
        cluster.apply(workspace(tenant, backup=BACKUP))
        eventually(lambda: cluster.names("cronjob", tenant), "backups go on")
        assert len(listed(cluster)) == 1
    eventually(lambda: backed_up(cluster) == unsupported, "the kinds are gone again")
    eventually(lambda: cluster.rests(2), "the operator rests")


@pytest.mark.usefixtures("tenant")
def test_a_destination_names_the_class_of_its_snapshots(cluster: Cluster) -> None:
    def class_of_runs() -> list[str]:
        runs = cluster.get("cronjobs", "-n", NAME)["items"]
        mark = "apps.aichatworkspaces.io/volume-snapshot-class"
        return [run["spec"]["jobTemplate"]["metadata"]["annotations"].get(mark, "") for run in runs]

    def name_class(name: str) -> None:
        destination = {"name": "snapshots", "snapshot": {"volumeSnapshotClassName": name}}
        settings = {**SETTINGS, "backup": {"destinations": [destination]}}
        cluster.apply(platform(settings))

    with snapshot_kinds(cluster):
        eventually(lambda: class_of_runs() == ["snapped"], "the driver's first class counts")
        other = {**SNAPSHOT_CLASS, "metadata": {"name": "snapped-slowly"}}
        cluster.apply(other)
        name_class("snapped-slowly")
        eventually(lambda: class_of_runs() == ["snapped-slowly"], "the named class counts")
        name_class("absent")
        eventually(lambda: class_of_runs() == [], "there are no runs")
        eventually(
            lambda: backed_up(cluster) == ("False", "BackupSnapshotsUnsupported"),
            "the obstacle is told",
        )
        cluster.apply(platform(SETTINGS))
        eventually(lambda: class_of_runs() == ["snapped"], "backups go on")


@pytest.mark.usefixtures("tenant")
@pytest.mark.parametrize(
    ("destination", "words"),
    [
        ({"snapshot": {}}, "snapshot.volumeSnapshotClassName: Required value"),
        ({}, "a destination is either s3, volume or snapshot"),
        (
            {"snapshot": {"volumeSnapshotClassName": ""}, "volume": {"size": "1Gi"}},
            "a destination is either s3, volume or snapshot",
        ),
    ],
    ids=["without its class", "nothing", "two"],
)
def test_a_destination_that_says_not_what_it_is_is_refused(
    cluster: Cluster, destination: dict[str, Any], words: str
) -> None:
    settings = {"backup": {"destinations": [{"name": "snapshots", **destination}]}}
    assert words in cluster.apply(platform(settings), check=False)


def _restore(cluster: Cluster, name: str, backup: str, snapshot: Any) -> None:
    other = {"backup": backup, "source": "another-one", "request": "other"}
    cluster.apply(workspace(name, backup=BACKUP, restore=other))
    eventually(
        lambda: condition(cluster, name, "Restored") == ("False", "BackupOutOfReach"),
        "another workspace's is out of reach",
    )
    cluster.apply(workspace(name, backup=BACKUP, restore={"backup": backup}))
    pod = one_pod(cluster, name)
    assert replicas(cluster, name) == 0
    run = pod["metadata"]["ownerReferences"][0]["name"]
    (container,) = pod["spec"]["containers"]
    assert container["args"] == ["restore", backup, "--once", run, "--folder", "/restored"]
    (mount,) = (entry for entry in container["volumeMounts"] if entry["name"] == "restored")
    assert mount["readOnly"] is True
    # Admission may know the quota's new bounds only after the Job is made.
    eventually(lambda: run in claims(cluster, name), "the claim is made")
    claim = cluster.get("pvc", run, "-n", name)["spec"]
    assert claim["dataSource"] == {
        "apiGroup": SNAPSHOT_GROUP,
        "kind": "VolumeSnapshot",
        "name": snapshot["metadata"]["name"],
    }
    assert claim["resources"]["requests"]["storage"] == "3Gi"
    assert claim["storageClassName"] == STORAGE
    hard = cluster.get("resourcequota", name, "-n", name)["spec"]["hard"]
    assert hard["persistentvolumeclaims"] == "3"
    end(cluster, pod, 0, {"name": backup})
    eventually(
        lambda: condition(cluster, name, "Restored") == ("True", "Restored"), "it is restored"
    )
    eventually(lambda: replicas(cluster, name) == 1, "the chat starts")
    eventually(lambda: run not in claims(cluster, name), "the claim is gone again")


REAL: Final = "snapped-really"


@pytest.fixture(scope="module")
def folder(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a CSI driver whose volumes are folders of it."""
    folder = tmp_path_factory.mktemp("csi")
    with snapshot_kinds(cluster):
        for manifest in (*csi.OBJECTS, csi.SNAPSHOT_CLASS):
            cluster.apply(manifest)
        with csi.csi_driver(folder, str(cluster.kubeconfig)):
            yield folder
        for manifest in csi.OBJECTS:
            cluster.kubectl("delete", manifest["kind"], manifest["metadata"]["name"])


@pytest.fixture
def real_tenant(cluster: Cluster, folder: Path) -> Iterator[str]:
    """A workspace whose volumes are the driver's."""
    assert folder.exists()
    backup = SETTINGS["backup"]
    cluster.apply(platform({"storageClassName": csi.CLASS, "backup": backup}))
    cluster.apply(workspace(REAL))
    eventually(
        lambda: volume(cluster, f"{REAL}-openwebui"),
        "a volume",
        60,
        story=lambda: csi.story(folder),
    )
    yield REAL
    cluster.kube.delete("aiws", REAL, SYSTEM)
    cluster.kubectl("wait", f"namespace/{REAL}", "--for=delete", "--timeout=100s")
    restore_default_settings(cluster)


def volume(cluster: Cluster, claim: str) -> str:
    """The volume of a claim; empty while there is none."""
    return claims(cluster, REAL).get(claim, "")


def claims(cluster: Cluster, namespace: str) -> dict[str, str]:
    """The volumes of a namespace's claims, by the claims' names; empty while one has none."""
    items = cluster.get("pvc", "-n", namespace)["items"]
    return {item["metadata"]["name"]: item["spec"].get("volumeName") or "" for item in items}


def run_program(cluster: Cluster, folder: Path, scratch: Path) -> None:
    """Do what the kubelet does with the pod of a run: mount its volumes, and run its program."""
    pod = one_pod(cluster, REAL)
    claim_names = {
        entry["name"]: entry["persistentVolumeClaim"]["claimName"]
        for entry in pod["spec"]["volumes"]
        if "persistentVolumeClaim" in entry
    }
    eventually(lambda: all(volume(cluster, claim) for claim in claim_names.values()), "volumes", 60)
    (container,) = pod["spec"]["containers"]
    mounts = {
        mount["mountPath"]: str(folder / "volumes" / volume(cluster, claim_names[mount["name"]]))
        for mount in container["volumeMounts"]
        if mount["name"] in claim_names
    }
    scratch.mkdir(exist_ok=True)
    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    environment["BACKUP_DATA"] = mounts[environment["BACKUP_DATA"]]
    environment["BACKUP_SCRATCH"] = str(scratch)
    arguments = [mounts.get(argument, argument) for argument in container["args"]]
    ran = subprocess.run(
        [*container["command"], *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    end(cluster, pod, 0, json.loads(ran.stdout))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("operator")
def test_the_data_of_a_snapshot_comes_back_by_a_real_driver(
    cluster: Cluster, real_tenant: str, folder: Path, tmp_path: Path
) -> None:
    data = folder / "volumes" / volume(cluster, f"{real_tenant}-openwebui")
    write_chat(data, "before")
    before = read_chat(data)

    def record() -> Any:
        return status(cluster, real_tenant).get("backup") or {}

    def back_up(request: str) -> None:
        cluster.apply(workspace(real_tenant, backup={"request": request, "keep": 1}))
        run_program(cluster, folder, tmp_path / "scratch")
        eventually(
            lambda: (record().get("request"), record().get("state")) == (request, "Done"),
            "the snapshot is ready",
            60,
            story=lambda: csi.story(folder),
        )

    back_up("first")
    (entry,) = record()["items"]
    for path in ("webui.db", "vector_db/chroma.sqlite3"):
        (data / path).unlink()
    write_chat(data, "after")
    wish = {"request": "first", "keep": 1}
    restore = {"backup": entry["name"]}
    cluster.apply(workspace(real_tenant, backup=wish, restore=restore))
    run_program(cluster, folder, tmp_path / "scratch")
    eventually(
        lambda: condition(cluster, real_tenant, "Restored") == ("True", "Restored"),
        "it is restored",
    )
    run = status(cluster, real_tenant)["restore"]["run"]
    assert read_chat(data) == {**restored(before), names.RESTORE_MARK: run.encode()}
    volumes = folder / "volumes"
    eventually(lambda: len([*volumes.iterdir()]) == 2, "the volume of the restore is gone", 60)
    back_up("second")
    eventually(lambda: len(record()["items"]) == 1, "one stays, as spec.backup.keep says")
    assert record()["items"][0]["name"] > entry["name"]
    snapshots = folder / "snapshots"
    eventually(lambda: len([*snapshots.iterdir()]) == 1, "the driver has one snapshot", 60)
