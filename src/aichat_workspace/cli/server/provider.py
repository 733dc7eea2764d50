"""The identity provider, as the command line needs it: what it offers, and its tokens.

OpenID Connect Discovery and Core, RFC 6749. The command line is a public client: it has no secret.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from aichat_workspace.cli.errors import CliError, ExitCode
from aichat_workspace.cli.render.lines import plain
from aichat_workspace.foundation.error_text import error_text
from aichat_workspace.foundation.tokens import claims, is_for_client

if TYPE_CHECKING:
    import ssl

    import httpx2

WHAT: Final = "you are not signed in"
_SECONDS: Final = 20.0
_OFFLINE: Final = "offline_access"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Client:
    """Who the command line is at the provider."""

    issuer: str
    client_id: str
    scope: str

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read what the API says. Raises CliError for an issuer without TLS."""
        client = cls(
            str(document["issuer"]).rstrip("/"), str(document["clientId"]), str(document["scope"])
        )
        if not client.issuer.startswith("https://"):
            raise CliError(WHAT, (f"{client.issuer} is no https:// address of a provider",))
        return client


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the provider gives. The API server verifies the ID token's signature."""

    id_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    """None if it gives none."""


class OAuthError(Exception):
    """The provider says no, with an error code (RFC 6749 5.2). A retry helps as the code says."""

    def __init__(self, code: str, description: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.description = description

    def as_cli_error(self) -> CliError:
        """Return what people read."""
        words = ": ".join(plain(text)[:200] for text in (self.code, self.description) if text)
        why = (f"the identity provider says no: {words}",)
        return CliError(WHAT, why, "aichatctl login --help", ExitCode.FORBIDDEN)


@dataclass(frozen=True, slots=True)
class Provider:
    """An identity provider. Methods raise CliError where it does not do its part."""

    http: "httpx2.Client"
    client: Client
    metadata: Mapping[str, Any]
    """Its discovery document."""

    def endpoint(self, name: str) -> str | None:
        """Return an endpoint's address; None for one that it does not offer, or without TLS."""
        url = self.metadata.get(f"{name}_endpoint")
        return url if isinstance(url, str) and url.startswith("https://") else None

    @property
    def scope(self) -> str:
        """The scope to ask for: with a refresh token, if one is offered."""
        offered, scope = self.metadata.get("scopes_supported"), self.client.scope
        is_offered = isinstance(offered, list) and _OFFLINE in offered
        return f"{scope} {_OFFLINE}" if is_offered and _OFFLINE not in scope.split() else scope

    def post(self, name: str, form: Mapping[str, str]) -> Json:
        """Send a form to an endpoint, with the client's id. Raises OAuthError where it says no."""
        import httpx2

        url = self.endpoint(name)
        if url is None:
            raise self.failure(f"it offers no {name}_endpoint")
        try:
            answer = self.http.post(url, data={"client_id": self.client.client_id, **form})
            document = answer.json() if answer.content else {}
        except httpx2.TimeoutException:
            raise
        except (httpx2.HTTPError, ValueError) as error:
            raise self.failure(error_text(error)) from None
        if isinstance(document, dict) and isinstance(document.get("error"), str):
            raise OAuthError(document["error"], str(document.get("error_description") or ""))
        if not answer.is_success or not isinstance(document, dict):
            raise self.failure(f"its {name}_endpoint answers {answer.status_code}")
        return document

    def tokens(self, form: Mapping[str, str], nonce: str | None = None) -> Tokens:
        """Return the tokens for a code or another grant. Raises OAuthError where it says no.

        They come from the provider over TLS, which is proof enough here (OpenID Connect Core
        3.1.3.7).
        """
        answer = self.post("token", form)
        token, refresh_token = answer.get("id_token"), answer.get("refresh_token")
        if not isinstance(token, str):
            raise self.failure("it gave no ID token")
        claimed = claims(token)
        if (
            str(claimed.get("iss")).rstrip("/") != self.client.issuer
            or not is_for_client(claimed, self.client.client_id)
            or (nonce is not None and claimed.get("nonce") != nonce)
        ):
            raise self.failure("it gave a token of another sign-in")
        return Tokens(token, refresh_token if isinstance(refresh_token, str) else None)

    def failure(self, reason: str) -> CliError:
        """Return the error for a provider that does not do its part."""
        why = (f"the identity provider {self.client.issuer} fails: {plain(reason)}",)
        return CliError(WHAT, why, "aichatctl login --token URL", ExitCode.UNREACHABLE)


@contextmanager
def open_provider(client: Client, trust: "ssl.SSLContext") -> Iterator[Provider]:
    """Read what a provider offers, and stay connected until the block ends. Raises CliError."""
    import httpx2

    address = f"{client.issuer}/.well-known/openid-configuration"
    with httpx2.Client(verify=trust, timeout=_SECONDS, trust_env=True) as http:
        unknown = Provider(http, client, {})
        try:
            answer = http.get(address)
            answer.raise_for_status()
            metadata = answer.json()
        except (httpx2.HTTPError, ValueError) as error:
            raise unknown.failure(error_text(error)) from None
        if (
            not isinstance(metadata, dict)
            or str(metadata.get("issuer")).rstrip("/") != client.issuer
        ):
            raise unknown.failure("its discovery document is of another issuer")
        yield Provider(http, client, metadata)
