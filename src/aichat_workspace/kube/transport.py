"""HTTP to the API server, over the official client's configuration and connections."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import orjson
import structlog
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from aichat_workspace.foundation.error_text import error_text
from aichat_workspace.kube import errors
from aichat_workspace.kube.leases.server_clock import ServerClock

IN_CLUSTER_TOKEN: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
APPLY: Final = "APPLY"
JSON: Final = "application/json"

_IDEMPOTENT: Final = frozenset({"GET", APPLY})
REQUEST_SECONDS: Final = 30.0
_CONNECT_SECONDS: Final = 5.0
_TIMEOUT: Final = aiohttp.ClientTimeout(total=REQUEST_SECONDS, sock_connect=_CONNECT_SECONDS)
_log: Final = structlog.get_logger()


async def load_configuration(kubeconfig: str | None, context: str | None) -> Configuration:
    """Load a pod's service account, or a kubeconfig where there is none or one is named.

    Raises kubernetes' ConfigException when neither is usable."""
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
    if not configuration.verify_ssl:
        _log.warning(
            "the API server's certificate is not verified: a program on the way can read and "
            "change everything; take insecure-skip-tls-verify out of the kubeconfig",
            server=configuration.host,
        )
    return configuration


def _environment_proxy(url: str) -> str | None:
    """Return the proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY choose for a URL."""
    address = urlsplit(url)
    if proxy_bypass(address.hostname or ""):
        return None
    return getproxies().get(address.scheme)


def idle_timeout(seconds: float) -> aiohttp.ClientTimeout:
    """Limit the silence, for a response that is read in pieces."""
    return aiohttp.ClientTimeout(sock_connect=_CONNECT_SECONDS, sock_read=seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request to the API server."""

    verb: str
    """HTTP's method, or APPLY for a server-side apply."""
    path: str
    counted_as: str
    """The plural of the kind, for `on_request`."""
    query: Mapping[str, str] | None = None
    max_bytes: int | None = None
    """Of the response, where what it has is other people's to write."""
    headers: Mapping[str, str] | None = None
    """Further ones, which never replace the transport's own."""
    body: bytes | None = None
    content_type: str = JSON
    timeout: aiohttp.ClientTimeout = _TIMEOUT
    is_stored: bool = True
    """Whether a write leaves anything behind."""

    @property
    def method(self) -> str:
        return "PATCH" if self.verb == APPLY else self.verb

    @property
    def is_write(self) -> bool:
        return self.verb != "GET"

    @property
    def is_repeatable(self) -> bool:
        """Whether sending it twice does no more than sending it once."""
        return self.verb in _IDEMPOTENT or not self.is_stored


class Transport:
    """One connection pool to one API server. The connections are made at the first request: that
    needs an event loop."""

    def __init__(self, configuration: Configuration, user_agent: str) -> None:
        self._configuration = configuration
        self._user_agent = user_agent
        self.clock = ServerClock()
        self._api = ApiClient(configuration)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
        await self._api.close()

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request. Raises `errors.UnreachableError`, also for what fails while the response
        is read in the context."""
        headers = await self._headers(request)
        with translate_errors(f"{request.method} {request.path}"):
            async with self._connections().request(
                request.method,
                f"{self._configuration.host}{request.path}",
                params=request.query,
                data=request.body,
                headers=headers,
                timeout=request.timeout,
                allow_redirects=False,
                proxy=self._configuration.proxy,
                server_hostname=self._configuration.tls_server_name,
            ) as response:
                self.clock.note(response.headers.get("Date", ""))
                yield response

    @asynccontextmanager
    async def open_checked(self, request: Request) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request as `open` does. Raises `errors.ApiError` for an error response, too."""
        async with self.open(request) as response:
            if response.status >= 400:
                raise errors.from_response(
                    response.status, await response.read(), response.headers.get("Retry-After")
                )
            yield response

    def _connections(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = self._api.rest_client._create_pool_manager()
        return self._session

    async def _headers(self, request: Request) -> dict[str, str]:
        headers = {
            **(request.headers or {}),
            "Accept": JSON,
            "User-Agent": self._user_agent,
            **await self._authorization(),
        }
        return (
            headers if request.body is None else {**headers, "Content-Type": request.content_type}
        )

    async def _authorization(self) -> dict[str, str]:
        """Return the headers with credentials. They change: the official client renews tokens that
        expire."""
        settings: Mapping[str, Any] = await self._configuration.auth_settings()
        return {
            setting["key"]: setting["value"] for setting in settings.values() if setting["value"]
        }


@contextmanager
def translate_errors(activity: str) -> Iterator[None]:
    """Turn a network's failures into `errors.UnreachableError`."""
    try:
        yield
    except errors.UnreachableError:
        raise
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        reason = error_text(error)
        raise errors.UnreachableError(f"{activity}: {reason}") from error
    except orjson.JSONDecodeError as error:
        raise errors.UnreachableError(f"{activity}: the answer was torn: {error}") from error
