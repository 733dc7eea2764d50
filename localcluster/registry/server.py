"""The registry over HTTP: OCI distribution as far as Ollama uses it.

Two things differ from a plain registry, as they do at registry.ollama.ai: asking for a blob is
answered by a redirect to **another host name** (Ollama's downloader insists on it), and there are
no tokens.
"""

import secrets
from dataclasses import asdict
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

from localcluster.registry.store import BadDigestError, Reference, Store
from localcluster.registry.throttle import Limits, Line

_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
STORE: Final = web.AppKey("store", Store)
LINE: Final = web.AppKey("line", Line)
BLOB_HOST: Final = web.AppKey("blob_host", str)
_UPLOADS: Final = r"/v2/{repository:.+}/blobs/uploads/{upload:[0-9a-f]+}"


def application(store: Store, blob_host: str) -> web.Application:
    """The server; ``blob_host`` is the other name it is reached by, from which blobs come."""
    app = web.Application(client_max_size=4 * 1024**2)
    app[STORE], app[LINE], app[BLOB_HOST] = store, Line(), blob_host
    app.add_routes(
        [
            web.get("/healthz", _healthz),
            web.get("/v2/", _version),
            web.get("/_control", _read_control),
            web.post("/_control", _write_control),
            web.get(r"/v2/{repository:.+}/manifests/{tag}", _read_manifest),
            web.put(r"/v2/{repository:.+}/manifests/{tag}", _write_manifest),
            web.get(r"/v2/{repository:.+}/blobs/{digest:sha256:.+}", _redirect),
            web.get(r"/blobs/{digest}", _read_blob),
            web.post(r"/v2/{repository:.+}/blobs/uploads/", _start_upload),
            web.patch(_UPLOADS, _continue_upload),
            web.put(_UPLOADS, _end_upload),
        ]
    )
    return app


def _problem(status: int, code: str, message: str) -> web.Response:
    """An error in the shape of the OCI distribution specification."""
    errors = [{"code": code, "message": message, "detail": None}]
    return web.json_response({"errors": errors}, status=status)


async def _healthz(_request: web.Request) -> web.Response:
    return web.Response(text="ok, serving stand-in models\n")


async def _version(_request: web.Request) -> web.Response:
    return web.json_response({}, headers={"Docker-Distribution-Api-Version": "registry/2.0"})


async def _read_control(request: web.Request) -> web.Response:
    line = request.app[LINE]
    counters = {
        "blob_bytes_sent": line.blob_bytes_sent,
        "blob_requests": line.blob_requests,
        "manifest_requests": line.manifest_requests,
    }
    return web.json_response({"limits": asdict(line.limits), **counters})


async def _write_control(request: web.Request) -> web.Response:
    """Set all limits at once: what the object leaves out is back to normal."""
    if not _from_this_machine(request):
        return _problem(403, "DENIED", "only the machine that runs the registry may control it")
    try:
        request.app[LINE].limits = Limits.parse(await request.json())
    except ValueError as error:
        return _problem(400, "UNSUPPORTED", str(error))
    return await _read_control(request)


def _from_this_machine(request: web.Request) -> bool:
    """Loopback, or the very address that was connected to: pods have other ones."""
    transport = request.transport
    if transport is None:
        return False
    peer: str = transport.get_extra_info("peername")[0]
    own: str = transport.get_extra_info("sockname")[0]
    return peer == own or peer.startswith("127.") or peer == "::1"


def _reference(request: web.Request) -> Reference:
    return Reference(request.match_info["repository"], request.match_info["tag"])


async def _read_manifest(request: web.Request) -> web.Response:
    line = request.app[LINE]
    line.manifest_requests += 1
    if line.take_failure("fail_manifests"):
        return _problem(503, "UNAVAILABLE", "told to fail")
    content = request.app[STORE].manifest(_reference(request))
    if content is None:
        return _problem(404, "MANIFEST_UNKNOWN", "manifest unknown")
    return web.Response(body=content, content_type=_MANIFEST)


async def _write_manifest(request: web.Request) -> web.Response:
    try:
        request.app[STORE].write_manifest(_reference(request), await request.read())
    except ValueError as error:
        return _problem(400, "NAME_INVALID", str(error))
    return web.Response(status=201)


async def _redirect(request: web.Request) -> web.Response:
    digest = request.match_info["digest"]
    if request.app[STORE].blob(digest) is None:
        return _problem(404, "BLOB_UNKNOWN", "blob unknown to registry")
    host = request.app[BLOB_HOST]
    _, separator, port = request.host.partition(":")
    location = f"{request.scheme}://{host}{separator}{port}/blobs/{digest}"
    return web.Response(status=307, headers={hdrs.LOCATION: location})


async def _read_blob(request: web.Request) -> web.StreamResponse:
    path = request.app[STORE].blob(request.match_info["digest"])
    if path is None:
        return _problem(404, "BLOB_UNKNOWN", "blob unknown to registry")
    total = path.stat().st_size
    try:
        start, stop, _ = request.http_range.indices(total)
    except ValueError:
        return _problem(416, "RANGE_INVALID", "not a range of bytes")
    response = web.StreamResponse(status=206 if hdrs.RANGE in request.headers else 200)
    response.content_length = max(0, stop - start)
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
    line = request.app[LINE]
    line.blob_requests += 1
    broken = line.take_failure("fail_blobs")
    with path.open("rb") as file:
        file.seek(start)
        async for size in line.chunks((stop - start) // 2 if broken else stop - start):
            await response.write(file.read(size))
    if broken and request.transport is not None:
        request.transport.abort()
    else:
        await response.write_eof()


async def _start_upload(request: web.Request) -> web.Response:
    upload = secrets.token_hex(8)
    request.app[STORE].upload(upload).touch()
    return _accepted(request, f"{request.path}{upload}", 0)


async def _continue_upload(request: web.Request) -> web.Response:
    path = request.app[STORE].upload(request.match_info["upload"])
    if not path.exists():
        return _problem(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
    await _append(request, path)
    return _accepted(request, request.path, path.stat().st_size)


async def _end_upload(request: web.Request) -> web.Response:
    store = request.app[STORE]
    path = store.upload(request.match_info["upload"])
    if not path.exists():
        return _problem(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
    await _append(request, path)
    try:
        digest = store.commit(path, request.query.get("digest", ""))
    except BadDigestError as error:
        return _problem(400, "DIGEST_INVALID", str(error))
    return web.Response(status=201, headers={"Docker-Content-Digest": digest})


async def _append(request: web.Request, path: Path) -> None:
    with path.open("ab") as file:
        async for chunk in request.content.iter_chunked(256 * 1024):
            file.write(chunk)


def _accepted(request: web.Request, path: str, size: int) -> web.Response:
    location = f"{request.scheme}://{request.host}{path}"
    return web.Response(
        status=202, headers={hdrs.LOCATION: location, hdrs.RANGE: f"0-{max(0, size - 1)}"}
    )
