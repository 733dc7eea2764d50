"""What the form of a workspace's settings says of its fields: the platform's values, and more."""

import re
from collections.abc import Mapping
from typing import Any, Final

_AMOUNT: Final = re.compile(r"([1-9][0-9]{0,9})([A-Za-z]{0,2})")
_COMPUTE: Final = ("cpuRequest", "cpuLimit", "memoryRequest", "memoryLimit")


def defaults(platform: Mapping[str, Any]) -> dict[str, str]:
    """Return what the platform gives where a field is empty, by the field's path."""
    values = {"embeddingModel": platform["embeddingModel"] or "none"}
    for part in ("ollama", "openWebUI"):
        share = platform[part]
        values |= {f"resources.{part}.{name}": share[name] for name in _COMPUTE}
        values[f"storage.{part}.size"] = share["storage"]
    return values


def raised(path: str, amount: str) -> dict[str, str]:
    """Return a field with twice its amount, as 40Gi for 20Gi; nothing for another text."""
    match = _AMOUNT.fullmatch(amount)
    return {path: f"{int(match[1]) * 2}{match[2]}"} if match else {}
