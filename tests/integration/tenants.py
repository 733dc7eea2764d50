"""A workspace as the tests edit it and look at it."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tests.integration.conftest import SYSTEM, Cluster
from tests.integration.spec_fields import Seen
from tests.waiting import eventually

Object = dict[str, Any]
_KINDS: Final = (
    "resourcequota,limitrange,serviceaccount,networkpolicy,pvc,service,statefulset,deployment,"
    "ingress,secret"
)
# What controllers write into objects of ours.
_THEIRS: Final = ("volumeName", "volumeMode")


def listed(cluster: Cluster, name: str) -> list[Object]:
    """Every object of the tenant, as the API server has it."""
    items: list[Object] = cluster.get(
        *(_KINDS, "-n", name, "-l", f"aichatworkspace={name}", "--show-managed-fields")
    )["items"]
    return items


def seen(cluster: Cluster, name: str) -> Seen:
    objects = listed(cluster, name)
    resource = cluster.get("aiws", name, "-n", SYSTEM)
    return Seen(
        objects={
            _at(manifest): _ours(manifest) for manifest in objects if manifest["kind"] != "Secret"
        },
        status={key: resource.get("status", {}).get(key) or () for key in _TOLD},
        created=resource["metadata"]["creationTimestamp"],
        secrets={
            manifest["metadata"]["name"]: manifest["data"]
            for manifest in objects
            if "data" in manifest
        },
    )


_TOLD: Final = ("url", "expiresAt", "models", "patterns")


def let_age(cluster: Cluster, name: str) -> None:
    """Wait until what is made from now on is younger: creation times have whole seconds."""
    created = cluster.get("aiws", name, "-n", SYSTEM)["metadata"]["creationTimestamp"]
    younger = datetime.fromisoformat(created) + timedelta(seconds=1)
    eventually(lambda: datetime.now(UTC) > younger, f"{name} to be older than what comes")


def settled(cluster: Cluster, name: str) -> None:
    """The operator has told of the spec as it is now, which it does after it has written."""

    def is_observed() -> bool:
        resource = cluster.get("aiws", name, "-n", SYSTEM)
        newest = resource["metadata"]["generation"]
        return bool(resource.get("status", {}).get("observedGeneration") == newest)

    eventually(is_observed, f"the operator has seen what {name} asks for")


def prove(cluster: Cluster, names: Iterable[str], images: dict[str, str]) -> None:
    """The chats have run with these images, and the operator knows: of a change of the settings it
    may hear before it hears of an earlier one of a status, but never of two of one resource."""
    for name in names:
        cluster.kube.patch("aiws", name, SYSTEM, {"status": {"images": images}}, "status")
        cluster.kube.patch("aiws", name, SYSTEM, {"spec": {"patterns": ["explain_code"]}})
    for name in names:
        settled(cluster, name)


def edit(cluster: Cluster, name: str, spec: object, *, check: bool = True) -> str:
    """The resource asks for this, and for nothing that it asked for before. Where `check` is off,
    what the API server says against it."""
    try:
        change = [{"op": "replace", "path": "/spec", "value": spec}]
        cluster.kube.patch("aiws", name, SYSTEM, change)
    except AssertionError as error:
        if check:
            raise
        return str(error)
    return ""


def condition(cluster: Cluster, name: str, kind: str = "Provisioned") -> Any:
    conditions = cluster.get("aiws", name, "-n", SYSTEM).get("status", {}).get("conditions", ())
    return next((condition for condition in conditions if condition["type"] == kind), {})


def secret(name: str, owner: str, data: dict[str, str], kind: str = "Opaque") -> Object:
    """A Secret that a resource in the system namespace may name."""
    marks = {"apps.aichatworkspaces.io/for-workspace": owner}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": SYSTEM, "annotations": marks},
        "type": kind,
        "stringData": data,
    }


def bound_volume(name: str, storage_class: str, claim: str, namespace: str) -> Object:
    """A volume that the claim is bound to; no pod ever mounts it."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "storageClassName": storage_class,
            "capacity": {"storage": "100Gi"},
            "accessModes": ["ReadWriteOnce"],
            "claimRef": {"namespace": namespace, "name": claim},
            "hostPath": {"path": f"/nowhere/{name}"},
        },
    }


def growing_class(name: str) -> Object:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": "example.org/none",
        "allowVolumeExpansion": True,
    }


def _at(manifest: Object) -> str:
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def _ours(manifest: Object) -> Object:
    marks = manifest["metadata"].get("annotations", {})
    spec = manifest.get("spec", {})
    return {
        "labels": manifest["metadata"]["labels"],
        "annotations": {
            key: value
            for key, value in marks.items()
            if "kubernetes.io/" not in key or "nginx" in key
        },
        "spec": {key: value for key, value in spec.items() if key not in _THEIRS},
    }
