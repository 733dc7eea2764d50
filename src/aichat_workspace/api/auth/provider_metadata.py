"""What an identity provider says about itself in its discovery document.

https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

# Those that need no keys, in the order of preference.
_SECRET_METHODS: Final = ("client_secret_basic", "client_secret_post")
_OFFLINE: Final = "offline_access"


@dataclass(frozen=True, slots=True)
class ProviderMetadata:
    """A provider's endpoints and abilities."""

    authorization: str
    """The URL where browsers sign in."""
    token: str
    """The URL that gives tokens for a code or a refresh token."""
    revocation: str | None = None
    """The URL that revokes a refresh token (RFC 7009)."""
    end_session: str | None = None
    """The URL where browsers sign out."""
    scopes: tuple[str, ...] = ()
    """The scopes that it offers."""
    auth_methods: tuple[str, ...] = _SECRET_METHODS[:1]
    """How clients may authenticate themselves at the token endpoint."""

    def auth_method(self, client_secret: str | None) -> str:
        """Return how this client authenticates itself. Raises ValueError without a common way."""
        if client_secret is None:
            return "none"
        for method in _SECRET_METHODS:
            if method in self.auth_methods:
                return method
        raise ValueError(
            f"it takes a client's secret in no way that the API knows ({', '.join(_SECRET_METHODS)}"
            f"): its token_endpoint_auth_methods_supported are {', '.join(self.auth_methods)}"
        )

    def scope(self, scope: str) -> str:
        """Return the scope to ask for: with a refresh token, if one is offered.

        https://openid.net/specs/openid-connect-core-1_0.html#OfflineAccess
        """
        is_missing = _OFFLINE in self.scopes and _OFFLINE not in scope.split()
        return f"{scope} {_OFFLINE}" if is_missing else scope


def parse(document: Any, issuer: str) -> ProviderMetadata:
    """Read a discovery document. Raises ValueError for another issuer's, or one without TLS.

    https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfigurationValidation
    """
    if not isinstance(document, dict):
        raise ValueError("its discovery document is no JSON object")  # noqa: TRY004
    if str(document.get("issuer")).rstrip("/") != issuer:
        raise ValueError(f"its discovery document is of issuer {document.get('issuer')!r}")
    authorization, token, revocation, end_session = (
        _https(document.get(f"{name}_endpoint"))
        for name in ("authorization", "token", "revocation", "end_session")
    )
    if authorization is None or token is None:
        raise ValueError("its discovery document names no https:// endpoints")
    return ProviderMetadata(
        authorization,
        token,
        revocation,
        end_session,
        _texts(document.get("scopes_supported")),
        _texts(document.get("token_endpoint_auth_methods_supported")) or _SECRET_METHODS[:1],
    )


def _https(url: Any) -> str | None:
    return url if isinstance(url, str) and url.startswith("https://") else None


def _texts(values: Any) -> tuple[str, ...]:
    is_list = isinstance(values, Sequence) and not isinstance(values, str)
    return tuple(value for value in values if isinstance(value, str)) if is_list else ()
