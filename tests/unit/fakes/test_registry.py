"""The fake registry and the local node's keep what bundles rely on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aichat_workspace.oci.address import parse_address
from aichat_workspace.oci.client import Registry, connect
from localcluster.registry.server import application
from localcluster.registry.store import Store
from tests.contracts.registry import ResumingRegistryContract
from tests.fakes.registry import FakeRegistry
from tests.served import served


class TestFakeRegistry(ResumingRegistryContract):
    @pytest.fixture
    def registry(self) -> Iterator[Registry]:
        address = parse_address("http://registry.example.org")
        with connect(address, transport=FakeRegistry()) as registry:
            yield registry


class TestLocalRegistry(ResumingRegistryContract):
    """By its other name it serves blobs, as it does to Ollama."""

    @pytest.fixture
    def registry(self, tmp_path: Path) -> Iterator[Registry]:
        store = Store(tmp_path / "pushed", tmp_path / "models")
        with (
            served(application(store, "localhost", "")) as port,
            connect(parse_address(f"http://127.0.0.1:{port}")) as registry,
        ):
            yield registry
