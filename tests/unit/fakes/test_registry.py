"""The fake registry and the local node's keep what bundles rely on."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiohttp import web

from aichat_workspace.oci.address import parse_address
from aichat_workspace.oci.client import Registry, connect
from localcluster.registry.server import application
from localcluster.registry.store import Store
from tests.contracts.registry import RegistryContract
from tests.fakes.registry import FakeRegistry


class TestFakeRegistry(RegistryContract):
    @pytest.fixture
    def registry(self) -> Iterator[Registry]:
        address = parse_address("http://registry.example.org")
        with connect(address, transport=FakeRegistry()) as registry:
            yield registry


class TestLocalRegistry(RegistryContract):
    """By its other name it serves blobs, as it does to Ollama."""

    @pytest.fixture
    def registry(self, tmp_path: Path) -> Iterator[Registry]:
        store = Store(tmp_path / "pushed", tmp_path / "models")
        with (
            served(application(store, "localhost", "")) as port,
            connect(parse_address(f"http://127.0.0.1:{port}")) as registry,
        ):
            yield registry


@contextmanager
def served(app: web.Application) -> Iterator[int]:
    """Serve it in a thread of its own; yield the port."""
    runner = web.AppRunner(app, shutdown_timeout=1)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def listen() -> int:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return int(runner.addresses[0][1])

    try:
        yield asyncio.run_coroutine_threadsafe(listen(), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
