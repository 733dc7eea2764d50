"""What the caches keep of each object: what something reads.

Less memory, and an event that changes nothing that is read brings no reconcile.
"""

from collections.abc import Mapping
from typing import Any, Final

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.field_ownership import keep_foreign
from aichat_workspace.domain.policy.platform_secrets import PULL_SECRET_TYPE
from aichat_workspace.foundation.metadata import annotations, labels
from aichat_workspace.kube.objects import Json, without_managed_fields

_STATUS_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "StatefulSet": (
        "observedGeneration",
        "replicas",
        "readyReplicas",
        "updatedReplicas",
        "updateRevision",
    ),
    "Deployment": (
        "observedGeneration",
        "replicas",
        "readyReplicas",
        "updatedReplicas",
        "conditions",
    ),
    "Job": ("conditions", "failed", "succeeded"),
    "PersistentVolumeClaim": ("phase", "capacity"),
    "ResourceQuota": ("hard",),
    "HTTPRoute": ("parents",),
    "VolumeSnapshot": ("readyToUse", "restoreSize", "creationTime", "error"),
}
"""The read fields of a tenant object's status, by kind; of the other kinds nothing is read."""
_CONDITIONS: Final[Mapping[str, frozenset[str]]] = {
    "Deployment": frozenset({"ReplicaFailure"}),
    "Pod": frozenset({"PodScheduled", "Ready"}),
    "Job": frozenset({"Complete", "Failed"}),
}
_CERTIFICATE: Final = "-----BEGIN CERTIFICATE-----"
_NAMESPACE_MARKS: Final = frozenset({names.OWNER_UID_ANNOTATION, names.RETAINED_ANNOTATION})
_IDENTITY: Final = ("name", "namespace", "uid", "resourceVersion")
_CONDITION_FIELDS: Final = ("type", "status", "reason", "message", "lastTransitionTime")
_CONTAINER_FIELDS: Final = ("name", "image", "ready", "restartCount", "state", "lastState")


def tenant_object(obj: Json) -> Json:
    """Keep the spec, and of managedFields what others own of it and of annotations and labels."""
    kind = obj["kind"]
    trimmed = dict(keep_foreign(obj, names.OPERATOR))
    status = _status(trimmed.pop("status", None) or {}, kind, _STATUS_FIELDS.get(kind, ()))
    return {**trimmed, "status": status} if status else trimmed


def workspace(obj: Json) -> Json:
    """Drop the API's record of changes, which people read, and the owners of fields."""
    trimmed = without_managed_fields(obj)
    marks = dict(annotations(trimmed))
    if marks.pop(names.HISTORY_ANNOTATION, None) is not None:
        trimmed["metadata"]["annotations"] = marks
    return trimmed


def pod(obj: Json) -> Json:
    """Keep what diagnosis and model sync read."""
    trimmed = without_managed_fields({"metadata": obj["metadata"]})
    status = _status(obj.get("status") or {}, "Pod", ("conditions", "phase"))
    for containers in ("initContainerStatuses", "containerStatuses"):
        if containers in obj.get("status", {}):
            status[containers] = [
                _fields(container, _CONTAINER_FIELDS) for container in obj["status"][containers]
            ]
    affinity = _fields(obj.get("spec", {}).get("affinity") or {}, ("podAffinity",))
    spec = {"spec": {"affinity": affinity}} if affinity else {}
    return {"apiVersion": "v1", "kind": "Pod", **trimmed, **spec, "status": status}


def namespace(obj: Json) -> Json:
    """Drop the spec. All namespaces are watched, so that a foreign one is known before anything is
    written; of one without our marks nothing is read but its identity, and the place of its
    workspaces in upgrades."""
    if _NAMESPACE_MARKS.isdisjoint(annotations(obj)):
        foreign = head(obj)
        if order := _fields(labels(obj), (names.UPGRADE_ORDER_LABEL,)):
            foreign["metadata"]["labels"] = order
        return foreign
    return dict(keep_foreign({name: obj[name] for name in obj if name != "spec"}, names.OPERATOR))


def node(obj: Json) -> Json:
    """Keep the addresses, and the ranges of its pods."""
    addresses = (obj.get("status") or {}).get("addresses", [])
    spec = _fields(obj.get("spec") or {}, ("podCIDRs",))
    return {**head(obj), **({"spec": spec} if spec else {}), "status": {"addresses": addresses}}


def config_map(obj: Json) -> Json:
    """Keep the entries that may be certificates."""
    entries = {name: text for name, text in (obj.get("data") or {}).items() if _CERTIFICATE in text}
    return {**head(obj), "data": entries}


def head(obj: Json) -> Json:
    """Keep what tells that an object is there."""
    identity = _fields(obj["metadata"], _IDENTITY)
    return {**_fields(obj, ("apiVersion", "kind")), "metadata": identity}


def secret(obj: Json) -> Json:
    """Drop the data, except of credentials, of Secrets that say which resource they serve, and of
    those with registries' passwords."""
    trimmed = without_managed_fields(obj)
    is_read = (
        _is_credentials(obj)
        or names.SECRET_FOR_ANNOTATION in annotations(obj)
        or obj.get("type") == PULL_SECRET_TYPE
    )
    if not is_read:
        trimmed.pop("data", None)
    return trimmed


def _is_credentials(obj: Json) -> bool:
    """Whether the operator made the Secret for a workspace."""
    is_own = labels(obj).get(names.MANAGED_BY_LABEL) == names.OPERATOR
    return is_own and obj["metadata"]["name"] != names.API_SESSION


def _status(status: Json, kind: str, fields: tuple[str, ...]) -> Json:
    trimmed = _fields(status, fields)
    conditions = trimmed.pop("conditions", None) or ()
    read = [
        _fields(condition, _CONDITION_FIELDS)
        for condition in conditions
        if condition["type"] in _CONDITIONS[kind]
    ]
    return {**trimmed, "conditions": read} if read else trimmed


def _fields(obj: Mapping[str, Any], fields: tuple[str, ...]) -> Json:
    return {name: obj[name] for name in fields if name in obj}
