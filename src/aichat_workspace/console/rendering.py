"""Pages and their parts as HTTP responses: templates with escaped texts, and a strict policy."""

import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from types import SimpleNamespace
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import RedirectResponse, Response

from aichat_workspace.console.texts import TEXTS

# Scripts, styles and pictures are this site's files; nothing inline, no frames, no other host.
# https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Content-Security-Policy
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cache-Control": "no-store",  # pages have the session's token for changes
    "Vary": "Cookie",
}
_MEDIA_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_YEAR: Final = "public, max-age=31536000, immutable"
_SEE_OTHER: Final = 303


@cache
def _assets() -> Mapping[str, bytes]:
    folder = resources.files("aichat_workspace.console") / "assets"
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@cache
def assets_revision() -> str:
    """Return a digest of all assets; it is part of their addresses, so they never go stale.

    It is short, since a long list has two hundred of these addresses.
    """
    content = b"".join(body for _, body in sorted(_assets().items()))
    return hashlib.blake2b(content, digest_size=5).hexdigest()


def asset_path(name: str) -> str:
    """Return an asset's address."""
    return f"/assets/{assets_revision()}/{name}"


def asset(revision: str, name: str) -> Response | None:
    """Return an asset; None for one that there is not."""
    body = _assets().get(name)
    if body is None:
        return None
    # An old revision is another version's; a browser must not keep this content under it.
    caching = _YEAR if revision == assets_revision() else "no-store"
    media_type = _MEDIA_TYPES[name.rpartition(".")[2]]
    headers = {"Cache-Control": caching, "Content-Security-Policy": CONTENT_SECURITY_POLICY}
    return Response(body, 200, headers, media_type)


@cache
def environment() -> Environment:
    """Return the templates. A text is always escaped, and a missing value is an error."""
    environment = Environment(
        loader=PackageLoader("aichat_workspace.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"t": SimpleNamespace(**TEXTS), "asset": asset_path}
    return environment


def page(
    template: str, status: int = 200, *, cookies: Iterable[str] = (), **values: Any
) -> Response:
    """Return the page of a template."""
    text = environment().get_template(template).render(**values)
    response = Response(text, status, _HEADERS, "text/html; charset=utf-8")
    return with_cookies(response, cookies)


def redirect(path: str, cookies: Iterable[str] = ()) -> Response:
    """Return a redirect that a browser follows with GET."""
    return with_cookies(RedirectResponse(path, _SEE_OTHER, _HEADERS), cookies)


def with_cookies(response: Response, cookies: Iterable[str]) -> Response:
    """Return the response with these Set-Cookie headers."""
    for cookie in dict.fromkeys(cookies):
        response.headers.append("Set-Cookie", cookie)
    return response
