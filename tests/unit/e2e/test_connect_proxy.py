"""The proxy of the tests on a node, on loopback."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from aiohttp import web

from localcluster import certificates
from localcluster.ports import free_port
from tests.e2e.connect_proxy import ConnectProxy, connect_proxy
from tests.served import served


@pytest.fixture
def authority(tmp_path: Path) -> certificates.KeyPair:
    return certificates.ensure(tmp_path / "authority")


@pytest.fixture
def server(authority: certificates.KeyPair, tmp_path: Path) -> Iterator[int]:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=f"hello {request.path}")

    app = web.Application()
    app.add_routes([web.get("/{name}", answer)])
    with served(app, certificates.issue(authority, tmp_path, ["127.0.0.1"]), "127.0.0.1") as port:
        yield port


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    with connect_proxy("127.0.0.1") as proxy:
        yield proxy


def fetch(url: str, proxy: ConnectProxy, authority: certificates.KeyPair) -> httpx2.Response:
    trust = ssl.create_default_context(cafile=str(authority.certificate))
    with httpx2.Client(verify=trust, proxy=f"http://127.0.0.1:{proxy.port}") as client:
        return client.get(url)


def test_it_connects_and_writes_down_to_where(
    proxy: ConnectProxy, server: int, authority: certificates.KeyPair
) -> None:
    for name in ("a", "b"):
        response = fetch(f"https://127.0.0.1:{server}/{name}", proxy, authority)
        assert response.text == f"hello /{name}"
    assert proxy.log == [f"127.0.0.1:{server}"] * 2


def test_it_knows_names_of_its_own(server: int, authority: certificates.KeyPair) -> None:
    with connect_proxy("127.0.0.1", hosts={"blobs.test": "127.0.0.1"}) as proxy:
        with pytest.raises(httpx2.ConnectError, match=r"not valid for .blobs\.test"):
            fetch(f"https://blobs.test:{server}/a", proxy, authority)
        assert proxy.log == [f"blobs.test:{server}"]


def test_it_does_nothing_but_connect(proxy: ConnectProxy, authority: certificates.KeyPair) -> None:
    assert fetch("http://example.org/", proxy, authority).status_code == 405
    assert proxy.log == ["GET http://example.org/ HTTP/1.1"]


def test_a_target_that_does_not_answer_is_a_bad_gateway(
    proxy: ConnectProxy, authority: certificates.KeyPair
) -> None:
    port = free_port()
    with pytest.raises(httpx2.ProxyError, match="502"):
        fetch(f"https://127.0.0.1:{port}/", proxy, authority)
    assert proxy.log == [f"127.0.0.1:{port}"]


def test_what_is_no_request_is_not_answered(proxy: ConnectProxy) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=30) as client:
        client.sendall(b"CONNECT")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b""
    assert proxy.log == []
