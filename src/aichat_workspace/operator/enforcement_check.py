"""Try whether the cluster holds network policies, in the operator's own namespace.

The operator may not reach the API's port: neither its own policy lets it out nor the API's lets it
in. A pod of the API that is ready listens there, so everyone who gets a connection meets no wall.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NoReturn

import structlog

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.kinds import NETWORK_POLICY
from aichat_workspace.domain.status.platform_status import Enforcement
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import ApiError, UnreachableError
from aichat_workspace.kube.objects import Json
from aichat_workspace.operator.observed.caches import Caches

_HOUR_SECONDS: Final = 3600.0
_JITTER_SECONDS: Final = 600.0
_CONNECT_SECONDS: Final = 3.0
# A network plugin may take some time for a pod that has just started.
_ATTEMPTS: Final = 4
_SAME_ANSWERS: Final = 2
"""One refused connection may be a server that stops, or a lost packet."""
_SETTLE_SECONDS: Final = 10.0
_log: Final = structlog.get_logger()


async def maintain(client: Client, caches: Caches) -> NoReturn:
    """Try it at once, and then at most once in an hour, until cancelled. While there is nothing to
    try, a change of the API's endpoints brings the next attempt."""
    while True:
        caches.api_endpoints_moved.clear()
        try:
            result = await check(client, caches.api_endpoints.all)
        except (ApiError, UnreachableError) as error:
            _log.warning("network policies are not tried", error=str(error))
        else:
            _report(caches, result)
        await _wait(caches)


async def check(
    client: Client,
    endpoint_slices: Callable[[], Iterable[Json]],
    settle_seconds: float = _SETTLE_SECONDS,
) -> Enforcement:
    """Return whether the API's port is behind a wall: no attempt came through twice in a row, with
    the same pods ready before and after.

    Raises:
        ApiError: the API server refuses to list policies.
        UnreachableError: it did not answer; a retry helps.
    """
    endpoints = [*_endpoints(endpoint_slices())]
    if not endpoints or not await _has_walls(client):
        return Enforcement.UNCHECKED
    walls = 0
    for attempt in range(_ATTEMPTS):
        if attempt:
            await asyncio.sleep(settle_seconds)
        is_reached = any(await asyncio.gather(*(_is_reached(*endpoint) for endpoint in endpoints)))
        present = [*_endpoints(endpoint_slices())]
        walls = 0 if is_reached or present != endpoints else walls + 1
        if walls == _SAME_ANSWERS:
            return Enforcement.ENFORCED
        endpoints = present
        if not endpoints:
            return Enforcement.UNCHECKED
    return Enforcement.NOT_ENFORCED if is_reached else Enforcement.UNCHECKED


def _endpoints(endpoint_slices: Iterable[Json]) -> Iterator[tuple[str, int]]:
    """Yield the addresses and ports of the API's pods that are ready."""
    for endpoint_slice in endpoint_slices:
        ports = [port["port"] for port in endpoint_slice.get("ports") or () if port.get("port")]
        for endpoint in endpoint_slice.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready"):
                yield from ((address, port) for address in endpoint["addresses"] for port in ports)


async def _has_walls(client: Client) -> bool:
    """Whether there are the policies that deny it: people may install without them."""
    policies = {
        policy["metadata"]["name"]
        async for page in client.list_pages(NETWORK_POLICY, namespace=names.SYSTEM_NAMESPACE)
        for policy in page["items"]
    }
    return not policies.isdisjoint((names.API, names.OPERATOR))


async def _is_reached(address: str, port: int) -> bool:
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(address, port)
    except OSError:  # also a timeout
        return False
    writer.close()
    return True


def _report(caches: Caches, result: Enforcement) -> None:
    if result is caches.enforcement:
        return
    caches.enforcement = result
    caches.platform_moved.set()
    if result is Enforcement.NOT_ENFORCED:
        _log.warning(
            "the cluster does not hold network policies",
            fix="install a network plugin that enforces them",
        )


async def _wait(caches: Caches) -> None:
    seconds = _HOUR_SECONDS + random.uniform(0, _JITTER_SECONDS)  # noqa: S311  (no secret)
    if caches.enforcement not in (None, Enforcement.UNCHECKED):
        await asyncio.sleep(seconds)
        return
    try:
        async with asyncio.timeout(seconds):
            await caches.api_endpoints_moved.wait()
    except TimeoutError:
        return
