"""Wait for a state of an object by a watch."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.client import Client


@asynccontextmanager
async def watching(
    admin: Client, resource: Resource, holds: Callable[[Any], bool], namespace: str | None = None
) -> AsyncIterator["asyncio.Task[None]"]:
    """Give a task that ends with the first event from now on for which `holds` is true."""
    page = await anext(admin.list_pages(resource, namespace, page_size=1))
    version: str = page["metadata"]["resourceVersion"]

    async def watch() -> None:
        nonlocal version
        while True:  # the API server ends a watch after a while
            events = admin.watch(resource, resource_version=version, namespace=namespace)
            async for event in events:
                version = event.object["metadata"]["resourceVersion"]
                if event.type in ("ADDED", "MODIFIED") and holds(event.object):
                    return

    task = asyncio.create_task(watch())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
