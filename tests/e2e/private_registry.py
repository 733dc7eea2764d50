"""A registry of images that asks for a password, by HTTPS under an authority of its own.

It serves what a container runtime asks for of an OCI archive.
https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pull
"""

import asyncio
import base64
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from localcluster.certificates import KeyPair
from tests.served import served

USER: Final = "puller"
PASSWORD: Final = "private $ password"
_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"


@dataclass
class PrivateRegistry:
    """What it has, and who asked for it."""

    archives: dict[str, Path]
    """OCI archives, each with one image, by their repository."""
    port: int = 0
    refused: int = 0
    """How many requests came without the password, or with a wrong one."""
    served: list[str] = field(default_factory=list)
    """The repositories of which manifests were served, in the order of requests."""

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._authenticate])
        app.add_routes(
            [
                web.get("/v2/", _version),
                web.get(r"/v2/{repository:.+}/manifests/{reference}", self._manifest),
                web.get(r"/v2/{repository:.+}/blobs/sha256:{digest:[0-9a-f]{64}}", self._blob),
            ]
        )
        return app

    @web.middleware
    async def _authenticate(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.headers.get("Authorization") == basic(USER, PASSWORD):
            response: web.StreamResponse = await handler(request)
            return response
        self.refused += 1
        headers = {"WWW-Authenticate": 'Basic realm="private"'}
        return web.json_response(
            {"errors": [{"code": "UNAUTHORIZED"}]}, status=401, headers=headers
        )

    async def _manifest(self, request: web.Request) -> web.Response:
        repository = request.match_info["repository"]
        archive = self.archives.get(repository)
        if archive is None:
            raise web.HTTPNotFound
        digest = _manifest_digest(archive)
        content = _read(archive, digest)
        self.served.append(repository)  # a runtime that knows the content asks by HEAD alone
        headers = {"Docker-Content-Digest": f"sha256:{digest}", "Content-Type": _MANIFEST}
        return web.Response(body=content, headers=headers)

    async def _blob(self, request: web.Request) -> web.StreamResponse:
        archive = self.archives.get(request.match_info["repository"])
        if archive is None:
            raise web.HTTPNotFound
        try:
            content = await asyncio.to_thread(_read, archive, request.match_info["digest"])
        except KeyError as error:
            raise web.HTTPNotFound from error
        return web.Response(body=content, content_type="application/octet-stream")


def basic(user: str, password: str) -> str:
    """Return the Authorization header (RFC 7617)."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def docker_config(registry: str) -> str:
    """Return what `docker login` writes, for a Secret with the registry's password."""
    auth = basic(USER, PASSWORD).removeprefix("Basic ")
    return json.dumps({"auths": {registry: {"auth": auth}}})


@contextmanager
def private_registry(
    archives: dict[str, Path], pair: KeyPair, address: str, port: int = 0
) -> Iterator[PrivateRegistry]:
    """Run it in a thread of its own; port 0 is a free one. Raises OSError for a port in use."""
    registry = PrivateRegistry(archives)
    with served(registry.application(), pair, address, port) as registry.port:
        yield registry


async def _version(_: web.Request) -> web.Response:
    return web.json_response({})


def _manifest_digest(archive: Path) -> str:
    with tarfile.open(archive) as tar:
        index = tar.extractfile("index.json")
        assert index is not None, archive
        digest: str = json.load(index)["manifests"][0]["digest"]
    return digest.removeprefix("sha256:")


def _read(archive: Path, digest: str) -> bytes:
    """Raises KeyError for a blob that is not there."""
    with tarfile.open(archive) as tar:
        member = tar.extractfile(f"blobs/sha256/{digest}")
        assert member is not None, archive
        return member.read()
