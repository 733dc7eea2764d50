"""A proxy that only connects (RFC 9110, 9.3.6), and writes down to where it was asked to."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

_CHUNK_BYTES: Final = 64 * 1024
_HEAD_SECONDS: Final = 10


@dataclass
class ConnectProxy:
    """The proxy's port, and its log."""

    hosts: Mapping[str, str] = field(default_factory=dict)
    """Addresses of names that only it knows."""
    port: int = 0
    log: list[str] = field(default_factory=list)
    """The targets of all requests, as host:port, in their order; of another method its line."""
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client's connection."""
        async with self._closing(writer):
            try:
                async with asyncio.timeout(_HEAD_SECONDS):
                    head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
                return
            await self._answer(head.partition(b"\r\n")[0].decode("latin-1"), reader, writer)

    async def _answer(
        self, line: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        method, _, rest = line.partition(" ")
        if method != "CONNECT":
            self.log.append(line)
            writer.write(_head("405 Method Not Allowed"))
            return
        target = rest.partition(" ")[0]
        self.log.append(target)
        host, _, port = target.rpartition(":")
        try:
            address = self.hosts.get(host, host.strip("[]"))
            far_reader, far_writer = await asyncio.open_connection(address, int(port))
        except (OSError, ValueError):
            writer.write(_head("502 Bad Gateway"))
            return
        async with self._closing(far_writer):
            writer.write(b"HTTP/1.1 200 Connection Established\r\n\r\n")
            await asyncio.gather(_pass_on(reader, far_writer), _pass_on(far_reader, writer))

    @asynccontextmanager
    async def _closing(self, writer: asyncio.StreamWriter) -> AsyncIterator[None]:
        self._writers.add(writer)
        try:
            yield
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            self._writers.discard(writer)

    async def stop(self, server: asyncio.Server) -> None:
        """End all connections, also those that wait for their own end."""
        server.close()
        for writer in self._writers:
            writer.transport.abort()
        if connections := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(connections)


@contextmanager
def connect_proxy(
    address: str, port: int = 0, hosts: Mapping[str, str] | None = None
) -> Iterator[ConnectProxy]:
    """Run a proxy in a thread of its own; port 0 is a free one. Raises OSError for one in use."""
    proxy = ConnectProxy(hosts or {})
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def listen() -> asyncio.Server:
        return await asyncio.start_server(proxy.serve, address, port)

    try:
        server = asyncio.run_coroutine_threadsafe(listen(), loop).result()
        proxy.port = server.sockets[0].getsockname()[1]
        yield proxy
        asyncio.run_coroutine_threadsafe(proxy.stop(server), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _head(status: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on one direction until it ends."""
    with suppress(OSError):
        while chunk := await reader.read(_CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
