"""The registry's responses to Ollama's requests."""

import asyncio
import hashlib

import aiohttp
import pytest

from localcluster.registry.store import Store
from tests.unit.localcluster.registry.conftest import Client, push

CONTENT = bytes(range(256)) * 4
UNKNOWN = f"sha256:{'0' * 64}"


async def test_a_manifest_is_served_as_it_was_written(registry: Client) -> None:
    response = await registry.get("/v2/library/tiny/manifests/latest")
    assert response.status == 200
    assert response.content_type == "application/vnd.docker.distribution.manifest.v2+json"
    assert await response.json(content_type=None) == {"layers": []}


async def test_a_model_of_the_catalog_is_served_under_all_its_names(
    registry: Client, store: Store
) -> None:
    manifest = store.models / "manifests/registry.ollama.ai/library/smollm2/135m"
    blob = store.models / "blobs" / f"sha256-{'a' * 64}"
    for path, content in ((manifest, b'{"layers": [1]}'), (blob, CONTENT)):
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    for name in ("smollm2/manifests/135m", "smollm2/manifests/latest", "gemma2/manifests/2b"):
        response = await registry.get(f"/v2/library/{name}")
        assert await response.json(content_type=None) == {"layers": [1]}
    response = await registry.get(f"/blobs/sha256:{'a' * 64}")
    assert await response.read() == CONTENT


@pytest.mark.parametrize("path", ["library/../../x/manifests/y", "library/tiny/manifests/..%2fz"])
async def test_names_cannot_leave_the_folder(registry: Client, path: str) -> None:
    response = await registry.put(f"/v2/{path}", data=b"{}")
    assert response.status in (400, 404, 405)


async def test_blobs_are_redirected_to_the_other_host(registry: Client) -> None:
    digest = await push(registry, CONTENT)
    for method in ("GET", "HEAD"):
        response = await registry.request(
            method, f"/v2/library/tiny/blobs/{digest}", allow_redirects=False
        )
        assert response.status == 307
        location = response.headers["Location"]
        assert location == (
            f"http://blobs.test:{registry.port}/blobs/{digest}?repository=library/tiny"
        )


async def test_an_unknown_blob_is_a_404_so_that_a_push_sends_it(registry: Client) -> None:
    response = await registry.head(f"/blobs/{UNKNOWN}?repository=library/tiny")
    assert response.status == 404


@pytest.mark.parametrize(
    ("range_header", "status", "expected"),
    [
        (None, 200, CONTENT),
        ("bytes=0-99", 206, CONTENT[:100]),
        ("bytes=1000-", 206, CONTENT[1000:]),
        ("bytes=1000-5000", 206, CONTENT[1000:]),
    ],
)
async def test_ranges_of_a_blob_can_be_fetched(
    registry: Client, range_header: str | None, status: int, expected: bytes
) -> None:
    headers = {"Range": range_header} if range_header else {}
    response = await registry.get(f"/blobs/{await push(registry, CONTENT)}", headers=headers)
    assert (response.status, await response.read()) == (status, expected)


@pytest.mark.parametrize("range_header", [f"bytes={len(CONTENT)}-", "bytes=99999999-"])
async def test_a_range_beyond_the_end_of_a_blob_is_refused(
    registry: Client, range_header: str
) -> None:
    blob = await push(registry, CONTENT)
    response = await registry.get(f"/blobs/{blob}", headers={"Range": range_header})
    assert response.status == 416
    assert response.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


async def test_a_pushed_blob_can_be_fetched(registry: Client) -> None:
    start = await registry.post("/v2/me/mine/blobs/uploads/")
    location = start.headers["Location"].partition(str(registry.port))[2]
    for part in (CONTENT[:500], CONTENT[500:]):
        assert (await registry.patch(location, data=part)).status == 202
    digest = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
    end = await registry.put(location, params={"digest": digest})
    assert end.status == 201
    fetched = await registry.get(f"/blobs/{digest}")
    assert await fetched.read() == CONTENT


async def test_a_push_with_the_wrong_digest_is_refused(registry: Client) -> None:
    start = await registry.post("/v2/me/mine/blobs/uploads/")
    location = start.headers["Location"].partition(str(registry.port))[2]
    await registry.patch(location, data=CONTENT)
    end = await registry.put(location, params={"digest": UNKNOWN})
    assert (end.status, (await end.json())["errors"][0]["code"]) == (400, "DIGEST_INVALID")


async def test_a_stalled_download_goes_on_when_the_stall_is_lifted(
    registry: Client,
) -> None:
    digest = await push(registry, CONTENT)
    await registry.post("/_control", json={"stall_after_bytes": 100})
    response = await registry.get(f"/blobs/{digest}")
    assert len(await response.content.readexactly(100)) == 100
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await response.content.readany()
    await registry.post("/_control", json={})
    assert len(await response.content.readexactly(len(CONTENT) - 100)) == len(CONTENT) - 100


async def test_the_requested_number_of_downloads_fails(registry: Client) -> None:
    digest = await push(registry, CONTENT)
    await registry.post("/_control", json={"fail_blobs": 1, "fail_manifests": 1})
    with pytest.raises(aiohttp.ClientPayloadError):
        await (await registry.get(f"/blobs/{digest}")).read()
    assert await (await registry.get(f"/blobs/{digest}")).read() == CONTENT
    assert (await registry.get("/v2/library/tiny/manifests/latest")).status == 503
    assert (await registry.get("/v2/library/tiny/manifests/latest")).status == 200


async def test_downloads_share_the_rate(registry: Client) -> None:
    digest = await push(registry, CONTENT)
    await registry.post("/_control", json={"bytes_per_second": 8 * len(CONTENT)})
    clock = asyncio.get_running_loop().time
    start = clock()
    responses = await asyncio.gather(*(registry.get(f"/blobs/{digest}") for _ in range(2)))
    for response in responses:
        await response.read()
    assert clock() - start >= 2 / 8
    assert (await (await registry.get("/_control")).json())["blob_bytes_sent"] == 2 * len(CONTENT)


async def test_limits_apply_only_to_their_repository(registry: Client) -> None:
    digest = await push(registry, CONTENT)
    await registry.post("/_control", json={"repository": "library/tiny", "fail_blobs": 1})
    other = await registry.get(f"/blobs/{digest}?repository=library/other")
    assert await other.read() == CONTENT
    with pytest.raises(aiohttp.ClientPayloadError):
        await (await registry.get(f"/blobs/{digest}?repository=library/tiny")).read()
    sent_bytes = (await (await registry.get("/_control")).json())["bytes_sent_of"]
    assert sent_bytes == {"library/other": len(CONTENT), "library/tiny": len(CONTENT) // 2}


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"speed": 1},
        {"fail_blobs": -1},
        {"fail_blobs": "x"},
        {"fail_blobs": True},
        {"repository": 1},
    ],
)
async def test_control_refuses_unknown_and_invalid_limits(
    registry: Client, content: object
) -> None:
    response = await registry.post("/_control", json=content)
    assert response.status == 400
