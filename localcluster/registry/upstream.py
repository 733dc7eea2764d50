"""The public registry, asked for what the local one does not have."""

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

from localcluster.registry.store import Reference

PUBLIC: Final = "https://registry.ollama.ai"
DEADLINE_SECONDS: Final = 2.0
REMEMBERED_SECONDS: Final = 30.0
MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
# Ollama, too, gives up on a download that is silent for half a minute.
_BLOB_TIMEOUT: Final = aiohttp.ClientTimeout(connect=DEADLINE_SECONDS, sock_read=30)
_FAILURES: Final = (aiohttp.ClientError, TimeoutError, OSError)


class UpstreamError(Exception):
    """The public registry gives no model; the message says why. A retry helps once it answers."""


@dataclass
class Upstream:
    """A registry by its URL. That it can't be reached is remembered for half a minute, so that not
    every request waits for it.

    Blobs are asked for only in repositories of which a manifest came from there, as a pull begins
    with it: a push of another model must find none, reachable or not, and nothing else of that
    server is anyone's to ask for.
    """

    url: str
    session: aiohttp.ClientSession
    _unreachable_until: float = float("-inf")
    _reason: str = ""
    _repositories: set[str] = field(default_factory=set)

    async def manifest(self, reference: Reference) -> bytes | None:
        """A model's manifest, or None where there is no such model.

        Raises:
            UpstreamError: it gave neither within two seconds.
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
            raise self._unreachable(error) from error
        if not self._has(response):
            return None
        self._repositories.add(reference.repository)
        return content

    @asynccontextmanager
    async def blob(
        self, repository: str, digest: str, *, method: str, span: str | None
    ) -> AsyncIterator[aiohttp.ClientResponse | None]:
        """A blob, or the ``span`` of it (a Range header's value), from wherever the registry sends
        us for it; None where there is no such blob.

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
            raise self._unreachable(error) from error
        async with response:
            yield response if self._has(response) else None

    def _has(self, response: aiohttp.ClientResponse) -> bool:
        """Whether it has what it was asked for. Raises UpstreamError where it does not say."""
        if response.status not in (200, 206, 404):
            raise UpstreamError(f"{self._host} answers with status {response.status}")
        return response.status != 404

    def _require_reachable(self) -> None:
        if time.monotonic() < self._unreachable_until:
            raise UpstreamError(self._reason)

    def _unreachable(self, error: Exception) -> UpstreamError:
        self._unreachable_until = time.monotonic() + REMEMBERED_SECONDS
        self._reason = f"{self._host} can't be reached from here ({_words(error)})"
        return UpstreamError(self._reason)

    @property
    def _host(self) -> str:
        return urlsplit(self.url).netloc


def _words(error: Exception) -> str:
    """The system's words where it has some; a name that is not resolved has a negative number."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno) if error.errno > 0 else str(error.strerror)
    return str(error) or f"no answer within {DEADLINE_SECONDS:.0f} s"
