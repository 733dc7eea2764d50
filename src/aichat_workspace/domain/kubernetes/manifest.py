"""Kubernetes objects as plain data: what they are called, and whether one holds another.

Desired objects name only the fields we own. The API server fills in the rest, so comparing whole
objects would find a difference for ever (controller-runtime's documented trap); `covers` asks
instead whether everything we want is there.
"""

from collections.abc import Mapping, Sequence
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
}
# Maps that it sets as a whole, as it does lists that are one value.
_ATOMIC: Final = frozenset({"podSelector", "selector", "nodeSelector", "secretKeyRef"})
# What it fills in inside of one value: in the entries of these lists.
# https://gateway-api.sigs.k8s.io/reference/spec/#gateway.networking.k8s.io/v1.HTTPRouteRule
_FILLED_IN: Final[Mapping[str, Manifest]] = {
    "rules": {"matches": [{"path": {"type": "PathPrefix", "value": "/"}}]},
    "backendRefs": {"group": "", "kind": "Service", "weight": 1},
}
_QUANTITIES: Final = frozenset({"limits", "requests", "hard", "default", "defaultRequest"})


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """Which object: unique among the kinds we watch."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return (
            f"{self.kind} {self.namespace}/{self.name}"
            if self.namespace
            else (f"{self.kind} {self.name}")
        )


def ref(manifest: Manifest) -> Ref:
    metadata = manifest["metadata"]
    return Ref(manifest["kind"], metadata.get("namespace", ""), metadata["name"])


def covers(observed: Any, desired: Any, field: str = "") -> bool:
    """Whether `observed` holds every value of `desired`.

    `field` is the name of the map or list that both came from; it decides how lists are matched
    and which numbers are quantities.
    """
    keys = _MERGE_KEYS.get(field)
    if isinstance(desired, Mapping) and field not in _ATOMIC:
        return isinstance(observed, Mapping) and all(
            covers(observed[key], value, _below(field, key))
            if key in observed
            else _is_left_out(key, value)
            for key, value in desired.items()
        )
    if isinstance(desired, Sequence) and not isinstance(desired, str) and keys:
        return isinstance(observed, Sequence) and _list_covers(observed, desired, keys)
    return _same(observed, desired, field)


def _same(observed: Any, desired: Any, field: str) -> bool:
    """Whether `observed` is `desired`, but for what the API server fills in. Nobody else's field
    can be told from ours here: the whole has one owner."""
    if isinstance(desired, Mapping):
        desired = {k: v for k, v in desired.items() if k in observed or not _is_left_out(k, v)}
        wanted = {**_FILLED_IN.get(field, {}), **desired}
        return (
            isinstance(observed, Mapping)
            and desired.keys() <= observed.keys() <= wanted.keys()
            and all(_same(observed[key], wanted[key], _below(field, key)) for key in observed)
        )
    if isinstance(desired, Sequence) and not isinstance(desired, str):
        return (
            isinstance(observed, Sequence)
            and len(observed) == len(desired)
            and all(_same(*pair, field) for pair in zip(observed, desired, strict=True))
        )
    return bool(observed == desired) or (field in _QUANTITIES and quantity.same(observed, desired))


def _is_left_out(key: str, value: Any) -> bool:
    """The API server leaves the empty value of a variable or a toleration out."""
    return bool((key, value) == ("value", ""))


def _below(field: str, key: str) -> str:
    return field if field in _QUANTITIES else key


def _list_covers(observed: Sequence[Any], desired: Sequence[Any], keys: Sequence[str]) -> bool:
    found_by_key = {tuple(map(entry.get, keys)): entry for entry in observed}
    return all(
        (key := tuple(map(entry.get, keys))) in found_by_key and covers(found_by_key[key], entry)
        for entry in desired
    )
