"""Sign in with the browser of this machine: the authorization code flow with PKCE, which comes back
to a port on loopback (RFC 8252 7.3, RFC 7636)."""

import base64
import hashlib
import hmac
import queue
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import parse_qs, urlencode, urlsplit

from aichat_workspace.cli.errors import CliError, ExitCode
from aichat_workspace.cli.server.provider import WHAT, OAuthError, Provider, Tokens

_CALLBACK: Final = "/callback"
_WAIT_SECONDS: Final = 300.0
_READ_SECONDS: Final = 10.0
_PAGE: Final = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>aichatctl</title>
<p>aichatctl goes on in the terminal. You can close this page.</p></html>"""
Answer = dict[str, str]


def can_open() -> bool:
    """Return whether this machine has a browser that shows pages to the person."""
    import webbrowser

    try:
        controller = webbrowser.get()
    except webbrowser.Error:
        return False
    return not isinstance(controller, webbrowser.GenericBrowser) or isinstance(
        controller, webbrowser.BackgroundBrowser
    )


def sign_in(
    provider: Provider, open_page: Callable[[str], None], seconds: float = _WAIT_SECONDS
) -> Tokens:
    """Let a person sign in on the page that `open_page` opens. Raises CliError."""
    import httpx2

    authorization = provider.endpoint("authorization")
    if authorization is None:
        raise provider.failure("it names no https:// address to sign in at")
    state, nonce, verifier = (secrets.token_urlsafe(48) for _ in range(3))
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
    with _listening(state) as (port, answers):
        redirect_uri = f"http://127.0.0.1:{port}{_CALLBACK}"
        query = {
            "response_type": "code",
            "client_id": provider.client.client_id,
            "redirect_uri": redirect_uri,
            "scope": provider.scope,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge.decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        mark = "&" if "?" in authorization else "?"
        open_page(f"{authorization}{mark}{urlencode(query)}")
        try:
            answer = answers.get(timeout=seconds)
        except queue.Empty:
            why = ("nobody has signed in in time",)
            raise CliError(WHAT, why, "aichatctl login --device URL", ExitCode.TIMED_OUT) from None
    _require_own_issuer(provider, answer)
    if "code" not in answer:
        refusal = OAuthError(answer.get("error", "no code"), answer.get("error_description", ""))
        raise refusal.as_cli_error()
    form = {
        "grant_type": "authorization_code",
        "code": answer["code"],
        "redirect_uri": redirect_uri,
        "code_verifier": verifier,
    }
    try:
        return provider.tokens(form, nonce)
    except OAuthError as error:
        raise error.as_cli_error() from None
    except httpx2.TimeoutException:
        raise provider.failure("it does not answer in time") from None


def _require_own_issuer(provider: Provider, answer: Answer) -> None:
    """Refuse another provider's answer (RFC 9207)."""
    is_named = provider.metadata.get("authorization_response_iss_parameter_supported") is True
    issuer = answer.get("iss")
    if (is_named or issuer) and str(issuer).rstrip("/") != provider.client.issuer:
        raise provider.failure("another provider has answered")


@contextmanager
def _listening(state: str) -> "Iterator[tuple[int, queue.SimpleQueue[Answer]]]":
    """Listen on loopback for the answer to this sign-in, until the block ends."""
    answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()

    class Handler(BaseHTTPRequestHandler):
        timeout = _READ_SECONDS

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            answer = {name: values[0] for name, values in parse_qs(url.query).items()}
            sent = answer.get("state", "").encode()
            is_ours = (
                url.path == _CALLBACK
                and self.headers.get("Host") == f"127.0.0.1:{server.server_port}"
                and hmac.compare_digest(sent, state.encode())
            )
            self._answer(200 if is_ours else 404)
            if is_ours:
                answers.put(answer)

        def _answer(self, status: int) -> None:
            body = _PAGE if status == 200 else b""
            self.send_response(status)
            for name, value in (
                ("Content-Type", "text/html; charset=utf-8"),
                ("Content-Length", str(len(body))),
                ("Content-Security-Policy", "default-src 'none'"),
                ("Referrer-Policy", "no-referrer"),
                ("Cache-Control", "no-store"),
            ):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """A log would be in the way of the command's own output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield server.server_port, answers
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
