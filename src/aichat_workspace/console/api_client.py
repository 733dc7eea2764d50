"""The HTTP API, called within the process: each page is a client of it, as the browser's person.

A call goes through the whole application with the browser's own cookies and address. So sign-in,
permissions, rate limits and the audit log are the API's, and a page can do nothing beyond them.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson
from starlette.requests import Request
from starlette.types import ASGIApp, Message

_CSRF_HEADER: Final = b"x-csrf-token"
_JSON: Final = b"application/json"
# They describe the browser's own request, or would authenticate it in place of the session.
_NOT_PASSED_ON: Final = frozenset(
    {b"accept", b"accept-encoding", b"authorization", b"content-length", b"content-type"}
    | {b"if-match", b"if-none-match", b"range", b"transfer-encoding", _CSRF_HEADER}
)

Headers = list[tuple[bytes, bytes]]
Query = Mapping[str, str | None]
_NO_QUERY: Final[Query] = {}


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem document (RFC 9457) of the API."""

    status: int
    """The HTTP status."""
    code: str
    """The kind of problem, for programs."""
    detail: str
    """What is wrong and what to do, for people."""
    fields: tuple[tuple[str, str], ...] = ()
    """The fields that are wrong, each with a message."""
    retry_after_seconds: int | None = None
    """When a retry may help."""


class ApiProblemError(Exception):
    """The API refuses a call. A retry helps only where `retry_after_seconds` is set."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is no problem."""

    document: Any
    """None for an answer without one."""
    etag: str
    """For If-Match; empty without one."""
    location: str
    """Where a redirect leads; empty without one."""


@dataclass(slots=True)
class ApiClient:
    """Calls the API for one request of a browser."""

    app: ASGIApp
    """The API."""
    request: Request
    """The browser's request."""
    csrf_token: str = ""
    """The session's token, which every change needs."""
    _cookies: dict[str, str] = field(default_factory=dict)
    """Set-Cookie headers by the cookie's name."""

    @property
    def cookies(self) -> list[str]:
        """The Set-Cookie headers for the page's response: the last one of each cookie."""
        return list(self._cookies.values())

    async def get(self, path: str, query: Query = _NO_QUERY) -> Any:
        """Return the answer's document. Raises ApiProblemError."""
        return await self.call("GET", path, query)

    async def call(
        self, method: str, path: str, query: Query = _NO_QUERY, body: object | None = None
    ) -> Any:
        """Return the answer's document; None for one without. Raises ApiProblemError."""
        return (await self.send(method, path, query, body)).document

    async def send(
        self,
        method: str,
        path: str,
        query: Query = _NO_QUERY,
        body: object | None = None,
        *,
        if_match: str = "",
    ) -> Answer:
        """Return the answer; with `if_match` only this state is changed. Raises ApiProblemError."""
        call = _Call()
        content = b"" if body is None else orjson.dumps(body)
        scope = self._scope(method, path, query, content)
        scope["headers"] += [(b"if-match", if_match.encode("latin-1", "replace"))] * bool(if_match)
        await self.app(scope, self._receive(method, content), call.send)
        self._cookies |= {cookie.partition("=")[0]: cookie for cookie in call.set_cookies()}
        if call.status >= 400:
            raise ApiProblemError(_problem(call))
        document = orjson.loads(call.body) if call.body else None
        return Answer(document, call.header(b"etag"), call.header(b"location"))

    def _scope(self, method: str, path: str, query: Query, content: bytes) -> dict[str, Any]:
        scope = self.request.scope
        text = urlencode({name: value for name, value in query.items() if value})
        names = ("type", "asgi", "http_version", "scheme", "client", "server", "root_path")
        return {
            **{name: scope[name] for name in names if name in scope},
            "method": method,
            "path": path,
            "raw_path": quote(path, safe="/:").encode(),
            "query_string": text.encode(),
            "headers": self._headers(scope["headers"], content),
            "extensions": {},
        }

    def _headers(self, received: Iterable[tuple[bytes, bytes]], content: bytes) -> Headers:
        headers = [(name, value) for name, value in received if name not in _NOT_PASSED_ON]
        headers.append((b"accept", _JSON))
        if self.csrf_token:
            headers.append((_CSRF_HEADER, self.csrf_token.encode("utf-8", "replace")))
        if content:
            headers += [(b"content-type", _JSON), (b"content-length", b"%d" % len(content))]
        return headers

    def _receive(self, method: str, content: bytes) -> Any:
        """Return a receive function: the body at once, then the browser's connection.

        A read that a change needs does not hear that the browser has gone: the change is made.
        """
        messages: list[Message] = [{"type": "http.request", "body": content, "more_body": False}]
        is_part_of_change = method == "GET" and self.request.method == "POST"

        async def receive() -> Message:
            if messages:
                return messages.pop()
            if is_part_of_change:
                await asyncio.Event().wait()
            return await self.request.receive()

        return receive


@dataclass(slots=True)
class _Call:
    """An answer as it arrives."""

    status: int = 500
    headers: Headers = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message.get("headers", ()))
        else:
            self.body += message.get("body", b"")

    def header(self, name: bytes) -> str:
        """Return a header's value; empty without one."""
        return dict(self.headers).get(name, b"").decode("latin-1")

    def set_cookies(self) -> list[str]:
        return [value.decode("latin-1") for name, value in self.headers if name == b"set-cookie"]


def _problem(call: _Call) -> Problem:
    try:
        document = orjson.loads(call.body)
    except orjson.JSONDecodeError:
        document = {}
    wait = call.header(b"retry-after")
    return Problem(
        status=call.status,
        code=str(document.get("code", "")),
        detail=str(document.get("detail", "")),
        fields=tuple((error["field"], error["message"]) for error in document.get("errors", ())),
        retry_after_seconds=int(wait) if wait.isdigit() else None,
    )
