"""Kubernetes objects as plain data: what they are called, and whether one holds another.

Desired objects name only the fields we own. The API server fills in the rest, so comparing whole
objects would find a difference for ever (controller-runtime's documented trap); `covers` asks
instead whether everything we want is there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aichat_workspace.domain import quantity

Manifest = Mapping[str, Any]

# Lists the API server merges by key; every other list is one value.
# https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy
_MERGE_KEYS: Final = {
    "containers": "name",
    "env": "name",
    "ports": None,  # decided by what the entries hold: containerPort or port
    "volumes": "name",
    "volumeMounts": "mountPath",
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
    if isinstance(desired, Mapping):
        return isinstance(observed, Mapping) and all(
            key in observed and covers(observed[key], value, field if field in _QUANTITIES else key)
            for key, value in desired.items()
        )
    if isinstance(desired, Sequence) and not isinstance(desired, str):
        return isinstance(observed, Sequence) and _list_covers(observed, desired, field)
    return bool(observed == desired) or (field in _QUANTITIES and quantity.same(observed, desired))


def merge_key(field: str, entries: Sequence[Any]) -> str | None:
    """The key by which the API server merges the list `field`, or None for a list that is one
    value."""
    if field not in _MERGE_KEYS or not entries or not isinstance(entries[0], Mapping):
        return None
    if field == "ports":
        return next((key for key in ("containerPort", "port") if key in entries[0]), None)
    return _MERGE_KEYS[field]


def _list_covers(observed: Sequence[Any], desired: Sequence[Any], field: str) -> bool:
    key = merge_key(field, desired)
    if key is None:
        return len(observed) == len(desired) and all(
            covers(found, wanted) for found, wanted in zip(observed, desired, strict=True)
        )
    found_by_key = {entry.get(key): entry for entry in observed}
    return all(
        entry[key] in found_by_key and covers(found_by_key[entry[key]], entry) for entry in desired
    )
