"""JSON Merge Patch (RFC 7396)."""

from typing import Any


def merge(target: Any, patch: Any) -> Any:
    """Return the target with the patch applied: null removes a field, a list replaces a list.

    The recursion is as deep as the patch, so limit its depth before.
    """
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged
