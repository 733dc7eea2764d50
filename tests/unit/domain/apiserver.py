"""A fake API server that does server-side apply for one field manager, as far as plans can see.

https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aichat_workspace.domain.kubernetes import quantity
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref, ref
from aichat_workspace.domain.planning.actions import Action, Apply, Delete, Prune
from aichat_workspace.domain.planning.observed import Observed

# The lists that Kubernetes' API merges by key; it replaces any other.
_KEYS: Final = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "imagePullSecrets": ("name",),
}
_PORTS: Final = {"Service": ("port", "protocol"), "StatefulSet": ("containerPort", "protocol")}
_DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    "Service": {"clusterIP": "10.0.0.1", "sessionAffinity": "None"},
    "StatefulSet": {"podManagementPolicy": "OrderedReady", "revisionHistoryLimit": 10},
    "Deployment": {"progressDeadlineSeconds": 600, "revisionHistoryLimit": 10},
    "PersistentVolumeClaim": {"volumeMode": "Filesystem", "storageClassName": "default"},
}
_EXPANDABLE: Final = frozenset({"default"})
_REMOVED: Final = object()


@dataclass
class ApiServer:
    """One tenant's objects."""

    namespace: Manifest
    objects: dict[Ref, Manifest] = field(default_factory=dict)
    """All but Secrets, which the operator can't read."""
    secrets: dict[Ref, Manifest] = field(default_factory=dict)
    _applied: dict[Ref, Manifest] = field(default_factory=dict)
    """What was last applied."""

    @property
    def observed(self) -> Observed:
        return Observed(
            namespace=self.namespace,
            objects=copy.deepcopy(self.objects),
            expandable_classes=_EXPANDABLE,
        )

    def execute_all(self, actions: Iterable[Action]) -> None:
        for action in actions:
            match action:
                case Apply(manifest):
                    self._apply(manifest)
                case Delete(Ref("Secret") as target):
                    self.secrets.pop(target, None)
                case Delete(target):
                    del self.objects[target], self._applied[target]
                case Prune(Ref("Namespace"), [_, *removals]):
                    self._take_off([str(removal["path"]) for removal in removals])
                case _:
                    raise AssertionError(f"there are no foreign fields or problems: {action}")

    def _take_off(self, pointers: Iterable[str]) -> None:
        prefix = "/metadata/labels/"
        assert all(pointer.startswith(prefix) for pointer in pointers), "others add nothing"
        gone = {pointer.removeprefix(prefix).replace("~1", "/") for pointer in pointers}
        metadata = self.namespace["metadata"]
        labels = {name: value for name, value in metadata["labels"].items() if name not in gone}
        self.namespace = {**self.namespace, "metadata": {**metadata, "labels": labels}}

    def _apply(self, manifest: Manifest) -> None:
        target = ref(manifest)
        if target.kind == "Namespace":
            metadata = {**self.namespace["metadata"], **manifest["metadata"]}
            self.namespace = {**self.namespace, "metadata": metadata}
            return
        if target.kind == "Secret":
            stored = self.secrets.get(target, manifest)
            assert stored == manifest or "immutable" not in stored, "it is immutable"
            self.secrets[target] = manifest
            return
        live, previous = self.objects.get(target, {}), self._applied.get(target, {})
        merged = _merge(live, previous, manifest, target.kind)
        self._applied[target] = manifest
        self.objects[target] = _with_defaults(_canonical(merged), target)


def _merge(live: Any, previous: Any, applied: Any, name: str) -> Any:
    if isinstance(applied, Mapping):
        return _merge_maps(live, previous, applied, name)
    keys = _keys(name)
    if keys and isinstance(applied, Sequence) and not isinstance(applied, str):
        return _merge_lists(live, previous, applied, keys)
    return copy.deepcopy(applied)


def _keys(name: str) -> tuple[str, ...] | None:
    kind, _, last = name.rpartition("/")
    if last == "ports":
        return _PORTS.get("StatefulSet" if kind == "Deployment" else kind)
    return _KEYS.get(last)


def _merge_maps(live: Any, previous: Any, applied: Mapping[str, Any], name: str) -> dict[str, Any]:
    live = live if isinstance(live, Mapping) else {}
    previous = previous if isinstance(previous, Mapping) else {}
    kind = name.partition("/")[0]
    others = {
        key: _remainder(value, previous.get(key))
        for key, value in live.items()
        if key not in applied
    }
    return {key: value for key, value in others.items() if value is not _REMOVED} | {
        key: _merge(live.get(key), previous.get(key), value, f"{kind}/{key}")
        for key, value in applied.items()
    }


def _remainder(live: Any, previous: Any) -> Any:
    """Return what stays of a field that is not applied any more: the server's part of it."""
    if previous is None:
        return live
    if not (isinstance(live, Mapping) and isinstance(previous, Mapping)):
        return _REMOVED
    remainders = {key: _remainder(value, previous.get(key)) for key, value in live.items()}
    return {key: value for key, value in remainders.items() if value is not _REMOVED} or _REMOVED


def _merge_lists(
    live: Any, previous: Any, applied: Sequence[Any], keys: tuple[str, ...]
) -> list[Any]:
    live_entries, previous_entries, applied_entries = (
        {_key(entry, keys): entry for entry in entries or ()}
        for entries in (live, previous, applied)
    )
    merged = (
        _merge(live_entries.get(key, {}), previous_entries.get(key, {}), entry, "")
        for key, entry in applied_entries.items()
    )
    foreign = [
        entry
        for key, entry in live_entries.items()
        if key not in previous_entries and key not in applied_entries
    ]
    return [*merged, *foreign]


def _key(entry: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(entry.get(key) for key in keys)


def _canonical(node: Any, *, quantities: bool = False) -> Any:
    """Write each quantity in one way, and omit the empty value of a variable or toleration."""
    if isinstance(node, Mapping):
        return {
            key: _canonical(
                value,
                quantities=quantities or key in ("requests", "limits", "hard", "defaultRequest"),
            )
            for key, value in node.items()
            if (key, value) != ("value", "")
        }
    if isinstance(node, list):
        return [_canonical(item, quantities=False) for item in node]
    return quantity.size(quantity.parse(node)) if quantities and _is_size(node) else node


def _is_size(value: object) -> bool:
    return isinstance(value, str) and value[-1:].isalpha() and not value.endswith("m")


def _with_defaults(manifest: dict[str, Any], target: Ref) -> Manifest:
    metadata = {"uid": f"uid-{target.kind}-{target.name}", "resourceVersion": "1"}
    filled = {**manifest, "metadata": {**manifest["metadata"], **metadata}}
    if "spec" in filled:
        filled["spec"] = {**_DEFAULTS.get(target.kind, {}), **filled["spec"]}
    if target.kind == "PersistentVolumeClaim":
        filled["status"] = {"phase": "Bound"}
    for container in (
        filled.get("spec", {}).get("template", {}).get("spec", {}).get("containers", ())
    ):
        container.setdefault("terminationMessagePath", "/dev/termination-log")
    return filled
