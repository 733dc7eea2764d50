"""Reads the image of the operator's own pod, which has the backup program, too."""

import asyncio
from typing import Final

import structlog

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import ApiError, UnreachableError

_CONTAINER: Final = "manager"
_RETRY_SECONDS: Final = 5.0
_log: Final = structlog.get_logger()


async def own_image(client: Client, pod: str) -> str:
    """Return the image of the pod of this name in the system namespace; empty where it is not
    there. Waits while the API server does not answer."""
    while True:
        try:
            return await _image(client, pod)
        except (ApiError, UnreachableError) as error:
            _log.warning("own pod not read", pod=pod, error=str(error))
            await asyncio.sleep(_RETRY_SECONDS)


async def _image(client: Client, pod: str) -> str:
    pages = client.list_pages(
        kinds.POD, names.SYSTEM_NAMESPACE, field_selector=f"metadata.name={pod}"
    )
    async for page in pages:
        for item in page["items"]:
            images = {entry["name"]: entry["image"] for entry in item["spec"]["containers"]}
            return str(images.get(_CONTAINER, ""))
    _log.warning("own pod not found: no backups", pod=pod, namespace=names.SYSTEM_NAMESPACE)
    return ""
