"""A registry in this process, with one small model in it."""

from collections.abc import AsyncIterator
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
    return Store(tmp_path)


@pytest.fixture
async def registry(store: Store) -> AsyncIterator[Client]:
    store.write_manifest(MODEL, b'{"layers": []}')
    server = TestServer(application(store, "blobs.test"), host="127.0.0.1")
    async with TestClient(server) as client:
        yield client
