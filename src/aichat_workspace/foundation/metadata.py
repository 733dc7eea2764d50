"""An object's labels and annotations, which the API server leaves out or gives as null where there
are none."""

from collections.abc import Mapping
from typing import Any


def labels(obj: Mapping[str, Any]) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}


def annotations(obj: Mapping[str, Any]) -> dict[str, str]:
    return obj["metadata"].get("annotations") or {}
