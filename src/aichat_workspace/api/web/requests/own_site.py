"""Refuse what other sites make browsers send.

Browsers send cookies, and proxies in front may add an Authorization header, whatever page made the
request. So no page of another site may change anything, whatever the credential. Sibling hosts
count as other sites: tenants' chats are served there. Programs send neither of the two headers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from aichat_workspace.api.web.responses.error_handlers import problem_response
from aichat_workspace.api.web.responses.problems import ProblemError

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class OwnSiteMiddleware:
    """ASGI middleware: refuses changes from other sites' pages with 403."""

    app: ASGIApp
    public_url: str | None
    """Where browsers reach the API; None if that is not known."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in SAFE_METHODS:
            try:
                require_own_site(scope["method"], Headers(scope=scope), self.public_url)
            except ProblemError as problem:
                await problem_response(problem, scope["path"])(scope, receive, send)
                return
        await self.app(scope, receive, send)


def require_own_site(method: str, headers: Mapping[str, str], public_url: str | None) -> None:
    """Raise ProblemError (403) for a request that another site made the browser send."""
    if not is_own_site(method, headers, public_url):
        raise ProblemError(
            403,
            "cross-site",
            "Another site made your browser ask for this, and only pages of this one may. Open "
            "it yourself; programs send neither Origin nor Sec-Fetch-Site. If this is the right "
            "site, PUBLIC_URL of the API is not the address that you use.",
        )


def is_own_site(method: str, headers: Mapping[str, str], public_url: str | None) -> bool:
    """Return whether the request comes from a page of this site or from a followed link.

    https://web.dev/articles/fetch-metadata
    """
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none") or (method in SAFE_METHODS and _is_visit(headers))
    origin = headers.get("Origin")
    # Without it, this is no browser, or one that sends it only with changes.
    return origin is None or is_own_origin(origin, headers, public_url)


def is_own_origin(origin: str, headers: Mapping[str, str], public_url: str | None) -> bool:
    """Return whether an origin is this site's.

    The browser writes both the origin and Host, so they can be compared.
    """
    host = headers.get("Host", "")
    return origin in (public_url, f"https://{host}", f"http://{host}")


def _is_visit(headers: Mapping[str, str]) -> bool:
    """Return whether a link is followed to a page of its own, not into a frame."""
    return (
        headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"
    )
