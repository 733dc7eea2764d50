"""Requests to the API server: raw JSON over the official client's configuration and transport."""

import asyncio
import copy
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import orjson
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from aichat_workspace.kube import errors
from aichat_workspace.kube.objects import Json
from aichat_workspace.kube.resource import Resource

IN_CLUSTER_TOKEN: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")

_JSON: Final = "application/json"
_APPLY: Final = "application/apply-patch+yaml"
_JSON_PATCH: Final = "application/json-patch+json"
_IDEMPOTENT: Final = frozenset({"GET", "APPLY"})
REVIEWS: Final = "reviews"
_ATTEMPTS: Final = 3
_MAX_WAIT_SECONDS: Final = 30.0
_REQUEST_SECONDS: Final = 30.0
_CONNECT_SECONDS: Final = 5.0
# The API server ends a watch after this time, and a bookmark comes about once a minute; a stream
# that says nothing at all for longer than the silence is dead.
WATCH_SECONDS: Final = 50
WATCH_SILENCE_SECONDS: Final = 60.0

OnRequest = Callable[[str, str, int, float], None]
"""Told of each request that ended, and of each stream that began: verb (a watch is WATCH), plural
of the kind, status code or 0 where there was no answer, seconds."""


@dataclass(frozen=True, slots=True)
class WatchEvent:
    type: str
    object: Json


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer read piece by piece."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


class Client:
    """One connection pool to one API server.

    Every method raises `errors.ApiError` for an error answer and `errors.UnreachableError` when
    there was none. Reads, reviews and applies are tried up to three times on passing faults, and a
    Retry-After is waited for on every verb; anything else is the caller's to retry."""

    def __init__(
        self, configuration: Configuration, *, user_agent: str, on_request: OnRequest | None = None
    ) -> None:
        self._configuration = configuration
        self._pool = _Pool(ApiClient(configuration))
        self._may_write: Callable[[], bool] = lambda: True
        self._user_agent = user_agent
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
        named. Raises kubernetes' ConfigException when neither is usable."""
        configuration = Configuration()
        if kubeconfig is None and IN_CLUSTER_TOKEN.exists():
            config.load_incluster_config(configuration)
        else:
            await config.load_kube_config(
                kubeconfig, context=context, client_configuration=configuration
            )
        configuration.connection_pool_maxsize = 0  # watches hold connections: never wait for one
        # The session would look for proxies and ~/.netrc in threads, at every request.
        configuration.client_session_kwargs = {"trust_env": False}
        configuration.proxy = configuration.proxy or _environment_proxy(configuration.host)
        return cls(configuration, user_agent=user_agent, on_request=on_request)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._pool.close()

    def guarded(self, may_write: Callable[[], bool]) -> Self:
        """A client on the same connections that asks before each attempt of a write, so that none
        is sent after the moment from which another replica may lead."""
        twin = copy.copy(self)
        twin._may_write = may_write
        return twin

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Json:
        return await self._json("GET", resource.path(namespace, name), resource)

    async def list_pages(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        page_size: int = 500,
    ) -> AsyncIterator[Json]:
        """The pages of a consistent list. Raises `errors.Gone` when it took too long to read."""
        query = {"limit": str(page_size), **_selector(label_selector)}
        if field_selector:
            query["fieldSelector"] = field_selector
        while True:
            page = await self._json("GET", resource.path(namespace), resource, query=query)
            yield page
            token = page["metadata"].get("continue")
            if not token:
                return
            query["continue"] = token

    async def create(
        self, resource: Resource, body: Json, *, field_manager: str, dry_run: bool = False
    ) -> Json:
        """POST: fails with `errors.AlreadyExistsError` rather than adopt what is there."""
        return await self._json(
            "POST",
            resource.path(body["metadata"].get("namespace")),
            resource,
            query=_write(field_manager, dry_run=dry_run),
            body=body,
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
        """Server-side apply by force. With metadata.uid it fails on any other object.

        https://kubernetes.io/docs/reference/using-api/server-side-apply/
        """
        metadata = body["metadata"]
        return await self._json(
            "APPLY",
            resource.path(metadata.get("namespace"), metadata["name"], subresource),
            resource,
            query={**_write(field_manager, dry_run=dry_run), "force": "true"},
            body=body,
            content_type=_APPLY,
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
        return await self._json(
            "PATCH",
            resource.path(namespace, name),
            resource,
            query=_write(field_manager, dry_run=dry_run),
            body=list(operations),
            content_type=_JSON_PATCH,
        )

    async def replace(self, resource: Resource, body: Json, *, field_manager: str) -> Json:
        """PUT: fails with `errors.Conflict` when the resourceVersion in it is not the present."""
        metadata = body["metadata"]
        return await self._json(
            "PUT",
            resource.path(metadata.get("namespace"), metadata["name"]),
            resource,
            query=_write(field_manager),
            body=body,
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
        """Delete exactly this object, with `version` exactly as it was seen. One that is gone
        already is deleted too; another or a changed one is left alone (`errors.Conflict`). Without
        a UID it is whatever has the name. Gives the object as it goes while finalizers hold it,
        and else a Status."""
        known = {"uid": uid, "resourceVersion": version}
        # Beside a body the API server does not look at the query.
        body = {
            "preconditions": {key: value for key, value in known.items() if value},
            "propagationPolicy": "Background",
            **({"dryRun": ["All"]} if dry_run else {}),
        }
        try:
            path = resource.path(namespace, name)
            return await self._json("DELETE", path, resource, body=body)
        except errors.NotFoundError:
            return None

    async def review(self, path: str, body: Json) -> Json:
        """POST of what is only answered and never stored, so that it may be repeated."""
        return await self._json("POST", path, None, body=body, stores=False)

    async def watch(
        self,
        resource: Resource,
        *,
        resource_version: str,
        namespace: str | None = None,
        label_selector: str = "",
    ) -> AsyncIterator[WatchEvent]:
        """Events from a version on, until the API server ends the stream.

        Raises `errors.ApiError` for an ERROR event (`errors.Gone`: list again) and
        `errors.UnreachableError` when the stream breaks, is torn in mid-event or goes silent.
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(WATCH_SECONDS),
            **_selector(label_selector),
        }
        timeout = aiohttp.ClientTimeout(
            sock_connect=_CONNECT_SECONDS, sock_read=WATCH_SILENCE_SECONDS
        )
        started, code = time.monotonic(), 0
        try:
            async with self._open(
                "GET", resource.path(namespace), query=query, timeout=timeout
            ) as found:
                async for line in _lines(found.content.iter_any()):
                    event = _event(line)
                    if event.type == "ERROR":
                        raise errors.from_status(event.object.get("code", 500), event.object)
                    yield event
                code = found.status
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
        idle_seconds: float = _REQUEST_SECONDS,
        counted_as: str,
    ) -> AsyncIterator[Stream]:
        """An answer in pieces, whatever its status: logs, or a service behind the API server's
        proxy, to which `headers` go. Silence for longer than `idle_seconds` raises
        `errors.UnreachableError`. `on_request` is told of it, as of the kind `counted_as`, when its
        answer begins: it may be long."""
        timeout = aiohttp.ClientTimeout(sock_connect=_CONNECT_SECONDS, sock_read=idle_seconds)
        started, code = time.monotonic(), 0
        with ExitStack() as counted:
            counted.callback(
                lambda: self._on_request(method, counted_as, code, time.monotonic() - started)
            )
            async with self._open(
                method,
                path,
                query=query,
                headers=headers,
                body=body,
                timeout=timeout,
                check=False,
            ) as found:
                code = found.status
                counted.close()
                yield Stream(found.status, found.headers, _guard(found.content.iter_any()))

    async def _json(
        self,
        verb: str,
        path: str,
        resource: Resource | None,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = _JSON,
        stores: bool = True,
    ) -> Json:
        data = None if body is None else orjson.dumps(body)
        for attempt in range(1, _ATTEMPTS + 1):
            if verb != "GET" and not self._may_write():
                raise errors.UnreachableError(
                    f"{verb} {path}: not sent, for this replica may not write"
                )
            started = time.monotonic()
            code = 0
            try:
                async with self._open(
                    "PATCH" if verb == "APPLY" else verb,
                    path,
                    query=query,
                    body=data,
                    content_type=content_type,
                    timeout=aiohttp.ClientTimeout(
                        total=_REQUEST_SECONDS, sock_connect=_CONNECT_SECONDS
                    ),
                ) as found:
                    code = found.status
                    parsed: Json = orjson.loads(await found.read())
                    return parsed
            except (errors.ApiError, errors.UnreachableError) as error:
                code = getattr(error, "status", 0)
                repeatable = verb in _IDEMPOTENT or not stores
                wait = _wait_seconds(error, attempt, repeatable=repeatable)
                if wait is None:
                    raise
            finally:
                plural = resource.plural if resource else REVIEWS
                self._on_request(verb, plural, code, time.monotonic() - started)
            await asyncio.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    @asynccontextmanager
    async def _open(
        self,
        method: str,
        path: str,
        *,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  (aiohttp's own, per phase)
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = _JSON,
        check: bool = True,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        sent = {
            **(headers or {}),
            "Accept": _JSON,
            "User-Agent": self._user_agent,
            **await self._authorization(),
        }
        if body is not None:
            sent["Content-Type"] = content_type
        with _translated(method, path):
            async with self._pool.session().request(
                method,
                f"{self._configuration.host}{path}",
                params=query,
                data=body,
                headers=sent,
                timeout=timeout,
                allow_redirects=False,
                proxy=self._configuration.proxy,
            ) as found:
                if check and found.status >= 400:
                    raise errors.from_response(
                        found.status, await found.read(), found.headers.get("Retry-After")
                    )
                yield found

    async def _authorization(self) -> dict[str, str]:
        """Asked for each time: the official client renews tokens that expire."""
        settings: Mapping[str, Any] = await self._configuration.auth_settings()
        return {each["key"]: each["value"] for each in settings.values() if each["value"]}


class _Pool:
    """The connections, made when first asked for: that needs an event loop."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api
        self._session: aiohttp.ClientSession | None = None

    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = self._api.rest_client._create_pool_manager()
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
        await self._api.close()


class _translated:  # noqa: N801  (used as a statement)
    """Turns a transport's failures into `errors.UnreachableError`."""

    def __init__(self, method: str, path: str) -> None:
        self._what = f"{method} {path}"

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, errors.UnreachableError):
            return
        if isinstance(error, aiohttp.ClientError | TimeoutError | OSError):
            told = str(error) or type(error).__name__
            raise errors.UnreachableError(f"{self._what}: {told}") from error
        if isinstance(error, orjson.JSONDecodeError):
            raise errors.UnreachableError(f"{self._what}: the answer was torn: {error}") from error


def _environment_proxy(url: str) -> str | None:
    """Return the proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY choose for a URL."""
    address = urlsplit(url)
    if proxy_bypass(address.hostname or ""):
        return None
    return getproxies().get(address.scheme)


def _selector(label_selector: str) -> dict[str, str]:
    return {"labelSelector": label_selector} if label_selector else {}


def _write(field_manager: str, *, dry_run: bool = False) -> dict[str, str]:
    query = {"fieldManager": field_manager, "fieldValidation": "Strict"}
    return {**query, "dryRun": "All"} if dry_run else query


def _wait_seconds(
    error: errors.ApiError | errors.UnreachableError, attempt: int, *, repeatable: bool
) -> float | None:
    """How long to wait before the next attempt, or None to give up."""
    if attempt >= _ATTEMPTS:
        return None
    if isinstance(error, errors.ApiError):
        if error.retry_after_seconds is not None and error.retryable:
            return min(error.retry_after_seconds, _MAX_WAIT_SECONDS)
        if not error.retryable:
            return None
    if not repeatable:
        return None
    backoff: float = 0.1 * 2**attempt
    return backoff * random.uniform(0.5, 1.5)  # noqa: S311  (jitter, not a secret)


async def _guard(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    with _translated("reading", "a stream"):
        async for chunk in chunks:
            yield chunk


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Whole lines of any length; what is left without an end is a torn event."""
    rest = b""
    async for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line
    if rest.strip():
        raise errors.UnreachableError("the watch ended in the middle of an event")


def _event(line: bytes) -> WatchEvent:
    parsed = orjson.loads(line)
    return WatchEvent(parsed["type"], parsed["object"])
