"""Find and remove the fields that others added to an object of ours.

Server-side apply restores the fields that we own and keeps the others'. Inside a tenant an added
container or variable is drift, too, and the API server records who owns which field.
https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest, covers

Fields = Mapping[str, Any]
Pointer = tuple[str | int, ...]

# Kinds whose spec only we write. Volume controllers complete a claim's spec.
_OWNED_KINDS: Final = frozenset(
    {
        "ResourceQuota",
        "LimitRange",
        "NetworkPolicy",
        "Service",
        "StatefulSet",
        "Deployment",
        "CronJob",
        "Ingress",
        "HTTPRoute",
    }
)
# Kinds whose annotations and labels change who is reached: ingress controllers, meshes and network
# plugins read them, and the network policies of other namespaces select by a namespace's labels.
_METADATA_KINDS: Final = frozenset({"Namespace", "Service", "Ingress", "HTTPRoute"})
_METADATA: Final = "metadata"
_LABELS: Final = "labels"
_METADATA_PARTS: Final = ("annotations", _LABELS)
# `kubectl rollout restart` writes here, and a restart is not drift.
_ALLOWED: Final[tuple[Pointer, ...]] = (("spec", "template", "metadata", "annotations"),)
_FOREIGN_FIELDS: Final = "foreignFields"
_MANAGER: Final = "manager"
_INDEX: Final = "index"
_SUBRESOURCE: Final = "subresource"
# Who scales a workload changes a field of ours, and owns none that would be removed.
_SUBRESOURCES: Final = (None, "", "scale")
_CHANGED_AT: Final = "changedAt"
_MISSING: Final = object()


def keep_foreign(manifest: Manifest, manager: str) -> Manifest:
    """Return the object as a cache keeps it, with less memory.

    Instead of all managedFields it has the parts of `spec`, and of the annotations and labels where
    they matter, that field managers other than `manager` own, which is nearly always nothing, and
    when `manager` last changed it.
    """
    metadata = dict(manifest["metadata"])
    entries = metadata.pop("managedFields", ())
    times = [
        entry["time"] for entry in entries if entry.get("manager") == manager and "time" in entry
    ]
    if times:
        metadata[_CHANGED_AT] = max(times)
    foreign = [
        {**_writer(entry), _INDEX: index, **fields}
        for index, entry in enumerate(entries)
        if entry.get("manager") != manager
        and entry.get("subresource") in _SUBRESOURCES
        and (fields := _relevant(entry.get("fieldsV1", {}), manifest.get("kind")))
    ]
    if foreign:
        metadata[_FOREIGN_FIELDS] = foreign
    return {**manifest, "metadata": metadata}


def _relevant(fields: Fields, kind: str | None) -> Fields:
    """Return the fields whose owner matters in an object of this kind."""
    relevant = {}
    if kind in _OWNED_KINDS and "f:spec" in fields:
        relevant["f:spec"] = fields["f:spec"]
    metadata = fields.get("f:metadata", {}) if kind in _METADATA_KINDS else {}
    parts = {
        f"f:{part}": metadata[f"f:{part}"] for part in _METADATA_PARTS if f"f:{part}" in metadata
    }
    if parts:
        relevant["f:metadata"] = parts
    return relevant


def changed_at(observed: Manifest) -> datetime | None:
    """Return when we last changed an object from a cache, or None if that is unknown."""
    text = observed["metadata"].get(_CHANGED_AT)
    return datetime.fromisoformat(text) if text else None


def removals(
    observed: Manifest, desired: Manifest, allowed_metadata: Iterable[str] = ()
) -> tuple[Pointer, ...]:
    """Return where `observed` has foreign fields that `desired` lacks, highest index first, and
    where it says that their managers own fields of `spec`.

    Annotations and labels that `allowed_metadata` lists, by name or prefix, may stay.
    """
    pointers = {
        pointer
        for entry in observed["metadata"].get(_FOREIGN_FIELDS, ())
        if _SUBRESOURCE not in entry
        for pointer in (
            *_disowned(entry, tuple(_extras(_owned_spec(entry), observed, desired, ()))),
            *(
                (_METADATA, part, name)
                for part, name in _owned_metadata(entry, observed, allowed_metadata)
                if name not in (desired["metadata"].get(part) or {})
            ),
        )
    }
    return tuple(sorted(pointers, key=_order, reverse=True))


def _disowned(entry: Fields, extras: tuple[Pointer, ...]) -> tuple[Pointer, ...]:
    """Return fields of `spec` to remove, with the record of who owns them.

    The API server puts a default in the place of a field that had it: nothing has changed then, and
    its owner would stay, and the field would be removed for ever.
    """
    if not extras:
        return ()
    return (*extras, (_METADATA, "managedFields", entry[_INDEX], "fieldsV1", "f:spec"))


def withdrawn_metadata(
    observed: Manifest, desired: Manifest, own: Iterable[tuple[str, str]]
) -> tuple[Pointer, ...]:
    """Return where `observed` has labels or annotations of `own`, by part and name, that `desired`
    lacks and no one else owns.

    An apply takes off only what an apply has put there, and not what an object was created with.
    """
    foreign = {
        entry_metadata
        for entry in observed["metadata"].get(_FOREIGN_FIELDS, ())
        for entry_metadata in _owned_metadata(entry, observed, ())
    }
    return tuple(
        (_METADATA, part, name)
        for part, name in own
        if name in (observed["metadata"].get(part) or {})
        and name not in (desired["metadata"].get(part) or {})
        and (part, name) not in foreign
    )


def foreign_changes(
    observed: Manifest, desired: Manifest, allowed_metadata: Iterable[str] = ()
) -> tuple[tuple[str, str], ...]:
    """Return the fields that others added or changed, as `manager, spec.replicas`.

    Annotations and labels that `allowed_metadata` lists are left out.
    """
    return tuple(
        (str(entry.get(_MANAGER, "")), ".".join(map(str, pointer)))
        for entry in observed["metadata"].get(_FOREIGN_FIELDS, ())
        for pointer in (
            *_changes(_owned_spec(entry), observed, desired, ()),
            *(
                (_METADATA, part, name)
                for part, name in _owned_metadata(entry, observed, allowed_metadata)
                if observed["metadata"][part][name]
                != (desired["metadata"].get(part) or {}).get(name)
            ),
        )
    )


def is_overridden(observed: Manifest, desired: Manifest) -> bool:
    """Whether somebody else has taken over a field that `desired` has. Who only scales it has
    not."""
    return any(
        _overrides(_owned_spec(entry), observed, desired, ())
        for entry in observed["metadata"].get(_FOREIGN_FIELDS, ())
        if _SUBRESOURCE not in entry
    )


def _owned_metadata(
    entry: Fields, observed: Manifest, allowed: Iterable[str]
) -> Iterator[tuple[str, str]]:
    """Yield the annotations and labels that an entry owns and that are not allowed."""
    fields = entry.get("f:metadata", {})
    for part in _METADATA_PARTS:
        observed_part = observed["metadata"].get(part) or {}
        for key in fields.get(f"f:{part}", {}):
            name = key.removeprefix("f:")
            if name in observed_part and not names.is_listed(name, allowed):
                yield part, name


def json_patch(pointers: Sequence[Pointer], observed: Manifest) -> list[dict[str, Any]]:
    """Return a JSON Patch (RFC 6902) that removes the fields, if the object is unchanged."""
    version = observed["metadata"]["resourceVersion"]
    return [
        {"op": "test", "path": "/metadata/resourceVersion", "value": version},
        *({"op": "remove", "path": _text(pointer)} for pointer in pointers),
    ]


def _writer(entry: Mapping[str, Any]) -> dict[str, str]:
    """Return who owns the fields of an entry of managedFields."""
    manager = {_MANAGER: entry.get("manager", "")}
    return {**manager, _SUBRESOURCE: "scale"} if entry.get("subresource") else manager


def _owned_spec(entry: Fields) -> Fields:
    return {key: fields for key, fields in entry.items() if key == "f:spec"}


def _changes(fields: Fields, observed: Any, desired: Any, parent: Pointer) -> Iterator[Pointer]:
    """Yield where the fields, or what is in them, are not as desired."""
    for field in _children(fields, observed, desired, parent):
        if field.desired is not _MISSING and field.subfields:
            yield from _changes(field.subfields, field.observed, field.desired, field.pointer)
        elif field.desired is _MISSING or not covers(
            field.observed, field.desired, str(field.pointer[-1])
        ):
            yield field.pointer


def _extras(fields: Fields, observed: Any, desired: Any, parent: Pointer) -> Iterator[Pointer]:
    for field in _children(fields, observed, desired, parent):
        if field.desired is _MISSING:
            yield field.pointer
        else:
            yield from _extras(field.subfields, field.observed, field.desired, field.pointer)


def _overrides(fields: Fields, observed: Any, desired: Any, parent: Pointer) -> bool:
    return any(
        # A lone dot stands for the entry itself, which others may name, too.
        not field.subfields
        or _overrides(field.subfields, field.observed, field.desired, field.pointer)
        for field in _children(fields, observed, desired, parent)
        if field.desired is not _MISSING
    )


class _Field(NamedTuple):
    """A field of an object that an entry of managedFields names."""

    pointer: Pointer
    subfields: Fields
    observed: Any
    desired: Any
    """_MISSING for a field that is not desired."""


def _children(fields: Fields, observed: Any, desired: Any, parent: Pointer) -> Iterator[_Field]:
    """Yield the fields that are there, without those that others may own."""
    for key, subfields in fields.items():
        token = _token(key, observed)
        if token is None or (pointer := (*parent, token)) in _ALLOWED:
            continue
        desired_child = _child(desired, _token(key, desired))
        yield _Field(pointer, subfields, _child(observed, token), desired_child)


def _token(key: str, node: Any) -> str | int | None:
    """Return where in `node` the field is that fieldsV1 calls `key`; None if it has none.

    https://github.com/kubernetes-sigs/structured-merge-diff: f: a field, k: a list entry by its
    keys, v: a set's value, i: an index, and a lone dot for the node itself.
    """
    prefix, _, name = key.partition(":")
    if prefix == "f":
        return name if isinstance(node, Mapping) and name in node else None
    if prefix not in ("k", "v") or not isinstance(node, Sequence):
        return None
    identity = json.loads(name)
    return next((i for i, entry in enumerate(node) if _matches(entry, identity, prefix)), None)


def _matches(entry: Any, identity: Any, prefix: str) -> bool:
    if prefix == "v":
        return bool(entry == identity)
    return isinstance(entry, Mapping) and all(
        entry.get(key) == value for key, value in identity.items()
    )


def _child(node: Any, token: str | int | None) -> Any:
    return _MISSING if token is None else node[token]


def _order(pointer: Pointer) -> tuple[tuple[int, str], ...]:
    return tuple((t, "") if isinstance(t, int) else (-1, t) for t in pointer)


def _text(pointer: Pointer) -> str:
    """Write a JSON Pointer (RFC 6901)."""
    return "".join("/" + str(t).replace("~", "~0").replace("/", "~1") for t in pointer)
