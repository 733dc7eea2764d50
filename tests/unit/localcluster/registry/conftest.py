"""A registry in this process, with one small model and without an upstream."""

import hashlib
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request

from localcluster.registry.server import application
from localcluster.registry.store import ImageReference, Store

Client = TestClient[Request, Application]
MODEL = ImageReference("library/tiny", "latest")


async def push(registry: Client, content: bytes) -> str:
    """Upload a blob as a push does, and return its digest."""
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    upload = await registry.post("/v2/library/tiny/blobs/uploads/")
    path = upload.headers["Location"].partition(str(registry.port))[2]
    response = await registry.put(path, params={"digest": digest}, data=content)
    assert response.status == 201, await response.text()
    return digest


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "pushed", tmp_path / "models")


@pytest.fixture
def refusing_url() -> Iterator[str]:
    """Yield a URL that refuses connections."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture
async def registry(store: Store, refusing_url: str) -> AsyncIterator[Client]:
    store.write_manifest(MODEL, b'{"layers": []}')
    server = TestServer(application(store, "blobs.test", refusing_url), host="127.0.0.1")
    async with TestClient(server) as client:
        yield client
