"""Which claims of ID tokens have to match."""

from typing import Final

from aichat_workspace.api.settings import Oidc
from aichat_workspace.api.web.responses import problems
from aichat_workspace.foundation.tokens import claims, is_for_client

# A renewed token is for the same person, client and issuer.
# https://openid.net/specs/openid-connect-core-1_0.html#RefreshTokenResponse
_SAME: Final = ("iss", "sub", "aud", "azp")


def issuer(token: str) -> str:
    """Return the issuer without a trailing slash; empty if the token names none."""
    return str(claims(token).get("iss") or "").rstrip("/")


def require_matching_claims(token: str, nonce: str, oidc: Oidc) -> None:
    """Raise ProblemError (401) for a token of another sign-in, client or issuer.

    https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation
    """
    values = claims(token)
    wrong = [
        what
        for what, is_right in (
            ("nonce", values.get("nonce") == nonce),
            ("client", is_for_client(values, oidc.client_id)),
            ("issuer", issuer(token) == oidc.issuer),
        )
        if not is_right
    ]
    if wrong:
        raise problems.unauthenticated(
            f"The identity provider's token is for another {' and '.join(wrong)}. Sign in again."
        )


def is_for_same_person(token: str, renewed: str) -> bool:
    """Return whether a renewed token is for the person, client and issuer of the first one."""
    before, after = claims(token), claims(renewed)
    return all(before.get(name) == after.get(name) for name in _SAME)
