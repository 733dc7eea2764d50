"""The local registry fetches other models from the public one, which may be out of reach.

The public one is a second instance of ours; all servers here are on loopback.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import hdrs, web
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application
from yarl import URL

from localcluster.registry.server import application
from localcluster.registry.store import ImageReference, Store
from localcluster.registry.upstream import DEADLINE_SECONDS
from tests.unit.localcluster.registry.conftest import Client, push

CONTENT = bytes(range(256)) * 4096
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
MANIFEST = b'{"layers": [1]}'
PATH = "/v2/library/qwen3/manifests/0.6b"
BLOB = f"/blobs/{DIGEST}?repository=library/qwen3"
Start = Callable[[str], Awaitable[Client]]


@pytest.fixture
async def public(tmp_path: Path) -> AsyncIterator[Client]:
    """Run a public registry, whose own upstream is empty."""
    store = Store(tmp_path / "public", tmp_path / "none")
    store.write_manifest(ImageReference.parse("qwen3:0.6b"), MANIFEST)
    async with TestServer(Application(), host="127.0.0.1") as empty:
        upstream = f"http://127.0.0.1:{empty.port}"
        server = TestServer(application(store, "localhost", upstream), host="127.0.0.1")
        async with TestClient(server) as client:
            await push(client, CONTENT)
            yield client


@pytest.fixture
async def local(store: Store) -> AsyncIterator[Start]:
    """Yield a function that starts a registry with the upstream at a URL."""
    async with AsyncExitStack() as stack:

        async def start(upstream: str) -> Client:
            server = TestServer(application(store, "localhost", upstream), host="127.0.0.1")
            return await stack.enter_async_context(TestClient(server))

        yield start


def url(registry: Client) -> str:
    return f"http://127.0.0.1:{registry.port}"


async def test_a_model_of_the_public_registry_is_passed_on(public: Client, local: Start) -> None:
    registry = await local(url(public))
    manifest = await registry.get(PATH)
    assert (manifest.status, await manifest.read()) == (200, MANIFEST)
    assert manifest.content_type == "application/vnd.docker.distribution.manifest.v2+json"
    size = await registry.head(BLOB)
    assert (size.status, size.headers["Content-Length"]) == (200, str(len(CONTENT)))
    whole = await registry.get(f"/v2/library/qwen3/blobs/{DIGEST}")
    assert await whole.read() == CONTENT
    part = await registry.get(BLOB, headers={"Range": "bytes=1000-1999"})
    assert (part.status, await part.read()) == (206, CONTENT[1000:2000])
    assert part.headers["Content-Range"] == f"bytes 1000-1999/{len(CONTENT)}"


async def test_a_model_of_neither_registry_is_a_404(public: Client, local: Start) -> None:
    registry = await local(url(public))
    response = await registry.get("/v2/library/none/manifests/latest")
    assert response.status == 404
    assert (await response.json())["errors"][0]["code"] == "MANIFEST_UNKNOWN"


async def test_a_local_model_is_not_requested_from_the_public_registry(
    public: Client, local: Start, store: Store
) -> None:
    store.write_manifest(ImageReference.parse("qwen3:0.6b"), b"{}")
    registry = await local(url(public))
    await push(registry, CONTENT)
    assert await (await registry.get(PATH)).read() == b"{}"
    assert await (await registry.get(BLOB)).read() == CONTENT
    counters = await (await public.get("/_control")).json()
    assert (counters["manifest_requests"], counters["blob_requests"]) == (0, 0)


async def test_a_download_that_fails_upstream_fails_here(public: Client, local: Start) -> None:
    registry = await local(url(public))
    assert (await registry.get(PATH)).status == 200
    await public.post("/_control", json={"fail_blobs": 1})
    response = await registry.get(BLOB)
    with pytest.raises(Exception, match=r"payload|disconnected|not completed"):
        await response.read()
    assert await (await registry.get(BLOB)).read() == CONTENT, "the next try is passed on again"


async def test_an_upstream_that_refuses_connections_is_named_with_the_reason(
    local: Start, refusing_url: str
) -> None:
    registry = await local(refusing_url)
    response = await registry.get(PATH)
    assert response.status == 503
    host = refusing_url.removeprefix("http://")
    assert await response.text() == (
        f"the local registry has no model qwen3:0.6b, and {host} can't be reached from here "
        "(Connection refused)"
    )


async def test_only_the_first_request_waits_for_a_silent_upstream(local: Start) -> None:
    connections: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(
        lambda _, writer: connections.append(writer), "127.0.0.1", 0
    )
    port = silent.sockets[0].getsockname()[1]
    registry = await local(f"http://127.0.0.1:{port}")
    clock = asyncio.get_running_loop().time
    start = clock()
    for _ in range(3):
        response = await registry.get(PATH)
        assert response.status == 503
        assert "no answer within 2 s" in await response.text()
    assert DEADLINE_SECONDS <= clock() - start < 2 * DEADLINE_SECONDS, "only the first one waited"
    assert len(connections) == 1
    for writer in connections:
        writer.close()
    silent.close()
    await silent.wait_closed()


async def test_an_upstream_that_answers_with_an_error_is_requested_again(
    public: Client, local: Start
) -> None:
    registry = await local(url(public))
    await public.post("/_control", json={"fail_manifests": 1})
    response = await registry.get(PATH)
    assert response.status == 503
    assert "answers with status 503" in await response.text()
    assert (await registry.get(PATH)).status == 200


@dataclass
class FakePublicRegistry:
    """A public registry of one model, which compresses for clients that accept it."""

    responses: dict[str, Callable[[], web.Response]] = field(default_factory=dict)
    """Other responses for some paths."""
    paths: list[str] = field(default_factory=list)
    """The requested paths."""

    async def respond(self, request: web.Request) -> web.Response:
        self.paths.append(request.raw_path)
        if respond := self.responses.get(request.path):
            return respond()
        if request.path == PATH:
            response = web.Response(body=MANIFEST)
        elif request.path == f"/v2/library/qwen3/blobs/{DIGEST}":
            response = web.Response(body=CONTENT)
        else:
            return web.Response(text="private")
        response.enable_compression()
        return response


@pytest.fixture
def fake() -> FakePublicRegistry:
    return FakePublicRegistry()


@pytest.fixture
async def relay(fake: FakePublicRegistry, local: Start) -> AsyncIterator[Client]:
    """Run a registry that has requested the manifest of ``fake``'s model."""
    app = Application()
    app.router.add_route("*", "/{path:.*}", fake.respond)
    async with TestServer(app, host="127.0.0.1") as server:
        registry = await local(f"http://127.0.0.1:{server.port}")
        assert (await registry.get(PATH)).status == 200
        yield registry


async def test_responses_are_never_compressed(relay: Client) -> None:
    for path, content in ((PATH, MANIFEST), (BLOB, CONTENT)):
        response = await relay.get(path)
        assert (response.status, await response.read()) == (200, content), path
        assert hdrs.CONTENT_ENCODING not in response.headers


@pytest.mark.parametrize(
    "path",
    [
        "/blobs/..%2f..%2f..%2f..%2fapi%2fme?repository=library/qwen3",
        f"/blobs/{DIGEST}%2f..%2f..%2fapi%2fme?repository=library/qwen3",
        f"/blobs/{DIGEST}?repository=../../api",
        f"/blobs/{DIGEST}?repository=library/other",
        f"/blobs/{DIGEST}",
        f"/v2/library/qwen3/blobs/{DIGEST}%2f..%2f..%2fapi%2fme",
        "/v2/library/..%2f..%2fapi/manifests/me",
    ],
)
async def test_only_models_are_requested_from_the_public_registry(
    relay: Client, fake: FakePublicRegistry, path: str
) -> None:
    fake.paths.clear()
    response = await relay.get(URL(path, encoded=True))
    assert response.status == 404
    assert fake.paths == []


async def test_redirects_are_followed_for_blobs_and_not_for_manifests(
    relay: Client, fake: FakePublicRegistry
) -> None:
    def redirect() -> web.Response:
        return web.Response(status=307, headers={hdrs.LOCATION: "/elsewhere"})

    fake.responses = {
        PATH: redirect,
        f"/v2/library/qwen3/blobs/{DIGEST}": redirect,
        "/elsewhere": lambda: web.Response(body=CONTENT),
    }
    assert await (await relay.get(BLOB)).read() == CONTENT
    response = await relay.get(PATH)
    assert response.status == 503
    assert "answers with status 307" in await response.text()


@pytest.mark.parametrize("status", [401, 429, 500])
async def test_a_refused_blob_is_a_503_with_the_status_and_not_a_404(
    relay: Client, fake: FakePublicRegistry, status: int
) -> None:
    fake.responses = {f"/v2/library/qwen3/blobs/{DIGEST}": lambda: web.Response(status=status)}
    response = await relay.get(BLOB)
    assert response.status == 503
    text = await response.text()
    assert text.startswith(f"the local registry has no blob {DIGEST}, and 127.0.0.1:")
    assert text.endswith(f" answers with status {status}")
    assert (await relay.head(BLOB)).status == 503


async def test_a_blob_that_the_public_registry_lacks_is_a_404(
    relay: Client, fake: FakePublicRegistry
) -> None:
    fake.responses = {f"/v2/library/qwen3/blobs/{DIGEST}": lambda: web.Response(status=404)}
    response = await relay.get(BLOB)
    assert response.status == 404
    assert (await response.json())["errors"][0]["code"] == "BLOB_UNKNOWN"


async def test_an_upstream_that_stops_before_the_blob_is_a_503_with_the_reason(
    local: Start,
) -> None:
    app = Application()
    app.router.add_get(PATH, FakePublicRegistry().respond)
    async with TestServer(app, host="127.0.0.1") as server:
        registry = await local(f"http://127.0.0.1:{server.port}")
        assert (await registry.get(PATH)).status == 200
    response = await registry.get(BLOB)
    assert response.status == 503
    assert "can't be reached from here (Connection refused)" in await response.text()
