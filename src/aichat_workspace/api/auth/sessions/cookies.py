"""The cookies of sessions and of sign-ins under way.

Browsers keep 4,096 bytes of a cookie with its name, so a session may take two. Together they stay
below the 8 KiB that common proxies take for one header and for the head of a response.
https://datatracker.ietf.org/doc/html/rfc6265#section-6.1
https://nginx.org/en/docs/http/ngx_http_core_module.html#large_client_header_buffers
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

SESSION_SCHEME: Final = "Session"
"""The cookie's name in the OpenAPI document."""
MAX_SESSION_BYTES: Final = 6_000
_CHUNK_BYTES: Final = 3_800
_MAX_CHUNKS: Final = 2
_MAX_SIGN_INS_BYTES: Final = 2_000  # the browser sends them with every request
# A browser that comes with a session that is over learns that; without the cookie it would not.
_KEPT_SECONDS: Final = 24 * 3600


class SessionTooLargeError(ValueError):
    """The session does not fit into cookies; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Cookies:
    """Names and attributes of the cookies. With TLS no other host can set one of these names.

    https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis#name-the-__host-prefix
    """

    secure: bool
    """Whether browsers use TLS."""

    @property
    def session(self) -> str:
        """The name of the session's first cookie."""
        return self._name("aichat-session")

    @property
    def sign_ins(self) -> str:
        """The prefix of the names of sign-ins' cookies."""
        return self._name("aichat-sign-in-")

    def sign_in(self, state: str) -> str:
        """Return the name of a sign-in's cookie; each tab has its own."""
        return self.sign_ins + hashlib.sha256(state.encode()).hexdigest()[:16]

    def read_session(self, cookies: Mapping[str, str]) -> str | None:
        """Return the value that `set_session` was given; None without one."""
        count, _, first = cookies.get(self.session, "").partition(".")
        if not first or count not in map(str, range(1, _MAX_CHUNKS + 1)):
            return None
        return first + "".join(
            cookies.get(self._chunk(index), "") for index in range(1, int(count))
        )

    def set_session(self, response: Response, value: str, seconds: float) -> None:
        """Set the cookies of a session that ends in so many seconds; the browser keeps them longer.

        Raises SessionTooLargeError.
        """
        if len(value) > MAX_SESSION_BYTES:
            raise SessionTooLargeError(
                f"The session's tokens take {len(value)} bytes, and cookies that pass common "
                f"proxies hold {MAX_SESSION_BYTES}. Have the identity provider put fewer claims "
                "into the token (a long list of groups, most often), or send it in the "
                "Authorization header instead of signing in."
            )
        chunks = [
            value[start : start + _CHUNK_BYTES] for start in range(0, len(value), _CHUNK_BYTES)
        ]
        max_age = max(int(seconds), 0) + _KEPT_SECONDS
        self._set(response, self.session, f"{len(chunks)}.{chunks[0]}", max_age)
        for index, chunk in enumerate(chunks[1:], start=1):
            self._set(response, self._chunk(index), chunk, max_age)

    def clear_session(self, response: Response) -> None:
        """Remove a session from the browser."""
        for name in (self.session, *map(self._chunk, range(1, _MAX_CHUNKS))):
            self.clear(response, name)

    def set_sign_in(
        self, response: Response, state: str, value: str, seconds: int, present: Mapping[str, str]
    ) -> None:
        """Set a sign-in's cookie; abandoned ones among the present cookies go if they are many."""
        others = [name for name in present if name.startswith(self.sign_ins)]
        present_bytes = sum(len(name) + len(present[name]) for name in others)
        for name in others if len(value) + present_bytes > _MAX_SIGN_INS_BYTES else ():
            self.clear(response, name)
        self._set(response, self.sign_in(state), value, seconds)

    def clear(self, response: Response, name: str) -> None:
        """Remove a cookie from the browser."""
        response.delete_cookie(name, path="/", secure=self.secure, httponly=True, samesite="lax")

    def _set(self, response: Response, name: str, value: str, seconds: int) -> None:
        response.set_cookie(
            name, value, seconds, path="/", secure=self.secure, httponly=True, samesite="lax"
        )

    def _chunk(self, index: int) -> str:
        return f"{self.session}-{index}"

    def _name(self, name: str) -> str:
        return f"__Host-{name}" if self.secure else name
