"""A store in a bucket of an S3-compatible server.

An object is a multipart upload, which becomes visible when it is completed and never before:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final
from xml.etree import ElementTree

import httpx2
import structlog
from httpx2 import Client, Response

from aichat_workspace.backup.errors import (
    BackupError,
    BackupNotFoundError,
    StoreError,
    StoreRefusedError,
    StoreUnreachableError,
)
from aichat_workspace.backup.stores.sigv4 import SigV4
from aichat_workspace.backup.stores.store import Sink, Source, StoredObject
from aichat_workspace.foundation.error_text import error_text

PART_BYTES: Final = 32 * 1024 * 1024
"""An upload has up to two in memory. S3 takes 10,000 parts, so a backup has up to 312 GiB."""
_TIMEOUT: Final = httpx2.Timeout(120, connect=10)
_PAUSES_SECONDS: Final = (1.0, 5.0, 25.0)
_BUSY: Final = frozenset({500, 502, 503, 504})
_REFUSED: Final = frozenset({401, 403})
_NO_KEY: Final = "NoSuchKey"
_FIXES: Final = {
    "NoSuchBucket": "make the bucket, or correct its name in BACKUP_STORE",
    "AccessDenied": "let AWS_ACCESS_KEY_ID list, read, write and delete objects below the prefix",
    "InvalidAccessKeyId": "correct AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "correct AWS_SECRET_ACCESS_KEY",
    _NO_KEY: "list the backups: it may have been pruned",
}
_OTHER_FIX: Final = (
    "see that AWS_ENDPOINT_URL_S3, its certificate and the network policy let it be reached"
)
_WRONG_PLACE: Final = "the bucket is elsewhere: correct AWS_ENDPOINT_URL_S3 and AWS_REGION"
_CHUNK_BYTES: Final = 1024 * 1024
_log: Final = structlog.get_logger()


def connect(environment: Mapping[str, str]) -> Client:
    """Return a client by the variables that other programs read, too. Raises BackupError."""
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    missing = [name for name in names if not environment.get(name)]
    if missing:
        raise BackupError(f"{', '.join(missing)} not set: a store in S3 needs them")
    endpoint, access_key, secret_key = (environment[name] for name in names)
    if not endpoint.startswith(("https://", "http://")):
        raise BackupError(f"AWS_ENDPOINT_URL_S3 is {endpoint!r}; write https://HOST")
    auth = SigV4(access_key, secret_key, environment.get("AWS_REGION") or "us-east-1")
    return Client(base_url=endpoint, auth=auth, timeout=_TIMEOUT)


@dataclass(frozen=True, slots=True)
class S3Store:
    """Objects are keys below a prefix."""

    client: Client
    bucket: str
    prefix: str
    """Empty, or with a slash at its end."""
    part_bytes: int = PART_BYTES
    pause: Callable[[float], None] = time.sleep

    @contextmanager
    def create(self, name: str) -> Iterator[Sink]:
        what, key = f"write {name}", f"{self.prefix}{name}"
        started = self._xml(self._send(what, "POST", key, {"uploads": ""}))
        sink = _PartSink(self, what, key, {"uploadId": _text(started, "UploadId")})
        try:
            yield sink
            sink.complete()
        except BaseException:
            # The sweep removes it where this fails, too: the first error is the one to tell.
            with suppress(StoreError):
                self._send(what, "DELETE", key, sink.upload)
            raise

    @contextmanager
    def open(self, name: str) -> Iterator[Source]:
        what = f"read {name}"
        with _translated(what, self.bucket):
            url = self._url(f"{self.prefix}{name}")
            with self.client.stream("GET", url) as response:
                if not response.is_success:
                    response.read()
                yield _BodySource(
                    self._checked(what, response).iter_raw(_CHUNK_BYTES), what, self.bucket
                )

    def objects(self) -> tuple[StoredObject, ...]:
        query = {"list-type": "2", "prefix": self.prefix, "delimiter": "/"}
        stored: list[StoredObject] = []
        while True:
            page = self._xml(self._send("list backups", "GET", "", query))
            for item in page.iterfind("{*}Contents"):
                name = _text(item, "Key").removeprefix(self.prefix)
                stored.append(StoredObject(name, int(_text(item, "Size"))))
            if _text(page, "IsTruncated") != "true":
                return tuple(sorted(stored, key=lambda item: item.name))
            query["continuation-token"] = _text(page, "NextContinuationToken")

    def delete(self, name: str) -> None:
        self._send(f"delete {name}", "DELETE", f"{self.prefix}{name}")

    def sweep(self, before: datetime, names: re.Pattern[str]) -> int:
        """Where there are more than a thousand, the next sweep removes the others."""
        what = "remove torn backups"
        page = self._xml(self._send(what, "GET", "", {"uploads": "", "prefix": self.prefix}))
        torn = [
            upload
            for upload in page.iterfind("{*}Upload")
            if names.fullmatch(_text(upload, "Key").removeprefix(self.prefix))
            and datetime.fromisoformat(_text(upload, "Initiated")) < before
        ]
        for upload in torn:
            query = {"uploadId": _text(upload, "UploadId")}
            self._send(what, "DELETE", _text(upload, "Key"), query)
        return len(torn)

    def _send(
        self,
        what: str,
        method: str,
        key: str,
        query: Mapping[str, str] | None = None,
        content: bytes = b"",
    ) -> Response:
        """Send a request, again where the server is busy or a connection breaks.

        All requests may be sent twice: a second upload is swept, and a second completion is
        answered by an error, after which the backup is there as a whole one.
        """
        send = partial(
            self.client.request, method, self._url(key), params=query or None, content=content
        )
        for pause in _PAUSES_SECONDS:
            reason = "busy"
            try:
                response = send()
                if response.status_code not in _BUSY:
                    return self._checked(what, response)
            except httpx2.TransportError as error:
                reason = error_text(error)
            _log.warning("asked again", what=what, bucket=self.bucket, reason=reason)
            self.pause(pause)
        with _translated(what, self.bucket):
            return self._checked(what, send())

    def _checked(self, what: str, response: Response) -> Response:
        if not response.is_success:
            raise self._error(what, response)
        return response

    def _url(self, key: str) -> str:
        return f"/{self.bucket}/{key}" if key else f"/{self.bucket}"

    def _xml(self, response: Response) -> ElementTree.Element:
        """Raises StoreError for an error, which may come with status 200, and for no XML."""
        # Expat loads no entity from elsewhere, and since 2.4.1 refuses those that grow:
        # https://docs.python.org/3/library/xml.html#xml-security
        try:
            element = ElementTree.fromstring(response.content)  # noqa: S314  (as above)
        except ElementTree.ParseError as error:
            raise self._no_s3() from error
        if _name(element) == "Error":
            raise self._error("use it", response)
        return element

    def _no_s3(self) -> StoreError:
        return StoreError(
            f"bucket {self.bucket!r}: the server does not answer as S3 does; correct "
            "AWS_ENDPOINT_URL_S3"
        )

    def _error(self, what: str, response: Response) -> BackupError:
        code, message = str(response.status_code), ""
        with suppress(ElementTree.ParseError):
            element = ElementTree.fromstring(response.content)  # noqa: S314  (as above)
            code, message = _text(element, "Code") or code, _text(element, "Message")
        fix = _WRONG_PLACE if _is_elsewhere(response, code) else _FIXES.get(code, _OTHER_FIX)
        return _kind(response, code)(
            f"can't {what} in bucket {self.bucket!r}: {code} {message}; {fix}"
        )


@dataclass(slots=True)
class _PartSink:
    store: S3Store
    what: str
    key: str
    upload: dict[str, str]
    buffer: bytearray = field(default_factory=bytearray)
    etags: list[str] = field(default_factory=list)

    def write(self, content: bytes, /) -> int:
        self.buffer += content
        if len(self.buffer) >= self.store.part_bytes:
            self._upload_part()
        return len(content)

    def complete(self) -> None:
        self._upload_part()
        document = ElementTree.Element("CompleteMultipartUpload")
        for number, etag in enumerate(self.etags, start=1):
            part = ElementTree.SubElement(document, "Part")
            ElementTree.SubElement(part, "PartNumber").text = str(number)
            ElementTree.SubElement(part, "ETag").text = etag
        content = ElementTree.tostring(document)
        response = self.store._send(self.what, "POST", self.key, self.upload, content)
        self.store._xml(response)

    def _upload_part(self) -> None:
        query = {"partNumber": str(len(self.etags) + 1), **self.upload}
        content, self.buffer = bytes(self.buffer), bytearray()
        response = self.store._send(self.what, "PUT", self.key, query, content)
        if "ETag" not in response.headers:
            raise self.store._no_s3()
        self.etags.append(response.headers["ETag"])


@dataclass(slots=True)
class _BodySource:
    chunks: Iterator[bytes]
    what: str
    bucket: str
    rest: bytes = b""

    def read(self, size: int, /) -> bytes:
        with _translated(self.what, self.bucket):
            while len(self.rest) < size and (chunk := next(self.chunks, b"")):
                self.rest += chunk
        content, self.rest = self.rest[:size], self.rest[size:]
        return content


@contextmanager
def _translated(what: str, bucket: str) -> Iterator[None]:
    try:
        yield
    except httpx2.HTTPError as error:
        reason = error_text(error)
        raise StoreUnreachableError(
            f"can't {what} in bucket {bucket!r}: {reason}; {_OTHER_FIX}"
        ) from error


def _kind(response: Response, code: str) -> type[BackupError]:
    if code == _NO_KEY:
        return BackupNotFoundError
    return StoreRefusedError if response.status_code in _REFUSED else StoreError


def _is_elsewhere(response: Response, code: str) -> bool:
    """Servers tell of another region by a redirect, or by this code with status 400."""
    return response.status_code // 100 == 3 or code == "AuthorizationHeaderMalformed"


def _text(element: ElementTree.Element, name: str) -> str:
    """Return a child's text; servers differ in the namespace."""
    return element.findtext(f"{{*}}{name}") or ""


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
