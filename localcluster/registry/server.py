"""Serve the registry over HTTP: the part of OCI distribution that Ollama and pulls of images use.

Like registry.ollama.ai, and unlike a plain registry, it redirects requests for blobs to **another
host name** (Ollama's downloader needs that) and has no tokens. Other models are fetched from the
public registry through this server, to which the public one's name resolves in the cluster.
"""

import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import hdrs, web

from localcluster.registry.catalog import resolve
from localcluster.registry.store import (
    DIGEST,
    BadDigestError,
    ImageReference,
    Store,
    digest_of,
)
from localcluster.registry.throttle import Limits, Throttle
from localcluster.registry.upstream import MANIFEST, Upstream, UpstreamError

_CHUNK_BYTES: Final = 256 * 1024
STORE: Final = web.AppKey("store", Store)
THROTTLE: Final = web.AppKey("throttle", Throttle)
BLOB_HOST: Final = web.AppKey("blob_host", str)
UPSTREAM: Final = web.AppKey("upstream", Upstream)
_BLOB: Final = f"{{digest:{DIGEST}}}"
_UPLOADS: Final = r"/v2/{repository:.+}/blobs/uploads/{upload:[0-9a-f]+}"


def application(store: Store, blob_host: str, upstream: str) -> web.Application:
    """Return the server.

    ``blob_host`` is its further name, from which it serves blobs, and ``upstream`` is the URL of
    the public registry; empty for none.
    """
    app = web.Application(client_max_size=4 * 1024**2)
    app[STORE], app[THROTTLE], app[BLOB_HOST] = store, Throttle(), blob_host

    async def connect(app: web.Application) -> AsyncIterator[None]:
        # Responses are passed on unchanged, so they must not be compressed. The machine's proxy is
        # used if it has one.
        async with aiohttp.ClientSession(
            headers={hdrs.ACCEPT_ENCODING: "identity"}, auto_decompress=False, trust_env=True
        ) as session:
            app[UPSTREAM] = Upstream(upstream, session)
            yield

    app.cleanup_ctx.append(connect)
    app.add_routes(
        [
            web.get("/healthz", _healthz),
            web.get("/v2/", _version),
            web.get("/_control", _read_control),
            web.post("/_control", _write_control),
            web.get(r"/v2/{repository:.+}/manifests/{tag}", _read_manifest),
            web.put(r"/v2/{repository:.+}/manifests/{tag}", _write_manifest),
            web.get(rf"/v2/{{repository:.+}}/blobs/{_BLOB}", _redirect),
            web.get(rf"/blobs/{_BLOB}", _read_blob),
            web.post(r"/v2/{repository:.+}/blobs/uploads/", _start_upload),
            web.get(_UPLOADS, _read_upload),
            web.patch(_UPLOADS, _continue_upload),
            web.put(_UPLOADS, _end_upload),
        ]
    )
    return app


def _problem(status: int, code: str, message: str) -> web.Response:
    """Return an error in the format of the OCI distribution specification."""
    errors = [{"code": code, "message": message, "detail": None}]
    return web.json_response({"errors": errors}, status=status)


def _unavailable(thing: str, error: UpstreamError) -> web.Response:
    """Return the public registry's failure as plain text, which Ollama shows unchanged."""
    return web.Response(status=503, text=f"the local registry has no {thing}, and {error}")


async def _healthz(_request: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def _version(_request: web.Request) -> web.Response:
    return web.json_response({}, headers={"Docker-Distribution-Api-Version": "registry/2.0"})


async def _read_control(request: web.Request) -> web.Response:
    throttle = request.app[THROTTLE]
    counters = {
        "blob_bytes_sent": throttle.blob_bytes_sent,
        "bytes_sent_of": throttle.bytes_sent_of,
        "blob_requests": throttle.blob_requests,
        "manifest_requests": throttle.manifest_requests,
    }
    return web.json_response({"limits": asdict(throttle.limits), **counters})


async def _write_control(request: web.Request) -> web.Response:
    """Set all limits at once; a limit that the object lacks is reset."""
    if not _from_this_machine(request):
        return _problem(403, "DENIED", "only the machine that runs the registry may control it")
    try:
        request.app[THROTTLE].limits = Limits.parse(await request.json())
    except ValueError as error:
        return _problem(400, "UNSUPPORTED", str(error))
    return await _read_control(request)


def _from_this_machine(request: web.Request) -> bool:
    """Return whether the client's address is loopback or the server's own; pods have others."""
    transport = request.transport
    if transport is None:
        return False
    peer: str = transport.get_extra_info("peername")[0]
    own: str = transport.get_extra_info("sockname")[0]
    return peer == own or peer.startswith("127.") or peer == "::1"


def _reference(request: web.Request) -> ImageReference:
    return ImageReference(request.match_info["repository"], request.match_info["tag"])


async def _read_manifest(request: web.Request) -> web.Response:
    throttle = request.app[THROTTLE]
    throttle.manifest_requests += 1
    if throttle.take_failure("fail_manifests", request.match_info["repository"]):
        return _problem(503, "UNAVAILABLE", "a test requested this failure")
    reference, store = _reference(request), request.app[STORE]
    content = store.manifest(reference) or store.manifest(resolve(reference))
    if content is None and reference.is_valid() and request.app[UPSTREAM].url:
        try:
            content = await request.app[UPSTREAM].manifest(reference)
        except UpstreamError as error:
            return _unavailable(f"model {reference}", error)
    if content is None:
        return _problem(404, "MANIFEST_UNKNOWN", "manifest unknown")
    headers = {"Docker-Content-Digest": digest_of(content)}
    return web.Response(body=content, content_type=_media_type(content), headers=headers)


def _media_type(content: bytes) -> str:
    """Return what a manifest says of itself; those of old models say nothing."""
    return str(json.loads(content).get("mediaType", MANIFEST))


async def _write_manifest(request: web.Request) -> web.Response:
    try:
        request.app[STORE].write_manifest(_reference(request), await request.read())
    except ValueError as error:
        return _problem(400, "NAME_INVALID", str(error))
    return web.Response(status=201, headers={hdrs.LOCATION: request.path})


async def _redirect(request: web.Request) -> web.Response:
    """Redirect to the other host, with the repository, by which limits and the upstream need it."""
    location = (
        request.url.with_host(request.app[BLOB_HOST])
        .with_path(f"/blobs/{request.match_info['digest']}")
        .with_query(repository=request.match_info["repository"])
    )
    return web.Response(status=307, headers={hdrs.LOCATION: str(location)})


async def _read_blob(request: web.Request) -> web.StreamResponse:
    path = request.app[STORE].blob(request.match_info["digest"])
    if path is None:
        return await _relay(request)
    total = path.stat().st_size
    try:
        start, stop, _ = request.http_range.indices(total)
    except ValueError:
        return _problem(416, "RANGE_INVALID", "not a range of bytes")
    if hdrs.RANGE in request.headers and start >= stop:
        problem = _problem(416, "RANGE_INVALID", f"the blob has {total} bytes")
        problem.headers[hdrs.CONTENT_RANGE] = f"bytes */{total}"
        return problem
    response = web.StreamResponse(status=206 if hdrs.RANGE in request.headers else 200)
    response.content_length = stop - start
    response.headers[hdrs.ACCEPT_RANGES] = "bytes"
    if response.status == 206:
        response.headers[hdrs.CONTENT_RANGE] = f"bytes {start}-{stop - 1}/{total}"
    await response.prepare(request)
    if request.method != hdrs.METH_HEAD:
        await _send(request, response, path, start, stop)
    return response


async def _send(
    request: web.Request, response: web.StreamResponse, path: Path, start: int, stop: int
) -> None:
    throttle, repository = request.app[THROTTLE], request.query.get("repository", "")
    throttle.blob_requests += 1
    is_broken = throttle.take_failure("fail_blobs", repository)
    with path.open("rb") as file:
        file.seek(start)
        async for size in throttle.chunks(
            (stop - start) // 2 if is_broken else stop - start, repository
        ):
            await response.write(file.read(size))
    if is_broken and request.transport is not None:
        request.transport.abort()
    else:
        await response.write_eof()


async def _relay(request: web.Request) -> web.StreamResponse:
    """Pass on a blob of the public registry."""
    digest, repository = request.match_info["digest"], request.query.get("repository", "")
    response = web.StreamResponse()
    try:
        async with request.app[UPSTREAM].blob(
            repository, digest, method=request.method, span=request.headers.get(hdrs.RANGE)
        ) as blob:
            if blob is None:
                return _problem(404, "BLOB_UNKNOWN", "blob unknown to registry")
            response.set_status(blob.status)
            for name in (hdrs.CONTENT_LENGTH, hdrs.CONTENT_RANGE, hdrs.ACCEPT_RANGES):
                if name in blob.headers:
                    response.headers[name] = blob.headers[name]
            await response.prepare(request)
            async for chunk in blob.content.iter_chunked(_CHUNK_BYTES):
                await response.write(chunk)
            await response.write_eof()
    except UpstreamError as error:
        return _unavailable(f"blob {digest}", error)
    except (aiohttp.ClientError, TimeoutError):  # either side failed in the middle
        if request.transport is not None:
            request.transport.abort()
    return response


async def _start_upload(request: web.Request) -> web.Response:
    identifier = secrets.token_hex(8)
    request.app[STORE].upload_path(identifier).touch()
    return _accepted(request, f"{request.path}{identifier}", 0)


async def _read_upload(request: web.Request) -> web.Response:
    path = request.app[STORE].upload_path(request.match_info["upload"])
    if not path.exists():
        return _problem(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
    return _accepted(request, request.path, path.stat().st_size, 204)


async def _continue_upload(request: web.Request) -> web.Response:
    path = request.app[STORE].upload_path(request.match_info["upload"])
    if not path.exists():
        return _problem(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
    await _append(request, path)
    return _accepted(request, request.path, path.stat().st_size)


async def _end_upload(request: web.Request) -> web.Response:
    store, digest = request.app[STORE], request.query.get("digest", "")
    path = store.upload_path(request.match_info["upload"])
    if not path.exists():
        return _problem(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
    await _append(request, path)
    try:
        store.commit(path, digest)
    except BadDigestError as error:
        return _problem(400, "DIGEST_INVALID", str(error))
    return web.Response(status=201, headers={"Docker-Content-Digest": digest})


async def _append(request: web.Request, path: Path) -> None:
    with path.open("ab") as file:
        async for chunk in request.content.iter_chunked(_CHUNK_BYTES):
            file.write(chunk)


def _accepted(request: web.Request, path: str, size: int, status: int = 202) -> web.Response:
    location = f"{request.scheme}://{request.host}{path}"
    return web.Response(
        status=status, headers={hdrs.LOCATION: location, hdrs.RANGE: f"0-{max(0, size - 1)}"}
    )
