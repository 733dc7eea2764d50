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
        each["fieldsV1"]
        for each in live["metadata"]["managedFields"]
        if each["manager"] == manager and each["operation"] == "Apply"
    )
    found: dict[str, Any] = _part(fields, live)
    return found


def same(left: Any, right: Any) -> bool:
    """Equal, with lists in the same order; a quantity may be written otherwise,
    and an empty text left out."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return all(same(left.get(key, ""), right.get(key, "")) for key in {*left, *right})
    if _is_list(left) and _is_list(right):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right) or quantity.same(left, right)


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
        _part(value, each) for each in live for key, value in below.items() if _names(key, each)
    ]


def _names(key: str, entry: Any) -> bool:
    kind, _, text = key.partition(":")
    sought = json.loads(text)
    if kind == "v":
        return bool(entry == sought)
    return all(entry.get(name) == value for name, value in sought.items())
