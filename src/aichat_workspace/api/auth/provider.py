"""The identity provider: OpenID Connect's authorization code flow, with PKCE, and renewal.

https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowAuth, RFC 7636, RFC 9700. The
provider's token is like any other: the Kubernetes API server verifies its signature.
"""

import base64
import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, Self
from urllib.parse import quote_plus, urlencode

import httpx2
import structlog
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client

from aichat_workspace.api.auth import id_token, provider_metadata
from aichat_workspace.api.auth.attempt import Attempt
from aichat_workspace.api.auth.provider_metadata import ProviderMetadata
from aichat_workspace.api.settings import Oidc
from aichat_workspace.api.ttl_cache import TtlCache
from aichat_workspace.api.web.responses import problems
from aichat_workspace.api.web.responses.problems import ProblemError

CALLBACK: Final = "/api/v1/session/callback"
_DISCOVERY: Final = "/.well-known/openid-configuration"
_DISCOVERY_TTL_SECONDS: Final = 3600.0
_TIMEOUT_SECONDS: Final = 10.0
_MAX_HINT_BYTES: Final = 4_000  # a longer URL is refused by many servers
_REFUSALS: Final = frozenset(
    {"access_denied", "invalid_grant", "login_required", "consent_required"}
)
_log: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the provider gives for a code or a refresh token. It is not verified yet."""

    id_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    """None if it gives none."""


@dataclass(frozen=True, slots=True)
class Provider:
    """The identity provider. Every method raises ProblemError: 401 when it says no to the person,
    502 when it does not do its part; then a retry may help."""

    oidc: Oidc
    public_url: str
    """Where browsers reach the API."""
    trust: ssl.SSLContext
    transport: httpx2.AsyncBaseTransport | None = None
    _discovered: TtlCache[str, ProviderMetadata] = field(
        default_factory=lambda: TtlCache(_DISCOVERY_TTL_SECONDS, 1)
    )

    @classmethod
    def from_settings(cls, oidc: Oidc, public_url: str) -> Self:
        """Raises ValueError for a file of authorities that can't be read."""
        return cls(oidc, public_url, _trust(oidc.ca_file))

    async def authorization_url(self, attempt: Attempt) -> str:
        """Return where the browser goes to sign in."""
        metadata = await self._metadata()
        async with self._client(metadata) as client:
            url, _ = client.create_authorization_url(
                metadata.authorization,
                scope=metadata.scope(self.oidc.scope),
                state=attempt.state,
                nonce=attempt.nonce,
                code_verifier=attempt.verifier,
            )
        return str(url)

    async def tokens(self, code: str, attempt: Attempt) -> Tokens:
        """Return the tokens for a code that the browser brought back."""
        metadata = await self._metadata()
        return await self._ask_for_tokens(
            metadata,
            lambda client: client.fetch_token(
                metadata.token,
                grant_type="authorization_code",
                code=code,
                code_verifier=attempt.verifier,
            ),
        )

    async def renew(self, refresh_token: str) -> Tokens:
        """Return new tokens, with the same refresh token if the provider keeps it.

        https://openid.net/specs/openid-connect-core-1_0.html#RefreshTokens. The scope stays that of
        the sign-in, since none is sent.
        """
        metadata = await self._metadata()
        return await self._ask_for_tokens(
            metadata,
            lambda client: client.refresh_token(metadata.token, refresh_token=refresh_token),
        )

    async def revoke(self, refresh_token: str) -> None:
        """End the refresh token (RFC 7009), if the provider offers that."""
        metadata = await self._metadata()
        if metadata.revocation is None:
            return
        try:
            async with self._client(metadata) as client:
                response = await client.revoke_token(
                    metadata.revocation,
                    token=refresh_token,
                    token_type_hint="refresh_token",  # noqa: S106  (RFC 7009 2.1)
                )
                response.raise_for_status()
        except httpx2.HTTPError as error:
            raise self._no_answer(error) from None

    async def sign_out_url(self, token: str) -> str | None:
        """Return where the browser goes to sign out; None if the provider offers that nowhere, or
        the token is not its own.

        https://openid.net/specs/openid-connect-rpinitiated-1_0.html#RPLogout
        """
        end_session = (await self._metadata()).end_session
        if end_session is None or id_token.issuer(token) != self.oidc.issuer:
            return None
        query = {
            "client_id": self.oidc.client_id,
            "post_logout_redirect_uri": f"{self.public_url}/",
        }
        if len(token) <= _MAX_HINT_BYTES:
            query["id_token_hint"] = token
        return f"{end_session}{'&' if '?' in end_session else '?'}{urlencode(query)}"

    def refusal(self, error: str) -> ProblemError:
        """Return the problem for an error code of the provider (RFC 6749 4.1.2.1 and 5.2)."""
        code = re.sub(r"[^\w.-]", "", error)[:64]
        if code in _REFUSALS:
            _log.info("sign-in refused", error=code)
            return problems.unauthenticated(
                f"The identity provider says no: {code}. Begin again at /api/v1/session/login."
            )
        return self._failure(code)

    async def _ask_for_tokens(
        self, metadata: ProviderMetadata, ask: Callable[[Any], Awaitable[Any]]
    ) -> Tokens:
        try:
            async with self._client(metadata) as client:
                response = await ask(client)
        except OAuthError as error:
            raise self.refusal(str(error.error)) from None
        except (httpx2.HTTPError, ValueError) as error:
            raise self._no_answer(error) from None
        token, refresh_token = response.get("id_token"), response.get("refresh_token")
        if not isinstance(token, str):
            raise self._failure("it gave no ID token; OIDC_SCOPE needs openid")
        return Tokens(token, refresh_token if isinstance(refresh_token, str) else None)

    async def _metadata(self) -> ProviderMetadata:
        return await self._discovered.get("", self._discover)

    async def _discover(self) -> ProviderMetadata:
        try:
            async with httpx2.AsyncClient(
                verify=self.trust, transport=self.transport, timeout=_TIMEOUT_SECONDS
            ) as client:
                response = await client.get(f"{self.oidc.issuer}{_DISCOVERY}")
                response.raise_for_status()
                return provider_metadata.parse(response.json(), self.oidc.issuer)
        except httpx2.HTTPError as error:
            raise self._no_answer(error) from None
        except ValueError as error:
            raise self._failure(str(error)) from None

    def _client(self, metadata: ProviderMetadata) -> Any:
        try:
            auth_method = metadata.auth_method(self.oidc.client_secret)
        except ValueError as error:
            raise self._failure(str(error)) from None
        client = AsyncOAuth2Client(
            client_id=self.oidc.client_id,
            client_secret=self.oidc.client_secret,
            token_endpoint_auth_method=auth_method,
            revocation_endpoint_auth_method=auth_method,
            redirect_uri=f"{self.public_url}{CALLBACK}",
            code_challenge_method="S256",
            verify=self.trust,
            transport=self.transport,
            timeout=_TIMEOUT_SECONDS,
        )
        client.register_client_auth_method(("client_secret_basic", _encode_basic))
        return client

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


@cache
def _trust(ca_file: str | None) -> ssl.SSLContext:
    trust = ssl.create_default_context()
    try:
        if ca_file:
            trust.load_verify_locations(ca_file)
    except OSError as error:
        raise ValueError(f"OIDC_CA_FILE {ca_file!r} can't be read: {error}") from error
    return trust


def _encode_basic(
    client: Any, _: str, url: str, headers: dict[str, str], body: Any
) -> tuple[str, dict[str, str], Any]:
    """Authenticate the client by RFC 6749 2.3.1, which encodes both parts; Authlib does not."""
    parts = (quote_plus(part) for part in (client.client_id, client.client_secret))
    headers["Authorization"] = f"Basic {base64.b64encode(':'.join(parts).encode()).decode()}"
    return url, headers, body
