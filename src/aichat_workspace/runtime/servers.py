"""Connections to a workspace's model server and its chat."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final

import aiohttp

from aichat_workspace.domain import names
from aichat_workspace.domain.render.components import OLLAMA_PORT, OPENWEBUI_PORT
from aichat_workspace.foundation.bounded_bytes import read_bounded
from aichat_workspace.kube.client import Client
from aichat_workspace.ollama.client import OllamaClient
from aichat_workspace.ollama.transport import Response, direct
from aichat_workspace.openwebui.client import MAX_REPLY_BYTES, OpenWebUIClient, Reply, Transport

Connect = Callable[[str], OllamaClient]
ConnectChat = Callable[[str], OpenWebUIClient]
_CHAT_SECONDS: Final = 20.0
_CHAT_TIMEOUT: Final = aiohttp.ClientTimeout(total=_CHAT_SECONDS, sock_connect=3.0)


def session() -> aiohttp.ClientSession:
    """Open the session for requests to all workspaces' servers; close it in the end.

    - Any number of responses may be open: one tenant's slow server must not stop the others.
    - A connection serves one request: the next may be for another pod, and a prompt that went to a
      vanished one is not sent again.
    - It keeps no cookies: one server's must not reach another.
    - It decompresses nothing: a few bytes could fill the memory.
    """
    return aiohttp.ClientSession(
        headers={"Accept-Encoding": "identity"},
        auto_decompress=False,
        connector=aiohttp.TCPConnector(limit=0, force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


def by_service(session: aiohttp.ClientSession) -> Connect:
    """Connect inside the cluster, by the service's DNS name."""

    def connect(workspace: str) -> OllamaClient:
        url = f"http://{names.ollama(workspace)}.{workspace}.svc:{OLLAMA_PORT}"
        return OllamaClient(direct(session, url))

    return connect


def by_proxy(client: Client) -> Connect:
    """Connect outside, by the API server's service proxy and the kubeconfig's permissions.

    https://kubernetes.io/docs/tasks/access-application-cluster/access-cluster-services/
    """

    def connect(workspace: str) -> OllamaClient:
        service = f"{names.ollama(workspace)}:{OLLAMA_PORT}"
        root = f"/api/v1/namespaces/{workspace}/services/{service}/proxy"

        def open_request(
            method: str, path: str, body: bytes | None, idle_seconds: float
        ) -> AbstractAsyncContextManager[Response]:
            return client.stream(
                method,
                f"{root}{path}",
                body,
                idle_seconds=idle_seconds,
                counted_as="services/proxy",
            )

        return OllamaClient(open_request)

    return connect


def chat_by_service(session: aiohttp.ClientSession) -> ConnectChat:
    """Connect inside the cluster, by the service's DNS name."""

    def connect(workspace: str) -> OpenWebUIClient:
        url = f"http://{names.openwebui(workspace)}.{workspace}.svc:{OPENWEBUI_PORT}"
        return OpenWebUIClient(chat_at(session, url))

    return connect


def chat_at(session: aiohttp.ClientSession, url: str) -> Transport:
    """Return the transport to an Open WebUI's own address.

    It follows no redirects: a chat has no business sending the operator elsewhere."""

    async def send(method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Reply:
        async with session.request(
            method,
            f"{url}{path}",
            data=body,
            headers=headers,
            timeout=_CHAT_TIMEOUT,
            allow_redirects=False,
        ) as response:
            reply_body = await read_bounded(response.content.iter_any(), MAX_REPLY_BYTES)
            return Reply(response.status, reply_body)

    return send


def chat_by_proxy(client: Client) -> ConnectChat:
    """Connect outside, by the API server's service proxy."""

    def connect(workspace: str) -> OpenWebUIClient:
        service = f"{names.openwebui(workspace)}:{OPENWEBUI_PORT}"
        root = f"/api/v1/namespaces/{workspace}/services/{service}/proxy"

        async def send(
            method: str, path: str, body: bytes | None, headers: Mapping[str, str]
        ) -> Reply:
            async with client.stream(
                method,
                f"{root}{path}",
                body,
                headers=headers,
                idle_seconds=_CHAT_SECONDS,
                counted_as="services/proxy",
            ) as response:
                return Reply(response.status, await read_bounded(response.chunks, MAX_REPLY_BYTES))

        return OpenWebUIClient(send)

    return connect
