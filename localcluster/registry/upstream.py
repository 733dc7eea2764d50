"""Fetch from the public registry what the local one lacks."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp import hdrs

from localcluster.registry.store import ImageReference

PUBLIC: Final = "https://registry.ollama.ai"
DEADLINE_SECONDS: Final = 2.0
UNREACHABLE_SECONDS: Final = 30.0
MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
# Ollama, too, gives up after half a minute without data.
_BLOB_TIMEOUT: Final = aiohttp.ClientTimeout(connect=DEADLINE_SECONDS, sock_read=30)
_FAILURES: Final = (aiohttp.ClientError, TimeoutError, OSError)


class UpstreamError(Exception):
    """The public registry gives no model; the message says why. A retry may help."""


@dataclass
class Upstream:
    """A client of the public registry.

    If it can't be reached, requests in the next half minute fail at once instead of waiting again.
    Blobs are fetched only from repositories with a manifest from there, as a pull begins with it: a
    push of another model must find no blob, and no other path of that server may be requested.
    """

    url: str
    """The registry's URL."""
    session: aiohttp.ClientSession
    """Sends the requests."""
    _unreachable_until: float = float("-inf")
    _reason: str = ""
    _repositories: set[str] = field(default_factory=set)

    async def manifest(self, reference: ImageReference) -> bytes | None:
        """Return a model's manifest, or None if there is no such model.

        Raises:
            UpstreamError: there was no such answer within two seconds.
        """
        self._require_reachable()
        url = f"{self.url}/v2/{reference.repository}/manifests/{reference.tag}"
        try:
            async with (
                asyncio.timeout(DEADLINE_SECONDS),
                self.session.get(
                    url, headers={hdrs.ACCEPT: MANIFEST}, allow_redirects=False
                ) as response,
            ):
                content = await response.read()
        except _FAILURES as error:
            raise self._mark_unreachable(error) from error
        if not self._is_present(response):
            return None
        self._repositories.add(reference.repository)
        return content

    @asynccontextmanager
    async def blob(
        self, repository: str, digest: str, *, method: str, span: str | None
    ) -> AsyncIterator[aiohttp.ClientResponse | None]:
        """Yield the response with a blob, or None if there is no such blob.

        ``span`` is the value of a Range header. Redirects to other hosts are followed.

        Raises:
            UpstreamError: it can't be reached, or refuses.
        """
        if repository not in self._repositories:
            yield None
            return
        self._require_reachable()
        try:
            response = await self.session.request(
                method,
                f"{self.url}/v2/{repository}/blobs/{digest}",
                headers={hdrs.RANGE: span} if span else {},
                timeout=_BLOB_TIMEOUT,
            )
        except _FAILURES as error:
            raise self._mark_unreachable(error) from error
        async with response:
            yield response if self._is_present(response) else None

    def _is_present(self, response: aiohttp.ClientResponse) -> bool:
        """Return whether the registry has the requested thing.

        Raises:
            UpstreamError: its status says neither.
        """
        if response.status not in (200, 206, 404, 416):
            raise UpstreamError(f"{self._host} answers with status {response.status}")
        return response.status != 404

    def _require_reachable(self) -> None:
        if time.monotonic() < self._unreachable_until:
            raise UpstreamError(self._reason)

    def _mark_unreachable(self, error: Exception) -> UpstreamError:
        self._unreachable_until = time.monotonic() + UNREACHABLE_SECONDS
        self._reason = f"{self._host} can't be reached from here ({_describe(error)})"
        return UpstreamError(self._reason)

    @property
    def _host(self) -> str:
        return urlsplit(self.url).netloc


def _describe(error: Exception) -> str:
    """Return the system's message; an unresolved name has a negative number and its own one."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno) if error.errno > 0 else str(error.strerror)
    return str(error) or f"no answer within {DEADLINE_SECONDS:.0f} s"
