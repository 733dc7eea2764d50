import asyncio
import socket
from typing import NoReturn

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver

from aichat_workspace.ollama import transport
from aichat_workspace.ollama.client import OllamaClient
from aichat_workspace.ollama.errors import OllamaUnreachableError
from aichat_workspace.ollama.transport import direct


class SilentResolver(AbstractResolver):
    """A resolver that never responds."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> NoReturn:
        await asyncio.sleep(60)
        raise AssertionError((host, port, family))

    async def close(self) -> None:
        """Close nothing."""


async def test_a_server_whose_name_is_not_resolved_is_unreachable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport, "_REACH_SECONDS", 0.05)
    connector = aiohttp.TCPConnector(resolver=SilentResolver())
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.timeout(10):
        with pytest.raises(OllamaUnreachableError):
            await OllamaClient(direct(session, "http://chat-ollama.chat.svc:11434")).models()
