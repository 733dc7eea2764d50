"""Counts and downloads in words."""

from typing import Any

from aichat_workspace.foundation.units import roughly


def count(number: int, noun: str) -> str:
    """Return a number with its noun, as `1 model` or `2 models`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def progress_of(model: dict[str, Any]) -> str:
    """Return a download in a few words, as `llama3.3:70b 41 %, about 6 min`."""
    words = f"{model['name']} {model.get('percent', 0)} %"
    eta = model.get("etaSeconds")
    return words if eta is None else f"{words}, {roughly(eta)}"
