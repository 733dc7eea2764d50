"""How requests reach a model server: directly, or through whatever the caller brings."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol

import aiohttp

_CONNECT_SECONDS: Final = 3.0
_REACH_SECONDS: Final = (
    10.0  # its name is looked up, too; a lost answer is asked for anew after 5 s
)


class Answer(Protocol):
    """An answer read piece by piece."""

    @property
    def status(self) -> int: ...
    @property
    def chunks(self) -> AsyncIterator[bytes]: ...


class Transport(Protocol):
    """Opens one request. Raises whatever its network raises; `OllamaClient` translates it."""

    def __call__(
        self, method: str, path: str, body: bytes | None, idle_seconds: float
    ) -> AbstractAsyncContextManager[Answer]: ...


@dataclass(frozen=True, slots=True)
class _Direct:
    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


def direct(session: aiohttp.ClientSession, url: str) -> Transport:
    """To a server by its own address, as `http://name.namespace.svc:11434`. Redirects are not
    followed: a model server has no business sending the operator elsewhere."""

    @asynccontextmanager
    async def open_request(
        method: str, path: str, body: bytes | None, idle_seconds: float
    ) -> AsyncIterator[Answer]:
        timeout = aiohttp.ClientTimeout(
            connect=_REACH_SECONDS, sock_connect=_CONNECT_SECONDS, sock_read=idle_seconds
        )
        async with session.request(
            method, f"{url}{path}", data=body, timeout=timeout, allow_redirects=False
        ) as found:
            yield _Direct(found.status, found.headers, found.content.iter_any())

    return open_request
