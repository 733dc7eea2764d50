"""A registry in this process, with one small model in it, and no other one to ask."""

import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request

from localcluster.registry.server import application
from localcluster.registry.store import Reference, Store

Client = TestClient[Request, Application]
MODEL = Reference("library/tiny", "latest")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "pushed", tmp_path / "models")


@pytest.fixture
def nowhere() -> Iterator[str]:
    """The URL of a server that refuses connections."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture
async def registry(store: Store, nowhere: str) -> AsyncIterator[Client]:
    store.write_manifest(MODEL, b'{"layers": []}')
    server = TestServer(application(store, "blobs.test", nowhere), host="127.0.0.1")
    async with TestClient(server) as client:
        yield client
