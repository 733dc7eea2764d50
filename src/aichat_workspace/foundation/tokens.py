"""What a JSON Web Token says of itself (RFC 7519).

No signature is verified here: the Kubernetes API server does that.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any


def claims(token: str) -> Mapping[str, Any]:
    """Return the claims of a JSON Web Token; empty for another kind of token."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        payload = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return {}
    return payload if isinstance(payload, dict) else {}


def expiry(token: str) -> int | None:
    """Return when a token expires, in whole seconds since 1970; None where it does not say."""
    seconds = claims(token).get("exp")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    try:
        return int(seconds)
    except (OverflowError, ValueError):  # Infinity and NaN, which Python's JSON has
        return None


def is_for_client(values: Mapping[str, Any], client_id: str) -> bool:
    """Return whether a token with these claims was issued to this client.

    With several audiences `azp` says for which of them.
    https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation
    """
    audience = values.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience or []
    party = values.get("azp", client_id if len(audiences) == 1 else None)
    return client_id in audiences and party == client_id
