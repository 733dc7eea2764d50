"""A client of an API server behind a proxy that the environment names."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import UnreachableError

PODS = Resource("", "v1", "Pod", "pods")
REPLY = b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"name":1} '

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: c
clusters: [{{name: c, cluster: {{server: "{server}"}}}}]
users: [{{name: u, user: {{token: t}}}}]
contexts: [{{name: c, context: {{cluster: c, user: u}}}}]
"""


@dataclass
class FakeProxy:
    """Records the heads of requests and answers each as an API server would."""

    url: str = ""
    heads: list[str] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.heads.append(head)
                if head.startswith("CONNECT"):
                    break
                writer.write(REPLY)
        writer.close()


@asynccontextmanager
async def running_proxy() -> AsyncIterator[FakeProxy]:
    proxy = FakeProxy()
    server = await asyncio.start_server(proxy.answer, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    proxy.url = f"http://{host}:{port}"
    try:
        yield proxy
    finally:
        server.close()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment that names no proxy, and a home without a .netrc."""
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return monkeypatch


async def connect(server: str, tmp_path: Path) -> Client:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG.format(server=server))
    return await Client.connect(str(kubeconfig), user_agent="test")


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy"])
async def test_requests_go_through_the_proxy_of_the_environment(
    environment: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    async with running_proxy() as proxy:
        environment.setenv(variable, proxy.url)
        async with await connect("http://api.invalid:8080", tmp_path) as client:
            assert await client.get(PODS, "a", "n") == {"name": 1}
            assert await client.get(PODS, "b", "n") == {"name": 1}
    assert [head.split()[1] for head in proxy.heads] == [
        "http://api.invalid:8080/api/v1/namespaces/n/pods/a",
        "http://api.invalid:8080/api/v1/namespaces/n/pods/b",
    ]


async def test_credentials_in_the_proxys_address_go_to_the_proxy(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with running_proxy() as proxy:
        environment.setenv("HTTP_PROXY", proxy.url.replace("//", "//user:password@"))
        async with await connect("http://api.invalid", tmp_path) as client:
            await client.get(PODS, "a", "n")
    credentials = base64.b64encode(b"user:password").decode()
    assert f"Proxy-Authorization: Basic {credentials}" in proxy.heads[0]


async def test_an_https_server_is_reached_by_a_tunnel(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with running_proxy() as proxy:
        environment.setenv("HTTPS_PROXY", proxy.url)
        async with await connect("https://api.invalid:6443", tmp_path) as client:
            with pytest.raises(UnreachableError):
                await client.create(PODS, {"metadata": {"name": "a"}}, field_manager="m")
    assert proxy.heads[0].startswith("CONNECT api.invalid:6443 ")


@pytest.mark.parametrize("no_proxy", ["127.0.0.1", "*", "example.org,127.0.0.1"])
async def test_a_host_in_no_proxy_is_reached_directly(
    environment: pytest.MonkeyPatch, tmp_path: Path, no_proxy: str
) -> None:
    async with running_proxy() as proxy, running_proxy() as server:
        environment.setenv("HTTP_PROXY", proxy.url)
        environment.setenv("NO_PROXY", no_proxy)
        async with await connect(server.url, tmp_path) as client:
            await client.get(PODS, "a", "n")
    assert not proxy.heads
    assert server.heads[0].startswith("GET /api/v1/namespaces/n/pods/a ")


async def test_the_kubeconfigs_proxy_is_preferred(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with running_proxy() as proxy, running_proxy() as other:
        environment.setenv("HTTP_PROXY", other.url)
        server = f'http://api.invalid", proxy-url: "{proxy.url}'
        async with await connect(server, tmp_path) as client:
            await client.get(PODS, "a", "n")
    assert len(proxy.heads) == 1
    assert not other.heads


async def test_the_environment_is_read_once_at_the_start(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Otherwise each request would cost two visits to a thread."""
    async with (
        running_proxy() as proxy,
        running_proxy() as server,
        await connect(server.url, tmp_path) as client,
    ):
        environment.setenv("HTTP_PROXY", proxy.url)
        await client.get(PODS, "a", "n")
    assert not proxy.heads
    assert len(server.heads) == 1
