"""A client of one registry.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

import hashlib
import re
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urljoin, urlsplit

import httpx2

from aichat_workspace.foundation.error_text import error_text
from aichat_workspace.foundation.image_names import DOCKER_HUB
from aichat_workspace.oci.address import Address
from aichat_workspace.oci.credentials import Login
from aichat_workspace.oci.documents import (
    INDEXES,
    MANIFESTS,
    Descriptor,
    Manifest,
    parse_document,
    parse_manifest,
)
from aichat_workspace.oci.errors import Cause, OciError

_CONNECT_SECONDS: Final = 10.0
_READ_SECONDS: Final = 120.0  # a registry hashes a large blob before it answers
_CHUNK_BYTES: Final = 1 << 20
_ACCEPT: Final = ", ".join(sorted(INDEXES | MANIFESTS))
_DOCKER_HUB_API: Final = "registry-1.docker.io"
_PULL, _PUSH = "pull", "pull,push"
# A registry that is restarted is back within a minute.
_PAUSES_SECONDS: Final = (1.0, 5.0, 15.0, 30.0)
_RANGE: Final = re.compile(r"(?:bytes=)?0-([0-9]+)")

Content = Callable[[int], Iterator[bytes]]
"""Gives a blob's bytes from an offset on."""


@dataclass
class Registry:
    """A registry, with the tokens that it gave. Every method raises OciError."""

    http: httpx2.Client
    address: str
    """As host or host:port."""
    login: Login | None = None
    pause: Callable[[float], None] = time.sleep
    _authorizations: dict[tuple[str, str], str] = field(default_factory=dict)

    def check(self) -> None:
        """Look whether it is a registry, and accepts the login."""
        response = self._send("GET", "/v2/", "", _PULL)
        if response.status_code != 200:
            raise self._refusal(response, "", f"{self.address} was not reached")

    def manifest(self, repository: str, reference: str) -> Manifest:
        """Read a manifest or an index by its tag or digest, which is verified."""
        path = f"/v2/{repository}/manifests/{reference}"
        response = self._send("GET", path, repository, _PULL, {"Accept": _ACCEPT})
        if response.status_code != 200:
            raise self._refusal(
                response, repository, f"{repository}:{reference} was not read from {self.address}"
            )
        manifest = parse_manifest(response.content, response.headers.get("Content-Type", ""))
        if ":" in reference and manifest.descriptor.digest != reference:
            raise OciError(
                f"{self.address} gave another manifest than {reference} of {repository}",
                f"it has {manifest.descriptor.digest}",
            )
        return manifest

    def manifest_digest(self, repository: str, reference: str) -> str:
        """Return the digest of a manifest; empty where there is none."""
        path = f"/v2/{repository}/manifests/{reference}"
        response = self._send("HEAD", path, repository, _PUSH, {"Accept": _ACCEPT})
        if not self._is_present(response, repository):
            return ""
        digest = response.headers.get("Docker-Content-Digest")  # registries need not say it
        return str(digest or self.manifest(repository, reference).descriptor.digest)

    def has_blob(self, repository: str, digest: str) -> bool:
        """Return whether a repository has a blob."""
        path = f"/v2/{repository}/blobs/{digest}"
        response = self._send("HEAD", path, repository, _PUSH)
        return self._is_present(response, repository)

    def _is_present(self, response: httpx2.Response, repository: str) -> bool:
        if response.status_code not in (200, 404):
            what = f"what {repository} has was not read from {self.address}"
            raise self._refusal(response, repository, what)
        return response.status_code == 200

    def blob(self, repository: str, digest: str) -> Iterator[bytes]:
        """Read a blob; who reads it verifies it."""
        what = f"{digest} of {repository} was not read from {self.address}"
        path = f"/v2/{repository}/blobs/{digest}"
        with self._stream("GET", path, repository, _PULL, {}, None) as response:
            if response.status_code != 200:
                response.read()
                raise self._refusal(response, repository, what)
            try:
                yield from response.iter_raw(_CHUNK_BYTES)
            except httpx2.TransportError as error:
                raise self._unreachable(error, what) from error

    def push_blob(self, repository: str, blob: Descriptor, content: Content) -> None:
        """Send a blob, which is there only once it is whole.

        Where the connection breaks, only what the registry then lacks is sent again.
        """
        what = f"{blob.digest} was not pushed to {self.address}/{repository}"
        response = self._send("POST", f"/v2/{repository}/blobs/uploads/", repository, _PUSH)
        if response.status_code != 202:
            raise self._refusal(response, repository, what)
        location = self._send_blob(self._location(response), repository, blob, content, what)
        separator = "&" if urlsplit(location).query else "?"
        location = f"{location}{separator}digest={blob.digest}"
        response = self._send("PUT", location, repository, _PUSH)
        if response.status_code != 201:
            raise self._refusal(response, repository, what)

    def _send_blob(
        self, location: str, repository: str, blob: Descriptor, content: Content, what: str
    ) -> str:
        """Send a blob's bytes to its upload; return where the upload ends."""
        offset, failure = 0, OciError(what)
        for pause in (0.0, *_PAUSES_SECONDS):
            if pause:
                self.pause(pause)
                state = self._upload_state(location, repository, failure)
                if state is None:
                    continue
                location, offset = state
                if offset == blob.size:
                    return location
            headers = {
                "Content-Type": "application/octet-stream",
                "Content-Length": str(blob.size - offset),
                **({"Content-Range": f"{offset}-{blob.size - 1}"} if offset else {}),
            }
            authorized = self._authorized(location, headers, repository, _PUSH)
            try:
                response = self.http.patch(location, headers=authorized, content=content(offset))
            except httpx2.TransportError as error:
                failure = self._unreachable(error, what)
                continue
            if response.status_code != 202:
                raise self._refusal(response, repository, what)
            return self._location(response)
        raise failure

    def _upload_state(
        self, location: str, repository: str, failure: OciError
    ) -> tuple[str, int] | None:
        """Return where an upload goes on, and from which byte; None while nothing answers.

        Raises the failure where the registry has kept nothing of it, as one that only takes up an
        upload where it was told to.
        """
        try:
            response = self._send("GET", location, repository, _PUSH)
        except OciError as error:
            if error.cause is not Cause.UNREACHABLE:
                raise failure from error
            return None
        last = _RANGE.fullmatch(response.headers.get("Range", ""))
        if response.status_code != 204 or last is None:
            raise failure
        # 0-0 is also said of an upload without a byte.
        return self._location(response), int(last[1]) + 1 if int(last[1]) else 0

    def get_once(self, url: str, headers: Mapping[str, str]) -> httpx2.Response:
        """Read an answer as it is: without the login, and without following it elsewhere."""
        try:
            return self.http.get(url, headers=headers)
        except httpx2.TransportError as error:
            raise self._unreachable(error, f"{self.address} was not reached") from error

    def push_manifest(self, repository: str, reference: str, manifest: Manifest) -> None:
        """Write a manifest under a tag or its digest."""
        path = f"/v2/{repository}/manifests/{reference}"
        headers = {"Content-Type": manifest.media_type}
        response = self._send("PUT", path, repository, _PUSH, headers, manifest.content)
        if response.status_code != 201:
            what = f"{repository}:{reference} was not pushed to {self.address}"
            raise self._refusal(response, repository, what)

    def _send(
        self,
        method: str,
        url: str,
        repository: str,
        actions: str,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> httpx2.Response:
        """Send a request and read the answer."""
        with self._stream(method, url, repository, actions, headers or {}, content) as response:
            try:
                response.read()
            except httpx2.TransportError as error:
                raise self._unreachable(error, f"{self.address} was not read") from error
            return response

    @contextmanager
    def _stream(
        self,
        method: str,
        url: str,
        repository: str,
        actions: str,
        headers: Mapping[str, str],
        content: bytes | None,
    ) -> Iterator[httpx2.Response]:
        """Send a request; where the registry asks who it is, once more with the login.

        Another host, as one that keeps blobs, names no place for the registry's login.
        """
        response = self._open(
            method, url, self._authorized(url, headers, repository, actions), content
        )
        try:
            if response.status_code == 401 and self._is_own(response.url):
                challenge = response.headers.get("WWW-Authenticate", "")
                response.close()
                self._authorizations[repository, actions] = self._answer_challenge(
                    challenge, repository, actions
                )
                authorized = self._authorized(url, headers, repository, actions)
                response = self._open(method, url, authorized, content)
            yield response
        finally:
            response.close()

    def _open(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None
    ) -> httpx2.Response:
        request = self.http.build_request(method, url, headers=headers, content=content)
        try:
            is_read = method in ("GET", "HEAD")
            return self.http.send(request, stream=True, follow_redirects=is_read)
        except httpx2.TransportError as error:
            raise self._unreachable(error, f"{self.address} was not reached") from error

    def _authorized(
        self, url: str, headers: Mapping[str, str], repository: str, actions: str
    ) -> dict[str, str]:
        """Add the login; another server than the registry, as one of uploads, gets none."""
        authorization = self._authorizations.get((repository, actions))
        if not authorization or not self._is_own(self.http.base_url.join(url)):
            return {**headers}
        return {**headers, "Authorization": authorization}

    def _is_own(self, url: httpx2.URL) -> bool:
        """Whether it is of the registry itself, and not of a host that it names."""
        own = self.http.base_url
        return (url.scheme, url.host, url.port) == (own.scheme, own.host, own.port)

    def _answer_challenge(self, challenge: str, repository: str, actions: str) -> str:
        """Return the Authorization header that a registry asks for.

        https://distribution.github.io/distribution/spec/auth/token/
        """
        scheme, _, text = challenge.partition(" ")
        if scheme.lower() != "bearer":
            return self.login.basic if self.login else ""
        parameters = urllib.request.parse_keqv_list(urllib.request.parse_http_list(text))
        realm = parameters.get("realm", "")
        query = {"service": parameters.get("service", "")}
        if repository:
            query["scope"] = f"repository:{repository}:{actions}"
        headers = {"Authorization": self.login.basic} if self.login else {}
        what = f"no token was had from {realm}"
        try:
            response = self.http.get(realm, params=query, headers=headers)
        except httpx2.TransportError as error:
            raise self._unreachable(error, what) from error
        if response.status_code != 200:
            raise self._refusal(response, repository, what)
        try:
            document = parse_document(response.content)
        except OciError as error:
            raise OciError(what, error.why) from error
        token = document.get("token") or document.get("access_token")
        if not token:
            raise OciError(what, "its answer has none")
        return f"Bearer {token}"

    def _location(self, response: httpx2.Response) -> str:
        location = response.headers.get("Location", "")
        return urljoin(str(response.request.url), location)

    def _refusal(self, response: httpx2.Response, repository: str, what: str) -> OciError:
        status = response.status_code
        message = _message(response) or f"it answers with status {status}"
        where = f"{self.address}/{repository}" if repository else self.address
        cause, fix = Cause.OTHER, ""
        if not self._is_own(response.url):
            message = f"{message} ({response.url.host}, where {self.address} keeps it)"
        elif status in (401, 403):
            cause, fix = Cause.LOGIN, f"log in with `docker login {self.address}`"
            if self.login:
                cause = Cause.REFUSED
                fix = f"let {self.login.user} read and write {where}, or use another login"
        elif status == 404:
            cause, fix = Cause.ABSENT, f"create the project or repository {where}, or mend its name"
        elif status == 413:
            fix = (
                "let the registry, or the proxy before it, accept large requests "
                "(nginx: client_max_body_size 0)"
            )
        elif status == 429:
            fix = "try again later, or with a login"
        return OciError(what, message, fix, cause)

    def _unreachable(self, error: httpx2.TransportError, what: str) -> OciError:
        reason = error_text(error)
        fix = f"look whether {self.address} runs and can be reached from here, and run this again"
        if "CERTIFICATE_VERIFY_FAILED" in reason:
            fix = "name the file of its certificate authority with --ca"
        elif "WRONG_VERSION_NUMBER" in reason or "record layer failure" in reason:
            fix = f"it speaks plain HTTP: write http://{self.address}"
        return OciError(what, reason, fix, Cause.UNREACHABLE)


def _message(response: httpx2.Response) -> str:
    """Return the registry's own words; empty where it has none in the specification's form."""
    try:
        error = response.json()["errors"][0]
        return f"{error.get('code', '')} {error.get('message', '')}".strip()
    except (AttributeError, ValueError, KeyError, IndexError, TypeError):
        return ""


@contextmanager
def connect(
    address: Address,
    login: Login | None = None,
    *,
    authorities: Path | None = None,
    transport: httpx2.BaseTransport | None = None,
) -> Iterator[Registry]:
    """Open a client of a registry until the block ends.

    ``authorities`` is a PEM file that is trusted besides the system's; ``transport`` takes the
    network's place in tests.

    Raises:
        OciError: the file of authorities can't be read.
    """
    host = _DOCKER_HUB_API if address.registry == DOCKER_HUB else address.registry

    def require_tls(request: httpx2.Request) -> None:
        """Refuse what a registry with TLS names without it: redirects, uploads and tokens."""
        if not address.is_plain and request.url.scheme != "https":
            raise OciError(
                f"nothing was sent to {request.url.host}",
                f"{address.registry} names {request.url.copy_with(query=None)}, without TLS",
                f"let {address.registry} name https://{request.url.host}",
            )

    with httpx2.Client(
        base_url=f"{'http' if address.is_plain else 'https'}://{host}",
        headers={"User-Agent": "aichatctl", "Accept-Encoding": "identity"},
        timeout=httpx2.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS),
        # The system's authorities take time to read.
        verify=not address.is_plain and transport is None and _trust(authorities),
        transport=transport,
        event_hooks={"request": [require_tls]},
    ) as http:
        yield Registry(http, address.registry, login)


def _trust(authorities: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if authorities:
        try:
            context.load_verify_locations(authorities)
        except OSError as error:
            raise OciError(
                f"{authorities} can't be read as certificate authorities",
                str(error),
                "name a PEM file with --ca",
                Cause.INPUT,
            ) from error
    return context


def verified(chunks: Iterator[bytes], blob: Descriptor, what: str) -> Iterator[bytes]:
    """Pass bytes on, and end with an error where they are not those of the blob.

    Raises:
        OciError: they have another digest; ``what`` says of what.
    """
    digest, size = hashlib.sha256(), 0
    for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
        yield chunk
    if (actual := f"sha256:{digest.hexdigest()}") != blob.digest:
        raise OciError(what, f"it has {actual} and {size} bytes, not {blob.digest} and {blob.size}")
