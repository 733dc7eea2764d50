"""The fake model server answers as the real one does: tests/integration/test_model_registry.py."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from aiohttp.test_utils import TestServer

from aichat_workspace.ollama.client import OllamaClient
from aichat_workspace.ollama.transport import direct
from aichat_workspace.runtime import servers
from tests.contracts.ollama import ModelServer, OllamaContract
from tests.fakes.ollama import FakeOllama


class TestFakeOllama(OllamaContract):
    @pytest.fixture
    async def server(self) -> AsyncIterator[ModelServer]:
        async with AsyncExitStack() as stack:
            running = await stack.enter_async_context(TestServer(FakeOllama().application()))
            session = await stack.enter_async_context(servers.session())
            url = str(running.make_url("")).rstrip("/")
            yield ModelServer(OllamaClient(direct(session, url)), "m:1", "embed:latest")
