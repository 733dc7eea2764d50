"""A registry in memory, as the network's place in a client: tests/contracts/registry.py."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import httpx2

_BLOB: Final = re.compile(r"/v2/(.+)/blobs/(sha256:[0-9a-f]{64})")
_UPLOADS: Final = re.compile(r"/v2/(.+)/blobs/uploads/")
_UPLOAD: Final = re.compile(r"/uploads/([0-9]+)")
_MANIFEST: Final = re.compile(r"/v2/(.+)/manifests/([^/]+)")


@dataclass
class FakeRegistry(httpx2.BaseTransport):
    """What it has, what it was asked, and what it may refuse."""

    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    """By repository and digest."""
    manifests: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    """Media type and content, by repository and tag or digest."""
    uploads: list[bytearray] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    """Method and path of each."""
    refuse: Callable[[httpx2.Request], httpx2.Response | None] = lambda _: None
    """Answers in its place."""
    blob_headers: dict[str, str] = field(default_factory=dict)
    """What answers with blobs have besides."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(f"{request.method} {request.url.path}")
        refusal = self.refuse(request)
        if refusal is not None:
            return refusal
        path = request.url.path
        for pattern, answer in (
            (_UPLOADS, self._start),
            (_BLOB, self._blob),
            (_UPLOAD, self._upload),
            (_MANIFEST, self._manifest),
        ):
            if match := pattern.fullmatch(path):
                return answer(request, *match.groups())
        return httpx2.Response(200 if path == "/v2/" else 404, json={})

    def _start(self, request: httpx2.Request, repository: str) -> httpx2.Response:
        del request
        self.uploads.append(bytearray(repository.encode() + b"\0"))
        return self._accepted(202, len(self.uploads) - 1)

    def _accepted(self, status: int, number: int) -> httpx2.Response:
        _, _, content = bytes(self.uploads[number]).partition(b"\0")
        headers = {
            "Location": f"/uploads/{number}?state=a",
            "Range": f"0-{max(0, len(content) - 1)}",
        }
        return httpx2.Response(status, headers=headers)

    def _upload(self, request: httpx2.Request, number: str) -> httpx2.Response:
        upload = self.uploads[int(number)]
        if request.method == "GET":
            return self._accepted(204, int(number))
        for chunk in request.stream:  # type: ignore[union-attr]  # it is a synchronous one
            upload += chunk
        if request.method == "PATCH":
            return self._accepted(202, int(number))
        repository, _, content = bytes(upload).partition(b"\0")
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if digest != request.url.params["digest"]:
            return _problem(400, "DIGEST_INVALID", f"content has digest {digest}")
        self.blobs[repository.decode(), digest] = content
        return httpx2.Response(201)

    def _blob(self, request: httpx2.Request, repository: str, digest: str) -> httpx2.Response:
        content = self.blobs.get((repository, digest))
        if content is None:
            return _problem(404, "BLOB_UNKNOWN", "blob unknown to registry")
        headers = {**self.blob_headers, "Content-Length": str(len(content))}
        body = b"" if request.method == "HEAD" else content
        return httpx2.Response(200, content=iter((body,)), headers=headers)

    def _manifest(
        self, request: httpx2.Request, repository: str, reference: str
    ) -> httpx2.Response:
        if request.method == "PUT":
            content = request.read()
            digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
            for name in (reference, digest):
                self.manifests[repository, name] = (request.headers["Content-Type"], content)
            return httpx2.Response(201)
        if (repository, reference) not in self.manifests:
            return _problem(404, "MANIFEST_UNKNOWN", "manifest unknown")
        media_type, content = self.manifests[repository, reference]
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        headers = {"Content-Type": media_type, "Docker-Content-Digest": digest}
        body = b"" if request.method == "HEAD" else content
        return httpx2.Response(200, content=body, headers=headers)


def _problem(status: int, code: str, message: str) -> httpx2.Response:
    return httpx2.Response(status, json={"errors": [{"code": code, "message": message}]})
