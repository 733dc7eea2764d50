"""Labels of all objects of a workspace."""

import re
from typing import Final

from aichat_workspace.domain import names

_LABEL_LENGTH: Final = 63


def workspace_labels(workspace: str, name: str, component: str) -> dict[str, str]:
    """Return the labels of an object of the workspace.

    A label's value may be shorter than the object's name, so a long name is cut.
    https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
    """
    return {
        names.WORKSPACE_LABEL: workspace,
        "app.kubernetes.io/instance": workspace,
        "app.kubernetes.io/name": name[:_LABEL_LENGTH].rstrip("-"),
        "app.kubernetes.io/part-of": names.part_of(workspace),
        names.MANAGED_BY_LABEL: names.OPERATOR,
        names.COMPONENT_LABEL: component,
    }


def image_version(image: str) -> str:
    """Return an image's tag or digest as a label value: at most 63 of [A-Za-z0-9._-]."""
    tail = image.rsplit("/", 1)[-1]
    version = tail.partition("@")[2] or tail.partition(":")[2]
    return re.sub(r"[^A-Za-z0-9._-]", "-", version)[:_LABEL_LENGTH].strip("._-")
