"""Send the same writes as the operator, without watching or deciding.

The null writer is a program of its own, so that its CPU time can be read. It first prints that it
is ready, so that its start is not measured. It then reads a line for each resource, with its name
and UID, and prints the name after the last write.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any, Final

from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import AlreadyExistsError
from benchmarks.comparison.recording import Recording, Replay, Write

READY: Final = "ready"
USER_AGENT: Final = "null-writer"
_MANAGER: Final = "null-writer"


async def run(recording: Recording, kubeconfig: Path, concurrency: int) -> None:
    """Write until standard input ends and all resources are written."""
    queue: asyncio.Queue[str | None] = asyncio.Queue()
    async with (
        await Client.connect(str(kubeconfig), user_agent=USER_AGENT) as client,
        asyncio.TaskGroup() as group,
    ):
        print(READY, flush=True)
        group.create_task(_read_lines(queue, concurrency))
        for _ in range(concurrency):
            group.create_task(_work(client, recording, queue))


async def _read_lines(queue: "asyncio.Queue[str | None]", concurrency: int) -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        queue.put_nowait(line.decode())
    for _ in range(concurrency):
        queue.put_nowait(None)


async def _work(client: Client, recording: Recording, queue: "asyncio.Queue[str | None]") -> None:
    while (line := await queue.get()) is not None:
        name, uid = line.split()
        replay = Replay(recording, name, uid)
        for write in recording.writes:
            adapted = replay.adapt(write)
            replay.learn(write, adapted, await _send(client, adapted))
        print(name, flush=True)


async def _send(client: Client, write: Write) -> Any:
    resource, body = write.resource, write.body
    match write.verb:
        case "create":
            try:
                return await client.create(resource, body, field_manager=_MANAGER)
            except AlreadyExistsError:  # an event of a name without the resource's
                return None
        case "apply":
            return await client.apply(
                resource,
                _identified(write),
                field_manager=_MANAGER,
                subresource=write.subresource or None,
            )
        case "json-patch":
            return await client.json_patch(
                resource, write.name, write.namespace or None, body, field_manager=_MANAGER
            )
        case "update":
            return await client.replace(resource, body, field_manager=_MANAGER)
        case "delete":
            return await client.delete(resource, write.name, write.namespace or None, uid=None)
    raise ValueError(f"a recording has the verb {write.verb!r}, which is not a write")


def _identified(write: Write) -> dict[str, Any]:
    """Return a body with the name of its object, which a merge patch leaves out."""
    metadata = {"name": write.name, **write.body.get("metadata", {})}
    if write.namespace:
        metadata["namespace"] = write.namespace
    return {**write.body, "metadata": metadata}
