"""The leaves of a custom resource's schema, and which of them a document sets."""

from collections.abc import Iterator, Mapping
from typing import Any

Path = str
"""As `connections[].url`: a list's entries are `[]`, a map's are a part of the map."""


def leaves(schema: Mapping[str, Any], above: Path = "") -> Iterator[Path]:
    """Every field that has no fields of its own."""
    for name, field in schema["properties"].items():
        below = _below(field)
        if below is None:
            yield f"{above}{name}"
        else:
            yield from leaves(below[0], f"{above}{name}{below[1]}.")


def containers(schema: Mapping[str, Any], above: Path = "") -> Iterator[Path]:
    """Every field that can be there and hold nothing: lists, maps, and objects that need none of
    their fields."""
    for name, field in schema["properties"].items():
        path = f"{above}{name}"
        if field["type"] in ("array", "object") and not field.get("required"):
            yield path
        if "properties" in field:
            yield from containers(field, f"{path}.")


def values(schema: Mapping[str, Any], document: Any, above: Path = "") -> dict[Path, Any]:
    """The leaves that a document sets, with what it sets them to; a tuple below a list."""
    leaves: dict[Path, Any] = {}
    for name, value in document.items():
        field = schema["properties"][name]
        below, path = _below(field), f"{above}{name}"
        if below is None:
            leaves[path] = value
        elif below[1]:
            entries = [values(below[0], entry, f"{path}[].") for entry in value]
            names = {leaf for entry in entries for leaf in entry}
            leaves |= {leaf: tuple(entry.get(leaf) for entry in entries) for leaf in names}
        else:
            leaves |= values(below[0], value, f"{path}.")
    return leaves


def is_required(schema: Mapping[str, Any], path: Path) -> bool:
    """Whether the leaf can't be left out of the object that it is a field of."""
    above, _, name = path.rpartition(".")
    for part in above.split(".") if above else ():
        field = schema["properties"][part.removesuffix("[]")]
        schema = field["items"] if part.endswith("[]") else field
    return name in schema.get("required", ())


def without(document: Any, path: Path) -> Any:
    """The document without that leaf, and without what is empty then."""
    name, _, below = path.partition(".")
    key = name.removesuffix("[]")
    rest = {name: value for name, value in document.items() if name != key}
    if not below or key not in document:
        return rest
    if name.endswith("[]"):
        return {**rest, key: [without(entry, below) for entry in document[key]]}
    rest_below = without(document[key], below)
    return {**rest, key: rest_below} if rest_below else rest


def merged(first: Any, second: Any) -> Any:
    """Both documents; where they differ, the second one's values."""
    if not (isinstance(first, dict) and isinstance(second, dict)):
        return second
    return {**first, **{key: merged(first.get(key), value) for key, value in second.items()}}


def nested(path: Path, value: Any) -> Any:
    """The document that sets only this."""
    for name in reversed(path.split(".")):
        value = {name: value}
    return value


def _below(field: Mapping[str, Any]) -> tuple[Mapping[str, Any], str] | None:
    if "properties" in field:
        return field, ""
    items = field.get("items", {})
    return (items, "[]") if "properties" in items else None
