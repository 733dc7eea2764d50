"""Kubernetes objects as plain JSON: their references, and whether one covers another.

Desired objects name only the fields we own. The API server fills in the rest, so comparing whole
objects would always find a difference (controller-runtime's documented trap); `covers` asks
instead whether every desired value is there.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aichat_workspace.domain.kubernetes import quantity

Manifest = Mapping[str, Any]

# Lists the API server merges by key; every other list is one value.
# https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy
_MERGE_KEYS: Final = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "ports": ("containerPort", "port", "protocol"),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "imagePullSecrets": ("name",),
}
# Maps that it also treats as one value.
_ATOMIC: Final = frozenset({"podSelector", "selector", "nodeSelector", "secretKeyRef"})
# Fields that it fills in inside of one value, in the entries of these lists.
# https://gateway-api.sigs.k8s.io/reference/spec/#gateway.networking.k8s.io/v1.HTTPRouteRule
_FILLED_IN: Final[Mapping[str, Manifest]] = {
    "rules": {"matches": [{"path": {"type": "PathPrefix", "value": "/"}}]},
    "backendRefs": {"group": "", "kind": "Service", "weight": 1},
}
_QUANTITIES: Final = frozenset(
    {"limits", "requests", "hard", "default", "defaultRequest", "sizeLimit"}
)


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """A reference to an object, unique among the kinds that we watch."""

    kind: str
    namespace: str
    """Empty for a cluster-scoped object."""
    name: str

    def __str__(self) -> str:
        path = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {path}"


def ref(manifest: Manifest) -> Ref:
    metadata = manifest["metadata"]
    return Ref(manifest["kind"], metadata.get("namespace", ""), metadata["name"])


def is_deleting(manifest: Manifest) -> bool:
    """Whether its deletion has begun; it exists until its finalizers or containers have ended."""
    return "deletionTimestamp" in manifest["metadata"]


def covers(observed: Any, desired: Any, field: str = "") -> bool:
    """Whether `observed` has every value of `desired`; both are plain JSON: dicts, lists, scalars.

    `field` is the name of the map or list that both come from; it decides how lists are matched
    and which numbers are quantities.
    """
    if observed == desired:  # most parts are, and this is compared at once
        return True
    keys = _MERGE_KEYS.get(field)
    if isinstance(desired, dict) and field not in _ATOMIC:
        return isinstance(observed, dict) and all(
            covers(observed[key], value, _below(field, key))
            if key in observed
            else _is_left_out(key, value)
            for key, value in desired.items()
        )
    if isinstance(desired, list) and keys:
        return isinstance(observed, list) and _list_covers(observed, desired, keys)
    return _same(observed, desired, field)


def differences(
    observed: Any, desired: Any, field: str = "", path: str = ""
) -> Iterator[tuple[str, Any]]:
    """Yield the fields of `desired` that `observed` has not or has otherwise, with its values.

    They are named as in spec.template.spec.containers[ollama].image.
    """
    keys = _MERGE_KEYS.get(field)
    if isinstance(desired, dict) and isinstance(observed, dict) and field not in _ATOMIC:
        for key, value in desired.items():
            if key in observed or not _is_left_out(key, value):
                name = f"{path}.{key}" if path else key
                yield from differences(observed.get(key), value, _below(field, key), name)
    elif keys and isinstance(desired, list) and isinstance(observed, list):
        by_key = {tuple(map(entry.get, keys)): entry for entry in observed}
        for entry in desired:
            key = tuple(map(entry.get, keys))
            name = f"{path}[{next(part for part in key if part is not None)}]"
            yield from differences(by_key.get(key), entry, "", name)
    elif not covers(observed, desired, field):
        yield path, observed


def _same(observed: Any, desired: Any, field: str) -> bool:
    """Whether `observed` equals `desired`, except for what the API server fills in.

    The value as a whole has one owner, so any further field in it is a difference.
    """
    if observed == desired:
        return True
    if isinstance(desired, dict):
        if not isinstance(observed, dict):
            return False
        desired = {k: v for k, v in desired.items() if k in observed or not _is_left_out(k, v)}
        completed = {**_FILLED_IN.get(field, {}), **desired}
        return desired.keys() <= observed.keys() <= completed.keys() and all(
            _same(observed[key], completed[key], _below(field, key)) for key in observed
        )
    if isinstance(desired, list):
        return (
            isinstance(observed, list)
            and len(observed) == len(desired)
            and all(_same(*pair, field) for pair in zip(observed, desired, strict=True))
        )
    return field in _QUANTITIES and quantity.same(observed, desired)


def _is_left_out(key: str, value: Any) -> bool:
    """Whether the API server omits the field: the empty value of a variable or a toleration."""
    return bool((key, value) == ("value", ""))


def _below(field: str, key: str) -> str:
    return field if field in _QUANTITIES else key


def _list_covers(observed: Sequence[Any], desired: Sequence[Any], keys: Sequence[str]) -> bool:
    by_key = {tuple(map(entry.get, keys)): entry for entry in observed}
    return all(
        (key := tuple(map(entry.get, keys))) in by_key and covers(by_key[key], entry)
        for entry in desired
    )
