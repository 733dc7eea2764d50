"""Sign requests to S3-compatible servers by AWS Signature Version 4.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

import hashlib
import hmac
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl, quote, unquote

from httpx2 import Auth, Request, Response

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
# What S3 does not encode (RFC 3986), whatever the client encodes.
_QUERY: Final = "-._~"
_PATH: Final = f"{_QUERY}/"
_SIGNED: Final = ("host", "x-amz-content-sha256", "x-amz-date")


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class SigV4(Auth):
    """Signs the host, the path, the query, the time and the body's checksum."""

    requires_request_body = True

    access_key: str
    secret_key: str = field(repr=False)
    region: str
    now: Callable[[], datetime] = _now

    def auth_flow(self, request: Request) -> Generator[Request, Response, None]:
        time = f"{self.now():%Y%m%dT%H%M%SZ}"
        request.headers["x-amz-date"] = time
        request.headers["x-amz-content-sha256"] = hashlib.sha256(request.content).hexdigest()
        scope = f"{time[:8]}/{self.region}/s3/aws4_request"
        digest = hashlib.sha256(_canonical(request).encode()).hexdigest()
        signature = self._hmac(scope, f"{_ALGORITHM}\n{time}\n{scope}\n{digest}")
        request.headers["Authorization"] = (
            f"{_ALGORITHM} Credential={self.access_key}/{scope},SignedHeaders={';'.join(_SIGNED)},"
            f"Signature={signature}"
        )
        yield request

    def _hmac(self, scope: str, text: str) -> str:
        key = f"AWS4{self.secret_key}".encode()
        for part in (*scope.split("/"), text):
            key = hmac.digest(key, part.encode(), "sha256")
        return key.hex()


def _canonical(request: Request) -> str:
    path = quote(unquote(request.url.path), safe=_PATH)
    pairs = sorted(parse_qsl(request.url.query.decode(), keep_blank_values=True))
    query = "&".join(
        f"{quote(key, safe=_QUERY)}={quote(value, safe=_QUERY)}" for key, value in pairs
    )
    headers = "".join(f"{name}:{request.headers[name].strip()}\n" for name in _SIGNED)
    checksum = request.headers["x-amz-content-sha256"]
    return "\n".join([request.method, path, query, headers, ";".join(_SIGNED), checksum])
