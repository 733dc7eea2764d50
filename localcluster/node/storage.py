"""Provide volumes that any user can write: `python -m localcluster.node.storage`.

The controller manager's own host-path provisioner makes folders that only root can enter, and host
paths ignore fsGroup, so a pod without root could not use them.
"""

import shutil
from pathlib import Path
from typing import Annotated, Any

import typer
from kubernetes import client, config, watch

from localcluster.node.layout import STORAGE_CLASS


def serve(
    kubeconfig: Annotated[Path, typer.Option(help="access to the cluster")],
    folder: Annotated[Path, typer.Option(help="the folder of the volumes")],
) -> None:
    """Make a folder for each claim of our class, and remove it with the claim."""
    config.load_kube_config(str(kubeconfig))
    api = client.CoreV1Api()
    while True:
        events = watch.Watch().stream(
            api.list_persistent_volume_claim_for_all_namespaces, timeout_seconds=300
        )
        for event in events:
            claim = event["object"]
            if event["type"] == "DELETED":
                _remove(api, folder, claim)
            elif claim.spec.storage_class_name == STORAGE_CLASS and not claim.spec.volume_name:
                _provide(api, folder, claim)


def _provide(api: client.CoreV1Api, folder: Path, claim: Any) -> None:
    path = folder / f"pvc-{claim.metadata.uid}"
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o777)
    try:
        api.create_persistent_volume(_volume(path, claim))  # type: ignore[arg-type]
    except client.ApiException as error:
        if error.status != 409:  # the event before this one made it
            raise


def _volume(path: Path, claim: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": path.name},
        "spec": {
            "accessModes": claim.spec.access_modes,
            "capacity": {"storage": claim.spec.resources.requests["storage"]},
            "storageClassName": STORAGE_CLASS,
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": str(path)},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "name": claim.metadata.name,
                "namespace": claim.metadata.namespace,
                "uid": claim.metadata.uid,
            },
        },
    }


def _remove(api: client.CoreV1Api, folder: Path, claim: Any) -> None:
    path = folder / f"pvc-{claim.metadata.uid}"
    if path.exists():
        api.delete_persistent_volume(path.name)
        shutil.rmtree(path)


if __name__ == "__main__":
    typer.run(serve)
