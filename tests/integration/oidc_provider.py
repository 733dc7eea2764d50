"""A small OpenID provider over TLS, with an authority of its own, that checks PKCE or a client's
secret, and rotates refresh tokens."""

import base64
import hashlib
import json
import secrets
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

from localcluster import certificates

CLIENT_ID = "aichat"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass
class Provider:
    """Signs every visitor in as `person`, with ID tokens that are good for `seconds`.

    It is strict with refresh tokens: each is good for one use, and a second use ends the whole
    sign-in, as RFC 9700 4.14.2 recommends.
    """

    issuer: str
    ca_file: Path
    person: str = "ann"
    seconds: int = 3600
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    refresh_tokens: dict[str, str] = field(default_factory=dict)
    """The sign-in of each refresh token that was ever given."""
    good: dict[str, str] = field(default_factory=dict)
    """The refresh token that is good, by sign-in."""
    renewals: int = 0
    reused: int = 0
    """How many refresh tokens came a second time."""
    ended: list[dict[str, str]] = field(default_factory=list)
    """The queries of browsers that came to sign out."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    device_answers: list[str] = field(default_factory=list)
    """The error codes that come before a device is signed in, as `slow_down`."""
    devices: dict[str, str] = field(default_factory=dict)
    """The scope of each device code that is not used yet."""
    refusal: str = ""
    """The error code with which it sends browsers back."""
    interval: int | None = 1
    """The seconds between two questions of a device; None to leave it to the device."""
    claims: dict[str, object] = field(default_factory=dict)
    """What it says of the person beside the usual."""
    client_secret: str = ""
    """A confidential client's, which then needs no PKCE."""

    def token(self, **claims: object) -> str:
        """An ID token, with these claims in place of the usual ones."""
        now = int(time.time())
        usual = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "sub": self.person,
            "groups": ["chatters"],
            "iat": now,
            "exp": now + self.seconds,
        }
        known = {**usual, **self.claims, **claims}
        return jwt.encode({"alg": "RS256", "kid": "one"}, known, self.key)

    def fresh_token(self) -> str:
        """An ID token that nobody has judged before."""
        return self.token(jti=secrets.token_hex(8))

    def userinfo(self) -> dict[str, object]:
        """What it says of the person (OpenID Connect Core 5.3)."""
        return {"sub": self.person, **self.claims}

    def authorize(self, query_fields: dict[str, str]) -> str:
        """Where the browser is sent back to."""
        assert query_fields["response_type"] == "code"
        assert query_fields["client_id"] == CLIENT_ID
        if self.refusal:
            query = urlencode({"error": self.refusal, "state": query_fields["state"]})
            return f"{query_fields['redirect_uri']}?{query}"
        assert self.client_secret or query_fields["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe()
        self.codes[code] = query_fields
        query = urlencode({"code": code, "state": query_fields["state"], "iss": self.issuer})
        return f"{query_fields['redirect_uri']}?{query}"

    def exchange(self, form: dict[str, str]) -> dict[str, Any]:
        """Exchange a code or a refresh token once for tokens."""
        with self.lock:
            if form["grant_type"] == "refresh_token":
                return self._renew(form["refresh_token"])
            if form["grant_type"] == DEVICE_GRANT:
                return self._sign_device_in(form["device_code"])
            return self._redeem(form)

    def begin_device(self, form: dict[str, str]) -> dict[str, Any]:
        """Give a device its codes (RFC 8628 3.2)."""
        assert form["client_id"] == CLIENT_ID
        code = secrets.token_urlsafe()
        self.devices[code] = form["scope"]
        address = f"{self.issuer}/device"
        answer = {
            "device_code": code,
            "user_code": "WDJB-MJHT",
            "verification_uri": address,
            "verification_uri_complete": f"{address}?user_code=WDJB-MJHT",
            "expires_in": 600,
        }
        return answer if self.interval is None else {**answer, "interval": self.interval}

    def _sign_device_in(self, code: str) -> dict[str, Any]:
        if code not in self.devices:
            return {"error": "invalid_grant"}
        if self.device_answers:
            return {"error": self.device_answers.pop(0)}
        offline = "offline_access" in self.devices.pop(code).split()
        return self._tokens(code if offline else None)

    def revoke(self, form: dict[str, str]) -> dict[str, Any]:
        """End the sign-in of a refresh token (RFC 7009)."""
        with self.lock:
            self.good.pop(self.refresh_tokens.get(form["token"], ""), None)
        return {}

    def end_session(self, query_fields: dict[str, str]) -> str:
        """Where the browser goes after signing out."""
        self.ended.append(query_fields)
        return query_fields["post_logout_redirect_uri"]

    def _redeem(self, form: dict[str, str]) -> dict[str, Any]:
        """The caller must know the code's verifier, or the client's secret."""
        given = self.codes.pop(form["code"], None)
        if (
            given is None
            or not self._proves_itself(given, form)
            or given["redirect_uri"] != form["redirect_uri"]
        ):
            return {"error": "invalid_grant"}
        offline = "offline_access" in given["scope"].split()
        return self._tokens(form["code"] if offline else None, nonce=given["nonce"])

    def _proves_itself(self, given: dict[str, str], form: dict[str, str]) -> bool:
        if self.client_secret:
            return form.get("client_secret") == self.client_secret
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        return given["code_challenge"] == challenge

    def _renew(self, refresh_token: str) -> dict[str, Any]:
        sign_in = self.refresh_tokens.get(refresh_token, "")
        if self.good.get(sign_in) != refresh_token:
            self.reused += sign_in in self.good
            self.good.pop(sign_in, None)
            return {"error": "invalid_grant"}
        self.renewals += 1
        return self._tokens(sign_in)

    def _tokens(self, sign_in: str | None, **claims: object) -> dict[str, Any]:
        token = self.token(**claims, jti=secrets.token_hex(8))
        tokens = {"id_token": token, "access_token": "opaque", "token_type": "Bearer"}
        if sign_in is not None:
            tokens["refresh_token"] = self.good[sign_in] = secrets.token_urlsafe()
            self.refresh_tokens[tokens["refresh_token"]] = sign_in
        return tokens

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "device_authorization_endpoint": f"{self.issuer}/device_authorization",
            "revocation_endpoint": f"{self.issuer}/revoke",
            "end_session_endpoint": f"{self.issuer}/logout",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "scopes_supported": ["openid", "email", "profile", "offline_access"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["none", "client_secret_basic"],
        }


class _Server(ThreadingHTTPServer):
    provider: Provider


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    @property
    def provider(self) -> Provider:
        return self.server.provider

    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, _flat(urlsplit(self.path).query)
        if path in ("/authorize", "/logout"):
            is_sign_in = path == "/authorize"
            answer = self.provider.authorize if is_sign_in else self.provider.end_session
            self.send_response(302)
            self.send_header("Location", answer(query))
            self.end_headers()
        elif path == "/jwks":
            self._json({"keys": [self.provider.key.as_dict(private=False, use="sig")]})
        elif path == "/userinfo":
            self._json(self.provider.userinfo())
        else:
            self._json(self.provider.discovery())

    def do_POST(self) -> None:
        form = _flat(self.rfile.read(int(self.headers["Content-Length"])).decode())
        answers = {
            "/revoke": self.provider.revoke,
            "/device_authorization": self.provider.begin_device,
        }
        answer = answers.get(self.path, self.provider.exchange)({**form, **self._client()})
        self._json(answer, 400 if "error" in answer else 200)

    def _client(self) -> dict[str, str]:
        """The client and its secret, where it sends them (RFC 6749 2.3.1)."""
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        if kind != "Basic":
            return {}
        client, _, secret = base64.b64decode(value).decode().partition(":")
        return {"client_id": unquote(client), "client_secret": unquote(secret)}

    def _json(self, body: object, status: int = 200) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Its log would be in the way of the tests' own."""


def _flat(query: str) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(query).items()}


@contextmanager
def serving(folder: Path, address: str = "127.0.0.1") -> Iterator[Provider]:
    ours = certificates.ensure(folder, "identity provider's test authority")
    pair = certificates.issue(ours, folder, [address])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    server = _Server((address, 0), _Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    provider = Provider(f"https://{address}:{server.server_port}", ours.certificate)
    server.provider = provider
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
