"""What an API server does with server-side applies of one manager, as far as plans can see.

https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aichat_workspace.domain.kubernetes import quantity
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref, ref
from aichat_workspace.domain.planning.actions import Action, Apply, Delete
from aichat_workspace.domain.planning.plan import Observed

# The lists that Kubernetes' API merges by key; it replaces any other.
_KEYS: Final = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
}
_PORTS: Final = {"Service": ("port", "protocol"), "StatefulSet": ("containerPort", "protocol")}
_DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    "Service": {"clusterIP": "10.0.0.1", "sessionAffinity": "None"},
    "StatefulSet": {"podManagementPolicy": "OrderedReady", "revisionHistoryLimit": 10},
    "Deployment": {"progressDeadlineSeconds": 600, "revisionHistoryLimit": 10},
    "PersistentVolumeClaim": {"volumeMode": "Filesystem", "storageClassName": "default"},
}
_GROWING: Final = frozenset({"default"})
_GONE: Final = object()


@dataclass
class ApiServer:
    """One tenant's objects. Secrets are kept apart, for the operator doesn't see them."""

    namespace: Manifest
    objects: dict[Ref, Manifest] = field(default_factory=dict)
    secrets: dict[Ref, Manifest] = field(default_factory=dict)
    _applied: dict[Ref, Manifest] = field(default_factory=dict)

    @property
    def observed(self) -> Observed:
        return Observed(
            namespace=self.namespace,
            objects=copy.deepcopy(self.objects),
            expandable_classes=_GROWING,
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
                case _:
                    raise AssertionError(f"nobody else writes here: {action}")

    def _apply(self, manifest: Manifest) -> None:
        at = ref(manifest)
        if at.kind == "Secret":
            assert self.secrets.setdefault(at, manifest) == manifest, "it is immutable"
            return
        merged = _merged(self.objects.get(at, {}), self._applied.get(at, {}), manifest, at.kind)
        self._applied[at] = manifest
        self.objects[at] = _defaulted(_canonical(merged), at)


def _merged(live: Any, before: Any, now: Any, name: str) -> Any:
    if isinstance(now, Mapping):
        return _merged_map(live, before, now, name)
    keys = _keys(name)
    if keys and isinstance(now, Sequence) and not isinstance(now, str):
        return _merged_list(live, before, now, keys)
    return copy.deepcopy(now)


def _keys(name: str) -> tuple[str, ...] | None:
    kind, _, last = name.rpartition("/")
    if last == "ports":
        return _PORTS.get("StatefulSet" if kind == "Deployment" else kind)
    return _KEYS.get(last)


def _merged_map(live: Any, before: Any, now: Mapping[str, Any], name: str) -> dict[str, Any]:
    live = live if isinstance(live, Mapping) else {}
    before = before if isinstance(before, Mapping) else {}
    kind = name.partition("/")[0]
    found = {key: _left(value, before.get(key)) for key, value in live.items() if key not in now}
    return {key: value for key, value in found.items() if value is not _GONE} | {
        key: _merged(live.get(key), before.get(key), value, f"{kind}/{key}")
        for key, value in now.items()
    }


def _left(live: Any, before: Any) -> Any:
    """What stays of a field that is not applied any more: what the server put into it."""
    if before is None:
        return live
    if not (isinstance(live, Mapping) and isinstance(before, Mapping)):
        return _GONE
    left = {key: _left(value, before.get(key)) for key, value in live.items()}
    return {key: value for key, value in left.items() if value is not _GONE} or _GONE


def _merged_list(live: Any, before: Any, now: Sequence[Any], keys: tuple[str, ...]) -> list[Any]:
    held, owned = ({_key(each, keys): each for each in of or ()} for of in (live, before))
    wanted = {_key(each, keys): each for each in now}
    foreign = [each for at, each in held.items() if at not in owned and at not in wanted]
    merged = (_merged(held.get(at, {}), owned.get(at, {}), each, "") for at, each in wanted.items())
    return [*merged, *foreign]


def _key(entry: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(entry.get(key) for key in keys)


def _canonical(node: Any, *, quantities: bool = False) -> Any:
    """The server writes a quantity in one way, however it was written, and no empty value of a
    variable or toleration."""
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
        return [_canonical(each, quantities=False) for each in node]
    return quantity.size(quantity.parse(node)) if quantities and _is_size(node) else node


def _is_size(value: object) -> bool:
    return isinstance(value, str) and value[-1:].isalpha() and not value.endswith("m")


def _defaulted(manifest: dict[str, Any], at: Ref) -> Manifest:
    metadata = {"uid": f"uid-{at.kind}-{at.name}", "resourceVersion": "1"}
    filled = {**manifest, "metadata": {**manifest["metadata"], **metadata}}
    if "spec" in filled:
        filled["spec"] = {**_DEFAULTS.get(at.kind, {}), **filled["spec"]}
    if at.kind == "PersistentVolumeClaim":
        filled["status"] = {"phase": "Bound"}
    for container in (
        filled.get("spec", {}).get("template", {}).get("spec", {}).get("containers", ())
    ):
        container.setdefault("terminationMessagePath", "/dev/termination-log")
    return filled
