"""The client and the cache against an API server that misbehaves by script."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import orjson
import pytest
from aiohttp import web

from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.cache import Cache
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.connection import Connection
from aichat_workspace.kube.errors import (
    AlreadyExistsError,
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    NotFoundError,
    UnreachableError,
)
from aichat_workspace.kube.store import Store
from tests.unit.waiting import until

PODS = Resource("", "v1", "Pod", "pods")
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Script:
    """Answers each request with the next answer, and all further ones with the last."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.read())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return await answer(request)


def responds(body: object, status: int = 200, **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(body=orjson.dumps(body), status=status, headers=named)

    return answer


def error(status: int, reason: str, **headers: str) -> Answer:
    return responds({"kind": "Status", "reason": reason, "message": "no"}, status, **headers)


def streams(*pieces: bytes) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        return response

    return answer


async def resets_connection(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[Client]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", script.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]

    async def authorization() -> str:
        return "bearer token-1"

    connection = Connection(f"http://{host}:{port}", authorization)
    try:
        async with Client(connection, user_agent="test") as client:
            yield client
    finally:
        await runner.cleanup()


def pod(name: str, version: int) -> dict[str, object]:
    metadata = {"name": name, "namespace": "n", "uid": name, "resourceVersion": str(version)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}


def listing(version: int, *items: object, more: str = "") -> dict[str, object]:
    return {"metadata": {"resourceVersion": str(version), "continue": more}, "items": list(items)}


def event(kind: str, obj: object) -> bytes:
    return orjson.dumps({"type": kind, "object": obj}) + b"\n"


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (404, "NotFound", NotFoundError),
        (409, "AlreadyExists", AlreadyExistsError),
        (409, "Conflict", ConflictError),
        (403, "Forbidden", ForbiddenError),
        (410, "Expired", GoneError),
        (422, "Invalid", InvalidError),
    ],
)
async def test_an_error_response_raises_its_own_error(
    status: int, reason: str, kind: type[Exception]
) -> None:
    async with serving(Script(error(status, reason))) as client:
        with pytest.raises(kind):
            await client.get(PODS, "a", "n")


async def test_a_read_is_tried_again_after_a_passing_fault() -> None:
    script = Script(error(503, "x"), resets_connection, responds(pod("a", 1)))
    async with serving(script) as client:
        assert (await client.get(PODS, "a", "n"))["metadata"]["name"] == "a"
    assert len(script.requests) == 3


async def test_retries_are_bounded() -> None:
    script = Script(error(500, "x"))
    async with serving(script) as client:
        with pytest.raises(Exception, match="500"):
            await client.get(PODS, "a", "n")
    assert len(script.requests) == 3


async def test_a_create_without_a_response_is_not_repeated() -> None:
    script = Script(resets_connection)
    async with serving(script) as client:
        with pytest.raises(UnreachableError):
            await client.create(PODS, pod("a", 1), field_manager="m")
    assert len(script.requests) == 1


async def test_a_review_stores_nothing_and_is_repeated_on_a_new_connection() -> None:
    script = Script(resets_connection, responds({"status": {"allowed": True}}))
    async with serving(script) as client:
        reply = await client.review("/apis/authorization.k8s.io/v1/subjectaccessreviews", {"a": 1})
    assert reply == {"status": {"allowed": True}}
    assert [request.method for request in script.requests] == ["POST", "POST"]
    assert script.bodies == [b'{"a":1}', b'{"a":1}']


@pytest.mark.parametrize(
    ("answer", "code"),
    [(streams(b"one", b"two"), 200), (error(404, "NotFound"), 404), (resets_connection, 0)],
)
async def test_a_stream_is_counted_once_when_it_begins(answer: Answer, code: int) -> None:
    counted: list[tuple[str, str, int]] = []
    async with serving(Script(answer)) as client:
        client._on_request = lambda verb, plural, status, _: counted.append((verb, plural, status))
        with suppress(UnreachableError):
            async with client.stream("GET", "/log", counted_as="pods/log") as opened:
                assert counted
                assert b"".join([chunk async for chunk in opened.chunks])
    assert counted == [("GET", "pods/log", code)]


async def test_each_response_tells_the_api_servers_time() -> None:
    script = Script(responds({"name": 1}, Date="Mon, 01 Jan 2024 00:00:00 GMT"))
    async with serving(script) as client:
        assert client.clock_ahead() is None
        await client.get(PODS, "a", "n")
        ahead = client.clock_ahead()
    assert ahead is not None
    assert abs(ahead - (datetime.now(UTC) - datetime(2024, 1, 1, tzinfo=UTC))).total_seconds() < 60


async def test_a_stream_passes_headers_to_the_service_behind_the_proxy() -> None:
    script = Script(streams(b"one"))
    async with serving(script) as client:
        ours = {"Cookie": "token=t", "User-Agent": "another"}
        async with client.stream("GET", "/x", headers=ours, counted_as="services/proxy") as opened:
            assert [chunk async for chunk in opened.chunks] == [b"one"]
    (request,) = script.requests
    assert request.headers["Cookie"] == "token=t"
    assert request.headers["User-Agent"] != "another"


async def test_a_retry_after_is_obeyed_on_every_verb() -> None:
    script = Script(error(429, "TooManyRequests", Retry_After="1"), responds(pod("a", 1)))
    async with serving(script) as client:
        started = asyncio.get_running_loop().time()
        await client.create(PODS, pod("a", 1), field_manager="m")
        assert asyncio.get_running_loop().time() - started >= 1
    assert len(script.requests) == 2


async def test_nothing_is_written_once_another_replica_may_lead() -> None:
    """Nor repeated, when another may lead by the time of Retry-After."""
    leads = [True, False]
    script = Script(error(429, "TooManyRequests", Retry_After="0.01"), responds(pod("a", 1)))
    async with serving(script) as client:
        guarded = client.guarded(lambda: leads.pop(0) if leads else False)
        writes: list[Callable[[], Awaitable[object]]] = [
            lambda: guarded.create(PODS, pod("a", 1), field_manager="m"),
            lambda: guarded.apply(PODS, pod("a", 1), field_manager="m"),
            lambda: guarded.json_patch(PODS, "a", "n", [], field_manager="m"),
            lambda: guarded.delete(PODS, "a", "n", uid="u"),
        ]
        for write in writes:
            with pytest.raises(UnreachableError, match="may not write"):
                await write()
        assert len(script.requests) == 1
        await guarded.get(PODS, "a", "n")
        await client.create(PODS, pod("a", 1), field_manager="m")
    assert len(script.requests) == 3


async def test_an_apply_forces_under_its_manager_and_sends_the_token() -> None:
    script = Script(responds(pod("a", 1)))
    async with serving(script) as client:
        await client.apply(PODS, pod("a", 1), field_manager="me")
    (request,) = script.requests
    assert request.method == "PATCH"
    assert request.path == "/api/v1/namespaces/n/pods/a"
    assert request.query["force"] == "true"
    assert request.query["fieldManager"] == "me"
    assert request.query["fieldValidation"] == "Strict"
    assert request.content_type == "application/apply-patch+yaml"
    assert request.headers["Authorization"] == "bearer token-1"


async def test_a_delete_names_the_uid_and_accepts_an_absent_object() -> None:
    script = Script(error(404, "NotFound"))
    async with serving(script) as client:
        await client.delete(PODS, "a", "n", uid="u-1")
    assert orjson.loads(script.bodies[0])["preconditions"] == {"uid": "u-1"}


async def test_a_dry_run_of_a_delete_is_in_its_body() -> None:
    """Beside a body it does not look at the query."""
    script = Script(error(404, "NotFound"))
    async with serving(script) as client:
        await client.delete(PODS, "a", "n", uid="u-1", dry_run=True)
    assert orjson.loads(script.bodies[0])["dryRun"] == ["All"]


async def test_a_list_reads_all_pages() -> None:
    script = Script(responds(listing(5, pod("a", 1), more="t")), responds(listing(5, pod("b", 2))))
    async with serving(script) as client:
        pages = [page async for page in client.list_pages(PODS)]
    assert [len(page["items"]) for page in pages] == [1, 1]
    assert script.requests[1].query["continue"] == "t"


async def test_a_watch_reads_events_however_the_stream_is_cut() -> None:
    stream = event("ADDED", pod("a", 1)) + event("MODIFIED", pod("a", 2))
    script = Script(streams(stream[:10], stream[10:90], stream[90:]))
    async with serving(script) as client:
        events = [event async for event in client.watch(PODS, resource_version="0")]
    assert [item.type for item in events] == ["ADDED", "MODIFIED"]


async def test_a_torn_event_is_a_broken_watch() -> None:
    script = Script(streams(event("ADDED", pod("a", 1))[:-20]))
    async with serving(script) as client:
        with pytest.raises(UnreachableError):
            _ = [event async for event in client.watch(PODS, resource_version="0")]


@pytest.mark.parametrize(
    "line", [b"null\n", b"[]\n", b'{"type": "ADDED"}\n', b'{"type": 1, "object": {}}\n']
)
async def test_a_line_that_is_no_event_is_a_broken_watch(line: bytes) -> None:
    async with serving(Script(streams(line))) as client:
        with pytest.raises(UnreachableError, match="is no event"):
            _ = [event async for event in client.watch(PODS, resource_version="0")]


@asynccontextmanager
async def running_cache(*answers: Answer) -> AsyncIterator[tuple[Cache, Script]]:
    script = Script(*answers)
    async with serving(script) as client:
        cache = Cache(client, PODS, Store(lambda *_: None))
        running = asyncio.create_task(cache.run())
        try:
            yield cache, script
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def never_responds(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(60)
    return web.Response()


async def test_a_cache_lists_then_watches_from_there() -> None:
    listed = responds(listing(5, pod("a", 1)))
    async with running_cache(listed, streams(event("ADDED", pod("b", 6))), never_responds) as (
        cache,
        script,
    ):
        await until(lambda: len(cache) == 2)
        assert script.requests[1].query["resourceVersion"] == "5"
        await until(lambda: len(script.requests) == 3)
        assert script.requests[2].query["resourceVersion"] == "6"


async def test_a_bookmark_moves_where_the_next_watch_begins() -> None:
    bookmark = event("BOOKMARK", pod("", 40))
    async with running_cache(responds(listing(5)), streams(bookmark), never_responds) as (
        _,
        script,
    ):
        await until(lambda: len(script.requests) == 3)
        assert script.requests[2].query["resourceVersion"] == "40"


@pytest.mark.parametrize(
    "broken",
    [
        error(410, "Expired"),
        streams(event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired"})),
        streams(event("ERROR", {"kind": "Status", "code": 500, "reason": "InternalError"})),
    ],
    ids=["410", "410 as an event", "500 as an event"],
)
async def test_a_watch_that_cannot_resume_lists_again(broken: Answer) -> None:
    first, second = responds(listing(5, pod("a", 1))), responds(listing(9, pod("b", 8)))
    async with running_cache(first, broken, second, never_responds) as (cache, _):
        await until(lambda: cache.get("n", "b") is not None)
        assert cache.get("n", "a") is None


@pytest.mark.parametrize(
    "broken", [resets_connection, streams(b'{"type":"ADDED","obj')], ids=["reset", "torn"]
)
async def test_a_broken_watch_resumes_from_its_version(broken: Answer) -> None:
    resumed = streams(event("ADDED", pod("b", 6)))
    async with running_cache(
        responds(listing(5, pod("a", 1))), broken, resumed, never_responds
    ) as (cache, script):
        await until(lambda: len(cache) == 2)
        assert [("watch" in request.query) for request in script.requests[:3]] == [
            False,
            True,
            True,
        ]
