"""What a definition of resources takes from those who relied on an older one."""

from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Final

import yaml
from packaging.version import Version

ROOT: Final = Path(__file__).parents[1]
RELEASED: Final = sorted((ROOT / "tests/released").iterdir(), key=lambda path: Version(path.name))
"""A folder for each supported release, the last one at the end (release/contract.py)."""
KINDS: Final = ("aichatworkspaces", "aichatplatforms")
_LOWER_BOUNDS: Final = ("minimum", "minLength", "minItems", "minProperties")
_UPPER_BOUNDS: Final = ("maximum", "maxLength", "maxItems", "maxProperties")
_FIXED: Final = (
    *("type", "format", "pattern", "default", "x-kubernetes-int-or-string"),
    *("x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type"),
)
_ADDITIVE_NAMES: Final = ("shortNames", "categories")


def released_definition(folder: Path, kind: str) -> Any:
    """The CustomResourceDefinition as a release had it."""
    return yaml.safe_load((folder / f"apps.aichatworkspaces.io_{kind}.yaml").read_text())


def schema_of(version: Mapping[str, Any]) -> Any:
    return version["schema"]["openAPIV3Schema"]


def broken(old: Any, new: Any) -> list[str]:
    """What the new definition has lost or narrowed, by its path."""
    return list(chain(_names(old["spec"], new["spec"]), _versions(old["spec"], new["spec"])))


def _names(old: Any, new: Any) -> Iterator[str]:
    for key in ("group", "scope"):
        if old[key] != new[key]:
            yield f"{key}: {old[key]} is {new[key]}"
    for key, value in old["names"].items():
        if key in _ADDITIVE_NAMES:
            yield from (f"{key}: no {name}" for name in value if name not in new["names"][key])
        elif new["names"].get(key) != value:
            yield f"names.{key}: {value} is {new['names'].get(key)}"


def _versions(old: Any, new: Any) -> Iterator[str]:
    versions = {version["name"]: version for version in new["versions"] if version["served"]}
    for version in old["versions"]:
        name = version["name"]
        if not version["served"]:
            continue
        if name not in versions:
            yield f"version {name} is not served"
            continue
        yield from _version(version, versions[name])
    served = {version["name"] for version in old["versions"] if version["served"]}
    (stored,) = (version["name"] for version in new["versions"] if version["storage"])
    if stored not in served:
        yield f"{stored} is stored, which the release before can't read"


def _version(old: Any, new: Any) -> Iterator[str]:
    for key, name in (("additionalPrinterColumns", "name"), ("selectableFields", "jsonPath")):
        former, present = ({entry[name] for entry in spec.get(key, ())} for spec in (old, new))
        yield from (f"{key}: no {word}" for word in sorted(former - present))
    for part in old.get("subresources", {}):
        if part not in new.get("subresources", {}):
            yield f"no subresource {part}"
    yield from narrowed(schema_of(old), schema_of(new))


def narrowed(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """Yield what documents and clients of the old schema miss in the new one."""
    yield from _fixed(old, new, path)
    yield from _bounds(old, new, path)
    if "enum" in new:
        values = old.get("enum", ["any"])
        yield from (f"{path}: no value {value}" for value in values if value not in new["enum"])
    for rule in new.get("x-kubernetes-validations", ()):
        if rule not in old.get("x-kubernetes-validations", ()):
            yield f"{path}: the rule {rule['rule']!r} is new"
    for name in new.get("required", ()):
        if name not in old.get("required", ()):
            yield f"{path}.{name}: it is required"
    if old.get("nullable") and not new.get("nullable"):
        yield f"{path}: it may not be null"
    yield from _below(old, new, path)


def _fixed(old: Any, new: Any, path: str) -> Iterator[str]:
    for key in _FIXED:
        if old.get(key) != new.get(key):
            yield f"{path}: {key} {old.get(key)!r} is {new.get(key)!r}"


def _bounds(old: Any, new: Any, path: str) -> Iterator[str]:
    for key in _LOWER_BOUNDS:
        if new.get(key, float("-inf")) > old.get(key, float("-inf")):
            yield f"{path}: {key} {old.get(key)} is {new[key]}"
    for key in _UPPER_BOUNDS:
        if new.get(key, float("inf")) < old.get(key, float("inf")):
            yield f"{path}: {key} {old.get(key)} is {new[key]}"


def _below(old: Any, new: Any, path: str) -> Iterator[str]:
    for name, field in old.get("properties", {}).items():
        if name in new.get("properties", {}):
            yield from narrowed(field, new["properties"][name], f"{path}.{name}")
        else:
            yield f"{path}.{name} is lost"
    for key, suffix in (("items", "[]"), ("additionalProperties", ".*")):
        if key in old and key in new:
            yield from narrowed(old[key], new[key], f"{path}{suffix}")
        elif key in old:
            yield f"{path}{suffix} is lost"


def as_stored(schema: Any, document: Any) -> Any:
    """What an API server stores of a document: without fields that the schema lacks, and with its
    defaults. https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#defaulting-and-nullable
    """
    if isinstance(document, list):
        return [as_stored(schema["items"], entry) for entry in document]
    if not isinstance(document, dict):
        return document
    if "properties" not in schema:
        return document
    fields = schema["properties"]
    defaults = {name: field["default"] for name, field in fields.items() if "default" in field}
    return {
        name: as_stored(fields[name], value)
        for name, value in {**defaults, **document}.items()
        if name in fields
    }
