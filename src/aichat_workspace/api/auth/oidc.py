"""Sign-in with an identity provider: OpenID Connect's authorization code flow, with PKCE.

https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowAuth, RFC 7636, RFC 9700. The
provider's token is like any other: the Kubernetes API server verifies its signature.
"""

import base64
import re
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self

import httpx2
import orjson
import structlog
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client

from aichat_workspace.api.auth.signing import Signer
from aichat_workspace.api.settings import Oidc
from aichat_workspace.api.ttl_cache import TtlCache
from aichat_workspace.api.web import problems
from aichat_workspace.api.web.problems import ProblemError

CALLBACK: Final = "/api/v1/session/callback"
ATTEMPT_SECONDS: Final = 600
_ATTEMPT: Final = "sign-in"
_DISCOVERY: Final = "/.well-known/openid-configuration"
_DISCOVERY_TTL_SECONDS: Final = 3600.0
_TIMEOUT_SECONDS: Final = 10.0
# A second slash or a backslash would make it another host's; browsers drop tabs and line ends.
_LOCAL: Final = re.compile(r"/(?![/\\])[!-\[\]-~]*")
_log: Final = structlog.get_logger()


def is_local(path: str) -> bool:
    """Whether a browser that is sent there stays on this site."""
    return _LOCAL.fullmatch(path) is not None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sign-in under way, kept by its browser in a signed cookie."""

    state: str
    """Comes back from the provider with the browser."""
    nonce: str
    """Comes back in the token."""
    verifier: str
    """Goes to the provider's token endpoint (RFC 7636)."""
    next_path: str
    """Where the browser goes after signing in."""

    @classmethod
    def begin(cls, next_path: str) -> Self:
        """Create one from the operating system's randomness."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        return cls(state, nonce, verifier, next_path)

    def to_cookie(self, signer: Signer) -> str:
        """Return the signed cookie."""
        text = base64.urlsafe_b64encode(orjson.dumps(asdict(self)))
        return signer.sign(_ATTEMPT, text.decode())

    @classmethod
    def from_cookie(cls, signer: Signer, cookie: str) -> Self | None:
        """Return None if the attempt expired or was not issued by us."""
        signed = signer.verify(_ATTEMPT, cookie, ATTEMPT_SECONDS)
        return (
            None if signed is None else cls(**orjson.loads(base64.urlsafe_b64decode(signed.text)))
        )


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the provider signs people in."""

    authorization: str
    """The URL for browsers."""
    token: str
    """The URL that gives the token for a code."""


def endpoints(document: Any, issuer: str) -> Endpoints:
    """Read a discovery document. Raises ValueError for another issuer's, or one without TLS.

    https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfigurationValidation
    """
    if not isinstance(document, dict):
        raise ValueError("its discovery document is no JSON object")  # noqa: TRY004
    if str(document.get("issuer")).rstrip("/") != issuer:
        raise ValueError(f"its discovery document is of issuer {document.get('issuer')!r}")
    urls = [document.get(f"{name}_endpoint") for name in ("authorization", "token")]
    if not all(str(url).startswith("https://") for url in urls):
        raise ValueError("its discovery document names no https:// endpoints")
    return Endpoints(*map(str, urls))


def require_matching_claims(claims: Mapping[str, Any], attempt: Attempt, oidc: Oidc) -> None:
    """Raise ProblemError (401) for a token of another sign-in, client or issuer.

    The token's signature has been verified before.
    """
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience or []
    wrong = [
        what
        for what, right in (
            ("nonce", claims.get("nonce") == attempt.nonce),
            ("client", oidc.client_id in audiences),
            ("issuer", str(claims.get("iss")).rstrip("/") == oidc.issuer),
        )
        if not right
    ]
    if wrong:
        raise problems.unauthenticated(
            f"The identity provider's token is for another {' and '.join(wrong)}. Sign in again."
        )


@dataclass(frozen=True, slots=True)
class Provider:
    """The identity provider. Every method raises Problem: 401 when it says no to the person, 502
    when it does not do its part."""

    oidc: Oidc
    redirect_uri: str
    trust: ssl.SSLContext
    transport: httpx2.AsyncBaseTransport | None = None
    _discovered: TtlCache[str, Endpoints] = field(
        default_factory=lambda: TtlCache(_DISCOVERY_TTL_SECONDS, 1)
    )

    @classmethod
    def from_settings(cls, oidc: Oidc, public_url: str) -> Self:
        """Raises ValueError for a file of authorities that can't be read."""
        trust = ssl.create_default_context()
        try:
            if oidc.ca_file:
                trust.load_verify_locations(oidc.ca_file)
        except OSError as error:
            raise ValueError(f"OIDC_CA_FILE {oidc.ca_file!r} can't be read: {error}") from error
        return cls(oidc, f"{public_url}{CALLBACK}", trust)

    async def authorization_url(self, attempt: Attempt) -> str:
        """Where the browser goes to sign in."""
        endpoints = await self._endpoints()
        async with self._client() as client:
            url, _ = client.create_authorization_url(
                endpoints.authorization,
                state=attempt.state,
                nonce=attempt.nonce,
                code_verifier=attempt.verifier,
            )
        return str(url)

    async def id_token(self, code: str, attempt: Attempt) -> str:
        """Return the token for a code that the browser brought back. It is not verified yet."""
        endpoints = await self._endpoints()
        try:
            async with self._client() as client:
                response = await client.fetch_token(
                    endpoints.token,
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=attempt.verifier,
                )
        except OAuthError as error:
            raise self.refusal(str(error.error)) from None
        except (httpx2.HTTPError, ValueError) as error:
            raise self._no_answer(error) from None
        token = response.get("id_token")
        if not isinstance(token, str):
            raise self._failure("it gave no ID token; OIDC_SCOPE needs openid")
        return token

    def refusal(self, error: str) -> ProblemError:
        """Return the problem for an error code of the provider (RFC 6749 4.1.2.1 and 5.2)."""
        code = re.sub(r"[^\w.-]", "", error)[:64]
        if code in ("access_denied", "invalid_grant", "login_required", "consent_required"):
            _log.info("sign-in refused", error=code)
            return problems.unauthenticated(
                f"The identity provider says no: {code}. Begin again at /api/v1/session/login."
            )
        return self._failure(code)

    async def _endpoints(self) -> Endpoints:
        return await self._discovered.get("", self._discover)

    async def _discover(self) -> Endpoints:
        try:
            async with self._client() as client:
                url = f"{self.oidc.issuer}{_DISCOVERY}"
                response = await client.request("GET", url, withhold_token=True)
                response.raise_for_status()
                return endpoints(response.json(), self.oidc.issuer)
        except httpx2.HTTPError as error:
            raise self._no_answer(error) from None
        except ValueError as error:
            raise self._failure(str(error)) from None

    def _client(self) -> Any:
        return AsyncOAuth2Client(
            client_id=self.oidc.client_id,
            client_secret=self.oidc.client_secret,
            scope=self.oidc.scope,
            redirect_uri=self.redirect_uri,
            code_challenge_method="S256",
            verify=self.trust,
            transport=self.transport,
            timeout=_TIMEOUT_SECONDS,
        )

    def _no_answer(self, error: Exception) -> ProblemError:
        """Return the problem without the network error's text, which is only logged."""
        return self._failure("it does not answer as it should", f"{type(error).__name__}: {error}")

    def _failure(self, reason: str, logged: str = "") -> ProblemError:
        _log.error("the identity provider fails", issuer=self.oidc.issuer, error=logged or reason)
        return ProblemError(
            502,
            "identity-provider",
            f"The identity provider {self.oidc.issuer} does not do its part: {reason}. Try again; "
            "if it stays so, tell the platform team.",
        )
