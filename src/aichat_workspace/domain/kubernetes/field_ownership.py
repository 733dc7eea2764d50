"""Fields that someone else put into an object of ours, and how to take them out again.

Server-side apply restores what we own and keeps what others added. Inside a tenant an added
container or variable is drift all the same, and the API server records who owns which field.
https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from aichat_workspace.domain.kubernetes.manifest import Manifest

Fields = Mapping[str, Any]
Pointer = tuple[str | int, ...]

# Kinds whose spec is ours alone. A claim's spec is completed by the volume controllers.
_OURS: Final = frozenset(
    {
        "ResourceQuota",
        "LimitRange",
        "NetworkPolicy",
        "Service",
        "StatefulSet",
        "Deployment",
        "Ingress",
        "HTTPRoute",
    }
)
# `kubectl rollout restart` writes here, and a restart is not drift.
_ALLOWED: Final[tuple[Pointer, ...]] = (("spec", "template", "metadata", "annotations"),)
_KEPT: Final = "foreignFields"
_CHANGED: Final = "changedAt"
_MISSING: Final = object()


def keep_foreign(manifest: Manifest, manager: str) -> Manifest:
    """The object as a cache keeps it: instead of everyone's managedFields only the parts of `spec`
    that others than `manager` own, which is nearly always nothing, and when `manager` last changed
    it."""
    metadata = dict(manifest["metadata"])
    entries = metadata.pop("managedFields", ())
    times = [each["time"] for each in entries if each.get("manager") == manager and "time" in each]
    if times:
        metadata[_CHANGED] = max(times)
    if manifest.get("kind") in _OURS:
        foreign = [
            {"f:spec": entry["fieldsV1"]["f:spec"]}
            for entry in entries
            if entry.get("manager") != manager
            and not entry.get("subresource")
            and "f:spec" in entry.get("fieldsV1", {})
        ]
        if foreign:
            metadata[_KEPT] = foreign
    return {**manifest, "metadata": metadata}


def changed_at(observed: Manifest) -> datetime | None:
    """When we last changed an object that a cache keeps."""
    text = observed["metadata"].get(_CHANGED)
    return datetime.fromisoformat(text) if text else None


def removals(observed: Manifest, desired: Manifest) -> tuple[Pointer, ...]:
    """Where `observed` holds foreign fields that `desired` does not have, deepest index first."""
    found = {
        pointer
        for fields in observed["metadata"].get(_KEPT, ())
        for pointer in _extras(fields, observed, desired, ())
    }
    return tuple(sorted(found, key=_order, reverse=True))


def json_patch(pointers: Sequence[Pointer], observed: Manifest) -> list[dict[str, Any]]:
    """A JSON Patch (RFC 6902) that takes the fields out, if the object is still as it was seen."""
    version = observed["metadata"]["resourceVersion"]
    return [
        {"op": "test", "path": "/metadata/resourceVersion", "value": version},
        *({"op": "remove", "path": _text(pointer)} for pointer in pointers),
    ]


def _extras(fields: Fields, observed: Any, desired: Any, at: Pointer) -> Iterator[Pointer]:
    for key, below in fields.items():
        token = _token(key, observed)
        if token is None or (*at, token) in _ALLOWED:
            continue
        wanted = _child(desired, _token(key, desired))
        if wanted is _MISSING:
            yield (*at, token)
        else:
            yield from _extras(below, _child(observed, token), wanted, (*at, token))


def _token(key: str, node: Any) -> str | int | None:
    """Where in `node` the field is that fieldsV1 calls `key`; None if it is not there.

    https://github.com/kubernetes-sigs/structured-merge-diff: f: a field, k: a list entry by its
    keys, v: a set's value, i: an index, and a lone dot for the node itself.
    """
    prefix, _, name = key.partition(":")
    if prefix == "f":
        return name if isinstance(node, Mapping) and name in node else None
    if prefix not in ("k", "v") or not isinstance(node, Sequence):
        return None
    sought = json.loads(name)
    return next((i for i, entry in enumerate(node) if _is(entry, sought, prefix)), None)


def _is(entry: Any, sought: Any, prefix: str) -> bool:
    if prefix == "v":
        return bool(entry == sought)
    return isinstance(entry, Mapping) and all(
        entry.get(key) == value for key, value in sought.items()
    )


def _child(node: Any, token: str | int | None) -> Any:
    return _MISSING if token is None else node[token]


def _order(pointer: Pointer) -> tuple[tuple[int, str], ...]:
    return tuple((t, "") if isinstance(t, int) else (-1, t) for t in pointer)


def _text(pointer: Pointer) -> str:
    """RFC 6901."""
    return "".join("/" + str(t).replace("~", "~0").replace("/", "~1") for t in pointer)
