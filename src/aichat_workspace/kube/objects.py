"""Reading Kubernetes objects, which are plain JSON."""

from typing import Any

Json = dict[str, Any]
Key = tuple[str, str]
"""Namespace and name; the namespace of a cluster-scoped object is empty."""


def key(obj: Json) -> Key:
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def uid(obj: Json) -> str:
    return str(obj["metadata"]["uid"])


def resource_version(obj: Json) -> int:
    """Return the version, comparable within one kind: KEP-5504 guarantees integers that grow."""
    return int(obj["metadata"]["resourceVersion"])


def without_managed_fields(obj: Json) -> Json:
    """Return the object without the record of its fields' owners, which is long."""
    metadata = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
    return {**obj, "metadata": metadata}
