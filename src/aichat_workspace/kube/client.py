"""The verbs of the API server: JSON in, JSON out."""

import asyncio
import copy
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Self

import aiohttp
import orjson

from aichat_workspace.foundation.bounded_bytes import read_bounded
from aichat_workspace.foundation.json_lines import read_json_lines
from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube import connection as connections
from aichat_workspace.kube import errors
from aichat_workspace.kube.connection import Connection
from aichat_workspace.kube.objects import Json
from aichat_workspace.kube.transport import (
    APPLY,
    REQUEST_SECONDS,
    Request,
    Transport,
    idle_timeout,
    translate_errors,
)

_APPLY_PATCH: Final = "application/apply-patch+yaml"
_JSON_PATCH: Final = "application/json-patch+json"
_REVIEWS: Final = "reviews"
_ATTEMPTS: Final = 3
_MAX_WAIT_SECONDS: Final = 30.0
# The API server ends a watch after this time, and a bookmark comes about once a minute; a stream
# that says nothing at all for longer than the silence is dead.
_WATCH_SECONDS: Final = 50
_WATCH_SILENCE_SECONDS: Final = 60.0

OnRequest = Callable[[str, str, int, float], None]
"""Called for each request that ended, and for each stream that began: verb (a watch is WATCH),
plural of the kind, status code or 0 without a response, seconds."""


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """A change of an object."""

    type: str
    """ADDED, MODIFIED, DELETED, BOOKMARK or ERROR."""
    object: Json


@dataclass(frozen=True, slots=True)
class Stream:
    """A response that is read in pieces."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


class Client:
    """A client of one API server.

    Every method raises `errors.ApiError` for an error response and `errors.UnreachableError` when
    there was none. Reads, reviews and applies are tried up to three times on passing faults, and a
    Retry-After is waited for on every verb; anything else is the caller's to retry."""

    def __init__(
        self, connection: Connection, *, user_agent: str, on_request: OnRequest | None = None
    ) -> None:
        self._transport = Transport(connection, user_agent)
        self._may_write: Callable[[], bool] = lambda: True
        self._on_request = on_request or (lambda *_: None)

    @classmethod
    async def connect(
        cls,
        kubeconfig: str | None = None,
        *,
        context: str | None = None,
        user_agent: str,
        on_request: OnRequest | None = None,
    ) -> Self:
        """Connect as a pod's service account, or by a kubeconfig where there is none or one is
        named. Raises ConnectionSettingsError when neither is usable."""
        connection = await connections.connect(kubeconfig, context)
        return cls(connection, user_agent=user_agent, on_request=on_request)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._transport.close()

    def clock_ahead(self) -> timedelta | None:
        """Return how far this machine's clock is ahead of the API server's; negative when it is
        behind, None when no response has told the time yet."""
        return self._transport.clock.ahead

    def guarded(self, may_write: Callable[[], bool]) -> Self:
        """Return a client on the same connections that calls `may_write` before each attempt of a
        write, so that none is sent once another replica may lead."""
        guarded = copy.copy(self)
        guarded._may_write = may_write
        return guarded

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Json:
        path = resource.path(namespace, name)
        return await self._send(Request(verb="GET", path=path, counted_as=resource.plural))

    async def list_pages(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        page_size: int = 500,
        max_page_bytes: int | None = None,
    ) -> AsyncIterator[Json]:
        """Yield the pages of a consistent list. Raises `errors.GoneError` when it took too long to
        read, and `errors.TooLargeError` for a page beyond `max_page_bytes`."""
        path = resource.path(namespace)
        query = {"limit": str(page_size), **_selector(label_selector, field_selector)}
        while True:
            page = await self._send(
                Request(
                    verb="GET",
                    path=path,
                    counted_as=resource.plural,
                    query=query,
                    max_bytes=max_page_bytes,
                )
            )
            token = page["metadata"].get("continue")
            yield page
            del page  # before the next one is decoded
            if not token:
                return
            query = {**query, "continue": token}

    async def create(
        self, resource: Resource, body: Json, *, field_manager: str, dry_run: bool = False
    ) -> Json:
        """POST an object. Raises `errors.AlreadyExistsError` rather than adopt one."""
        return await self._send(
            Request(
                verb="POST",
                path=resource.path(body["metadata"].get("namespace")),
                counted_as=resource.plural,
                query=_write_query(field_manager, dry_run=dry_run),
                body=orjson.dumps(body),
            )
        )

    async def apply(
        self,
        resource: Resource,
        body: Mapping[str, Any],
        *,
        field_manager: str,
        subresource: str | None = None,
        dry_run: bool = False,
    ) -> Json:
        """Apply an object on the server side, by force. With metadata.uid it fails on any other
        object of the name.

        https://kubernetes.io/docs/reference/using-api/server-side-apply/
        """
        metadata = body["metadata"]
        return await self._send(
            Request(
                verb=APPLY,
                path=resource.path(metadata.get("namespace"), metadata["name"], subresource),
                counted_as=resource.plural,
                query={**_write_query(field_manager, dry_run=dry_run), "force": "true"},
                body=orjson.dumps(body),
                content_type=_APPLY_PATCH,
            )
        )

    async def json_patch(
        self,
        resource: Resource,
        name: str,
        namespace: str | None,
        operations: Sequence[Json],
        *,
        field_manager: str,
        dry_run: bool = False,
    ) -> Json:
        return await self._send(
            Request(
                verb="PATCH",
                path=resource.path(namespace, name),
                counted_as=resource.plural,
                query=_write_query(field_manager, dry_run=dry_run),
                body=orjson.dumps(list(operations)),
                content_type=_JSON_PATCH,
            )
        )

    async def replace(self, resource: Resource, body: Json, *, field_manager: str) -> Json:
        """PUT an object. Raises `errors.ConflictError` unless its resourceVersion is the present
        one."""
        metadata = body["metadata"]
        return await self._send(
            Request(
                verb="PUT",
                path=resource.path(metadata.get("namespace"), metadata["name"]),
                counted_as=resource.plural,
                query=_write_query(field_manager),
                body=orjson.dumps(body),
            )
        )

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None,
        version: str | None = None,
        dry_run: bool = False,
    ) -> Json | None:
        """Delete exactly this object, with `version` exactly as it was read; without a UID, any
        object of the name. An absent one counts as deleted.

        Raises `errors.ConflictError` for another or a changed object. Returns the object while
        finalizers hold it, and else a Status."""
        preconditions = {"uid": uid, "resourceVersion": version}
        # Beside a body the API server does not look at the query.
        body = {
            "preconditions": {key: value for key, value in preconditions.items() if value},
            "propagationPolicy": "Background",
            **({"dryRun": ["All"]} if dry_run else {}),
        }
        try:
            return await self._send(
                Request(
                    verb="DELETE",
                    path=resource.path(namespace, name),
                    counted_as=resource.plural,
                    body=orjson.dumps(body),
                )
            )
        except errors.NotFoundError:
            return None

    async def review(self, path: str, body: Json) -> Json:
        """POST what the API server only answers and never stores, so that it may be repeated."""
        return await self._send(
            Request(
                verb="POST",
                path=path,
                counted_as=_REVIEWS,
                body=orjson.dumps(body),
                is_stored=False,
            )
        )

    async def watch(
        self,
        resource: Resource,
        *,
        resource_version: str,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[WatchEvent]:
        """Yield events from a version on, until the API server ends the stream.

        Raises `errors.ApiError` for an ERROR event (`errors.GoneError`: list again) and
        `errors.UnreachableError` when the stream breaks, is torn in mid-event or goes silent.
        """
        request = Request(
            verb="GET",
            path=resource.path(namespace),
            counted_as=resource.plural,
            query={
                "watch": "true",
                "allowWatchBookmarks": "true",
                "resourceVersion": resource_version,
                "timeoutSeconds": str(_WATCH_SECONDS),
                **_selector(label_selector, field_selector),
            },
            timeout=idle_timeout(_WATCH_SILENCE_SECONDS),
        )
        started, code = time.monotonic(), 0
        try:
            async with self._transport.open_checked(request) as response:
                async for document in read_json_lines(response.content.iter_any()):
                    event = _event(document, request.path)
                    if event.type == "ERROR":
                        raise errors.from_status(event.object.get("code", 500), event.object)
                    yield event
                code = response.status
        except errors.ApiError as error:
            code = error.status
            raise
        finally:
            self._on_request("WATCH", resource.plural, code, time.monotonic() - started)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        idle_seconds: float = REQUEST_SECONDS,
        counted_as: str,
    ) -> AsyncIterator[Stream]:
        """Open a response of any status: logs, or a service behind the API server's proxy, to
        which `headers` go. Raises `errors.UnreachableError` for a silence of `idle_seconds`.

        `on_request` counts it as the kind `counted_as` when the response begins: it may be long."""
        request = Request(
            verb=method,
            path=path,
            counted_as=counted_as,
            query=query,
            headers=headers,
            body=body,
            timeout=idle_timeout(idle_seconds),
        )
        started, code = time.monotonic(), 0
        with ExitStack() as stack:
            stack.callback(
                lambda: self._on_request(method, counted_as, code, time.monotonic() - started)
            )
            async with self._transport.open(request) as response:
                code = response.status
                stack.close()
                chunks = _translated(response.content.iter_any())
                yield Stream(response.status, response.headers, chunks)

    async def _send(self, request: Request) -> Json:
        """Send a request, again on passing faults, and read its whole response."""
        for attempt in range(1, _ATTEMPTS + 1):
            if request.is_write and not self._may_write():
                raise errors.UnreachableError(
                    f"{request.verb} {request.path}: not sent, for this replica may not write"
                )
            started, code = time.monotonic(), 0
            try:
                async with self._transport.open_checked(request) as response:
                    code = response.status
                    document: Json = orjson.loads(await _read(response, request))
                    return document
            except (errors.ApiError, errors.UnreachableError) as error:
                code = getattr(error, "status", 0)
                wait = _wait_seconds(error, attempt, is_repeatable=request.is_repeatable)
                if wait is None:
                    raise
            finally:
                seconds = time.monotonic() - started
                self._on_request(request.verb, request.counted_as, code, seconds)
            await asyncio.sleep(wait)
        raise AssertionError("the last attempt returns or raises")


async def _read(response: aiohttp.ClientResponse, request: Request) -> bytes:
    """Return the response's body. Raises `errors.TooLargeError`."""
    if request.max_bytes is None:
        return await response.read()
    body = await read_bounded(response.content.iter_any(), request.max_bytes)
    if len(body) > request.max_bytes:
        message = f"{request.path}: the response has more than {request.max_bytes} bytes"
        raise errors.TooLargeError(413, "RequestEntityTooLarge", message)
    return body


def _selector(label_selector: str, field_selector: str) -> dict[str, str]:
    selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
    return {name: selector for name, selector in selectors.items() if selector}


def _write_query(field_manager: str, *, dry_run: bool = False) -> dict[str, str]:
    query = {"fieldManager": field_manager, "fieldValidation": "Strict"}
    return {**query, "dryRun": "All"} if dry_run else query


def _wait_seconds(
    error: errors.ApiError | errors.UnreachableError, attempt: int, *, is_repeatable: bool
) -> float | None:
    """Return how long to wait before the next attempt, or None to give up."""
    if attempt >= _ATTEMPTS:
        return None
    if isinstance(error, errors.ApiError):
        if not error.is_retryable:
            return None
        if error.retry_after_seconds is not None:
            return min(error.retry_after_seconds, _MAX_WAIT_SECONDS)
    if not is_repeatable:
        return None
    backoff: float = 0.1 * 2**attempt
    return backoff * random.uniform(0.5, 1.5)  # noqa: S311  (jitter, not a secret)


async def _translated(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    with translate_errors("reading a stream"):
        async for chunk in chunks:
            yield chunk


def _event(document: Any, path: str) -> WatchEvent:
    """Read a line of a watch. Raises errors.UnreachableError for one that is no event, as a proxy
    may send it."""
    match document:
        case {"type": str(kind), "object": dict(obj)}:
            return WatchEvent(kind, obj)
    raise errors.UnreachableError(f"GET {path}: a line of the watch is no event: {document!r:.80}")
