"""An AIChatPlatform as the operator observes it."""

from typing import Any


def platform(version: int, pulls: int) -> dict[str, Any]:
    return {
        "apiVersion": "apps.aichatworkspaces.io/v1alpha1",
        "kind": "AIChatPlatform",
        "metadata": {"name": "default", "resourceVersion": str(version)},
        "spec": {"models": {"concurrentPulls": pulls}},
    }
