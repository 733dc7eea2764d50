"""HTTP to the API server."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp
import orjson

from aichat_workspace.foundation.error_text import error_text
from aichat_workspace.kube import errors
from aichat_workspace.kube.connection import Connection
from aichat_workspace.kube.leases.server_clock import ServerClock

APPLY: Final = "APPLY"
JSON: Final = "application/json"

_IDEMPOTENT: Final = frozenset({"GET", APPLY})
REQUEST_SECONDS: Final = 30.0
_CONNECT_SECONDS: Final = 5.0
_TIMEOUT: Final = aiohttp.ClientTimeout(total=REQUEST_SECONDS, sock_connect=_CONNECT_SECONDS)
_READ_BUFFER_BYTES: Final = 2**21  # an event of a watch may be as long


def idle_timeout(seconds: float) -> aiohttp.ClientTimeout:
    """Limit the silence, for a response that is read in pieces."""
    return aiohttp.ClientTimeout(sock_connect=_CONNECT_SECONDS, sock_read=seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request to the API server."""

    verb: str
    """HTTP's method, or APPLY for a server-side apply."""
    path: str
    counted_as: str
    """The plural of the kind, for `on_request`."""
    query: Mapping[str, str] | None = None
    max_bytes: int | None = None
    """Of the response, where what it has is other people's to write."""
    headers: Mapping[str, str] | None = None
    """Further ones, which never replace the transport's own."""
    body: bytes | None = None
    content_type: str = JSON
    timeout: aiohttp.ClientTimeout = _TIMEOUT
    is_stored: bool = True
    """Whether a write leaves anything behind."""

    @property
    def method(self) -> str:
        return "PATCH" if self.verb == APPLY else self.verb

    @property
    def is_write(self) -> bool:
        return self.verb != "GET"

    @property
    def is_repeatable(self) -> bool:
        """Whether sending it twice does no more than sending it once."""
        return self.verb in _IDEMPOTENT or not self.is_stored


class Transport:
    """One connection pool to one API server. The connections are made at the first request: that
    needs an event loop."""

    def __init__(self, connection: Connection, user_agent: str) -> None:
        self._connection = connection
        self._user_agent = user_agent
        self.clock = ServerClock()
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request. Raises `errors.UnreachableError`, also for what fails while the response
        is read in the context."""
        connection = self._connection
        with translate_errors(f"{request.method} {request.path}"):
            headers = await self._headers(request)
            async with self._connections().request(
                request.method,
                f"{connection.url}{request.path}",
                params=request.query,
                data=request.body,
                headers=headers,
                timeout=request.timeout,
                allow_redirects=False,
                proxy=connection.proxy,
                server_hostname=connection.server_hostname,
            ) as response:
                self.clock.note(response.headers.get("Date", ""))
                yield response

    @asynccontextmanager
    async def open_checked(self, request: Request) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request as `open` does. Raises `errors.ApiError` for an error response, too."""
        async with self.open(request) as response:
            if response.status >= 400:
                raise errors.from_response(
                    response.status, await response.read(), response.headers.get("Retry-After")
                )
            yield response

    def _connections(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # Watches hold connections: never wait for one.
                connector=aiohttp.TCPConnector(limit=0, ssl=self._connection.tls or True),
                # It would look for proxies and ~/.netrc in threads, at every request.
                trust_env=False,
                read_bufsize=_READ_BUFFER_BYTES,
            )
        return self._session

    async def _headers(self, request: Request) -> dict[str, str]:
        headers = {**(request.headers or {}), "Accept": JSON, "User-Agent": self._user_agent}
        if authorization := await self._connection.authorization():
            headers["Authorization"] = authorization
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        return headers


@contextmanager
def translate_errors(activity: str) -> Iterator[None]:
    """Turn a network's failures into `errors.UnreachableError`."""
    try:
        yield
    except errors.UnreachableError:
        raise
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        reason = error_text(error)
        raise errors.UnreachableError(f"{activity}: {reason}") from error
    except orjson.JSONDecodeError as error:
        raise errors.UnreachableError(f"{activity}: the answer was torn: {error}") from error
