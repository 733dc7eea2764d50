"""Stands between the operator and the API server, and breaks what it is told to.

A fault is chosen by verb, object and occurrence, never by a global number of requests: a run with
one request more or less breaks the same thing.
"""

import asyncio
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import aiohttp
import orjson
import yaml
from aiohttp import web

_KEPT = ("Authorization", "Content-Type", "Accept")
_LONGEST_LINE_BYTES = 4 << 20
_WRITES = frozenset({"POST", "PATCH", "PUT", "DELETE"})


@dataclass(frozen=True, slots=True)
class Call:
    """`occurrence` counts the calls of one verb to one object, from 1. The object of a POST is the
    one that it makes."""

    verb: str
    object: str
    occurrence: int = 1
    query: str = field(default="", compare=False)
    body: bytes = field(default=b"", compare=False, repr=False)

    @property
    def writes(self) -> bool:
        return self.verb in _WRITES


@dataclass(frozen=True, slots=True)
class Answer:
    """This instead of the API server's answer; it never hears of the request."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """This body, which the API server gave at another time, instead of its answer."""

    body: bytes


@dataclass(frozen=True, slots=True)
class Hold:
    """Pass the request on when this is set, and not before."""

    released: threading.Event


@dataclass(frozen=True, slots=True)
class Beside:
    """Another client does something right before the API server hears of the request, or right
    after it has done it."""

    before: Callable[[], object] = lambda: None
    after: Callable[[], object] = lambda: None


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection is reset: before the API server hears of it, or after it has done it."""

    done: bool
    first: Callable[[], object] = lambda: None


@dataclass(frozen=True, slots=True)
class Twice:
    """The request arrives twice; the second answer is given."""


@dataclass(frozen=True, slots=True)
class Late:
    """Pass the request on at once and answer it after this time, when the caller has given up."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Stream:
    """A watch whose events go through `edit`: each gives the lines that are sent instead. None ends
    the stream with a reset, in the middle of what was sent last."""

    edit: Callable[[dict[str, Any]], list[bytes] | None]


Fault = Answer | Recorded | Hold | Beside | Cut | Twice | Late | Stream
Rule = Callable[[Call], Fault | None]


class Proxy:
    """Serves on loopback, in a thread of its own. Calls are kept in order.

    `done` has the writes that the API server accepted, with the monotonic time of its answer;
    `created` has every object that came into being through any proxy of this process.
    """

    created: ClassVar[set[str]] = set()

    def __init__(self, upstream: str, authority: ssl.SSLContext) -> None:
        self.rule: Rule = lambda _: None
        self.calls: list[Call] = []
        self.done: list[tuple[float, Call]] = []
        self.url = ""
        self._silent: dict[str, int] = {}  # the last watch of a kind that says nothing more
        self._seen: Counter[tuple[str, str]] = Counter()
        self._upstream = upstream
        self._authority = authority
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda *_: None)  # connections break here, as they should
        self._session: aiohttp.ClientSession | None = None

    def heal(self) -> None:
        """Break nothing more and reset the counts."""
        self.rule = lambda _: None
        self._silent.clear()
        self.calls.clear()
        self.done.clear()
        self._seen.clear()

    def silence(self, kind: str = "") -> None:
        """The watches of this kind, or of all, that are open now say nothing more, and do not
        end."""
        for (verb, path), count in self._seen.items():
            if verb == "WATCH" and path.endswith(f"/{kind}" if kind else ""):
                self._silent[path] = count

    @contextmanager
    def serving(self) -> Iterator["Proxy"]:
        thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        thread.start()
        runner = self._on_loop(self._start())
        try:
            yield self
        finally:
            self._on_loop(self._stop(runner))
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()

    def _on_loop(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    async def _start(self) -> web.AppRunner:
        connector = aiohttp.TCPConnector(limit=0, ssl=self._authority)
        self._session = aiohttp.ClientSession(
            self._upstream,
            connector=connector,
            skip_auto_headers=["Accept-Encoding"],
            read_bufsize=_LONGEST_LINE_BYTES,
        )
        application = web.Application(client_max_size=16 << 20)
        application.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def _stop(self, runner: web.AppRunner) -> None:
        assert self._session is not None
        # First, and without TLS's goodbye: what a handler closes at its end outlives this loop.
        if self._session.connector is not None:
            await self._session.connector.close(abort_ssl=True)
        await runner.cleanup()
        # It cancels handlers and does not wait for their end, in which they release what they read.
        handlers = asyncio.all_tasks() - {asyncio.current_task()}
        for handler in handlers:
            handler.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)
        await self._session.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        call = self._call(request, body)
        self.calls.append(call)
        fault = self.rule(call)
        if isinstance(fault, Hold):
            while not fault.released.is_set():  # noqa: ASYNC110  (another thread's event)
                await asyncio.sleep(0.05)
        if call.verb == "WATCH" and not isinstance(fault, Cut):
            return await self._watch(request, call, fault)
        instead = await self._instead(request, call, body, fault)
        if instead is not None:
            return instead
        response = await self._forward(request, call, body)
        return await self._afterwards(request, response, fault)

    async def _instead(
        self, request: web.Request, call: Call, body: bytes, fault: Fault | None
    ) -> web.Response | None:
        """What is given in place of the API server's answer, and what comes before it."""
        match fault:
            case Answer(status, headers, reason):
                return web.json_response(_status(status, reason), status=status, headers=headers)
            case Recorded(recorded):
                return web.Response(body=recorded, content_type="application/json")
            case Cut(done=False, first=first):
                first()
                return _reset(request)
            case Twice():
                await self._forward(request, call, body)
            case Beside(before=before):
                await asyncio.to_thread(before)
        return None

    async def _afterwards(
        self, request: web.Request, response: web.Response, fault: Fault | None
    ) -> web.Response:
        match fault:
            case Cut(first=first):
                first()
                return _reset(request)
            case Late(seconds):
                await asyncio.sleep(seconds)
            case Beside(after=after):
                await asyncio.to_thread(after)
        return response

    def _note(self, call: Call, status: int) -> None:
        if call.writes and status < 300:
            self.done.append((time.monotonic(), call))
        if status == 201:
            self.created.add(call.object)

    def _call(self, request: web.Request, body: bytes) -> Call:
        verb, path = request.method, request.path
        if verb == "POST" and body:
            name = orjson.loads(body).get("metadata", {}).get("name")
            path = f"{path}/{name}" if name else path
        if verb == "GET":
            verb = "WATCH" if request.query.get("watch") else "GET"
        self._seen[verb, path] += 1
        preconditions = body if verb == "DELETE" else b""
        return Call(verb, path, self._seen[verb, path], request.query_string, preconditions)

    async def _forward(self, request: web.Request, call: Call, body: bytes) -> web.Response:
        assert self._session is not None
        async with self._session.request(
            request.method, request.path_qs, data=body or None, headers=_headers(request)
        ) as upstream:
            self._note(call, upstream.status)
            return web.Response(
                status=upstream.status,
                body=await upstream.read(),
                headers={k: v for k, v in upstream.headers.items() if k == "Retry-After"},
                content_type=upstream.content_type,
            )

    async def _watch(
        self, request: web.Request, call: Call, fault: Fault | None
    ) -> web.StreamResponse:
        assert self._session is not None
        if isinstance(fault, Answer):
            return web.json_response({"kind": "Status", "code": fault.status}, status=fault.status)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        async with self._session.get(
            request.path_qs, headers=_headers(request), timeout=aiohttp.ClientTimeout(total=None)
        ) as upstream:
            response.set_status(upstream.status)
            await response.prepare(request)
            async for line in upstream.content:
                if self._silent.get(call.object, 0) >= call.occurrence:
                    await asyncio.sleep(3600)
                sent = fault.edit(orjson.loads(line)) if isinstance(fault, Stream) else [line]
                if sent is None:
                    return _reset(request)
                try:
                    for chunk in sent:
                        await response.write(chunk)
                except ConnectionError:  # the watcher was killed
                    break
        return response


def _status(code: int, reason: str) -> dict[str, Any]:
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code}
    return {**status, "message": "as the test wants it", **({"reason": reason} if reason else {})}


def _reset(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def _headers(request: web.Request) -> dict[str, str]:
    return {name: request.headers[name] for name in _KEPT if name in request.headers}


@contextmanager
def proxy_to(kubeconfig: Path) -> Iterator[tuple[Proxy, Path]]:
    """The proxy, and a kubeconfig like the one that is given, but through it."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster = config["clusters"][0]["cluster"]
    authority = ssl.create_default_context(cafile=cluster["certificate-authority"])
    with Proxy(cluster["server"], authority).serving() as proxy:
        config["clusters"][0]["cluster"] = {"server": proxy.url}
        path = kubeconfig.with_name("through-the-proxy")
        path.write_text(yaml.safe_dump(config))
        yield proxy, path
