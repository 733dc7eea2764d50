"""The way of a request to a model server: direct, or the caller's own."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol

import aiohttp

_CONNECT_SECONDS: Final = 3.0
# Includes the look-up of its name, where a lost DNS response is asked for again after 5 s.
_REACH_SECONDS: Final = 10.0


class Response(Protocol):
    """A response that is read in pieces."""

    @property
    def status(self) -> int: ...
    @property
    def chunks(self) -> AsyncIterator[bytes]: ...


class Transport(Protocol):
    """Sends one request. Raises the network's own errors; `OllamaClient` translates them."""

    def __call__(
        self, method: str, path: str, body: bytes | None, idle_seconds: float
    ) -> AbstractAsyncContextManager[Response]: ...


@dataclass(frozen=True, slots=True)
class _DirectResponse:
    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


def direct(session: aiohttp.ClientSession, url: str) -> Transport:
    """Return the transport to a server's own address, as `http://name.namespace.svc:11434`.

    It follows no redirects: a model server has no business sending the operator elsewhere."""

    @asynccontextmanager
    async def open_request(
        method: str, path: str, body: bytes | None, idle_seconds: float
    ) -> AsyncIterator[Response]:
        timeout = aiohttp.ClientTimeout(
            connect=_REACH_SECONDS, sock_connect=_CONNECT_SECONDS, sock_read=idle_seconds
        )
        async with session.request(
            method, f"{url}{path}", data=body, timeout=timeout, allow_redirects=False
        ) as response:
            yield _DirectResponse(response.status, response.headers, response.content.iter_any())

    return open_request
