"""The fields of a live object that one manager applied, read from the API server's own record.

https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aichat_workspace.domain.kubernetes import quantity


def owned(live: Mapping[str, Any], manager: str) -> dict[str, Any]:
    """The part of the object that the manager applied, as it is now."""
    (fields,) = (
        entry["fieldsV1"]
        for entry in live["metadata"]["managedFields"]
        if entry["manager"] == manager and entry["operation"] == "Apply"
    )
    part: dict[str, Any] = _part(fields, live)
    return part


def same(expected: Any, live: Any) -> bool:
    """Equal, with lists in the same order; a quantity may be written otherwise,
    and an empty text left out."""
    if isinstance(expected, Mapping) and isinstance(live, Mapping):
        return all(same(expected.get(key, ""), live.get(key, "")) for key in {*expected, *live})
    if _is_list(expected) and _is_list(live):
        return len(expected) == len(live) and all(map(same, expected, live))
    return bool(expected == live) or quantity.same(expected, live)


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _part(fields: Mapping[str, Any], live: Any) -> Any:
    below = {key: value for key, value in fields.items() if key != "."}
    if not below:
        return live
    if isinstance(live, Mapping):
        return {
            (name := key.removeprefix("f:")): _part(value, live.get(name, ""))
            for key, value in below.items()
        }
    return [
        _part(value, item) for item in live for key, value in below.items() if _names(key, item)
    ]


def _names(key: str, entry: Any) -> bool:
    kind, _, text = key.partition(":")
    key_fields = json.loads(text)
    if kind == "v":
        return bool(entry == key_fields)
    return all(entry.get(name) == value for name, value in key_fields.items())
