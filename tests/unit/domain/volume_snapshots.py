"""VolumeSnapshots of a chat's volume, and the runs before them, as the operator's caches have
them."""

from typing import Any

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref
from tests.unit.domain.backup_runs import BESIDE_CHAT, WORKSPACE, job

MADE = "2026-11-23T11:30:05Z"
CLASS = "fast-snapshots"
STORAGE_CLASSES: tuple[Manifest, ...] = (
    {
        "metadata": {
            "name": "fast",
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "csi.example.org",
    },
)
SNAPSHOT_CLASSES: tuple[Manifest, ...] = (
    {"metadata": {"name": CLASS}, "driver": "csi.example.org"},
)
READY: dict[str, Any] = {"readyToUse": True, "creationTime": MADE, "restoreSize": "2Gi"}


def checked(name: str, end: str = "Complete", **times: Any) -> Manifest:
    """Return a run by the schedule that checks the databases before a snapshot."""
    run = job(name, end, **times)
    marks = {
        names.DESTINATION_ANNOTATION: "snapshots",
        names.SNAPSHOT_CLASS_ANNOTATION: CLASS,
    }
    owners = [{"kind": "CronJob", "controller": True}]
    metadata = {**run["metadata"], "annotations": marks, "ownerReferences": owners}
    return {**run, "metadata": metadata, "spec": {"template": {"spec": BESIDE_CHAT}}}


def volume_snapshot(
    token: str, created: str = MADE, keep: int | None = 7, **status: Any
) -> Manifest:
    marks = {names.IMAGE_ANNOTATION: "open-webui:1"}
    if keep is not None:
        marks[names.KEEP_ANNOTATION] = str(keep)
    name = f"{WORKSPACE}-backup-{token}"
    return {
        "apiVersion": "snapshot.storage.k8s.io/v1",
        "kind": "VolumeSnapshot",
        "metadata": {
            "name": name,
            "namespace": WORKSPACE,
            "uid": f"uid-{name}",
            "creationTimestamp": created,
            "annotations": marks,
        },
        "status": status,
    }


def of_run(run: Manifest, created: str = MADE, **status: Any) -> Manifest:
    """Return the snapshot that is made after a run."""
    own_name = names.volume_snapshot(WORKSPACE, run["metadata"]["uid"])
    return volume_snapshot(own_name[-8:], created, **status)


def by_ref(*manifests: Manifest) -> dict[Ref, Manifest]:
    return {
        Ref(manifest["kind"], WORKSPACE, manifest["metadata"]["name"]): manifest
        for manifest in manifests
    }
