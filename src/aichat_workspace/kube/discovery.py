"""Whether the API server serves a kind that a CustomResourceDefinition brings."""

from collections.abc import Mapping
from typing import Any, Final

from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.client import Client

DEFINITION: Final = Resource(
    "apiextensions.k8s.io",
    "v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
    namespaced=False,
)


async def wait_served(client: Client, resource: Resource) -> None:
    """Wait until the kind's definition is established, by a watch of that one definition.

    Raises:
        ApiError: the watch is refused; a retry helps once it is permitted.
        UnreachableError: the watch broke; try again.
    """
    name = f"{resource.plural}.{resource.group}"
    while True:
        # Version 0 tells of the definition that is there already, as ADDED.
        events = client.watch(
            DEFINITION, resource_version="0", field_selector=f"metadata.name={name}"
        )
        async for event in events:
            if event.type in ("ADDED", "MODIFIED") and _is_served(event.object, resource.version):
                return


def _is_served(definition: Mapping[str, Any], version: str) -> bool:
    conditions = definition.get("status", {}).get("conditions") or ()
    is_established = any(
        condition["type"] == "Established" and condition["status"] == "True"
        for condition in conditions
    )
    versions = definition["spec"]["versions"]
    return is_established and any(
        entry["name"] == version and entry["served"] for entry in versions
    )
