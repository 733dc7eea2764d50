"""Sign in by another device: a code that a person enters in any browser (RFC 8628)."""

import time
from collections.abc import Callable
from typing import Any, Final

from aichat_workspace.cli.errors import CliError, ExitCode
from aichat_workspace.cli.server.provider import WHAT, OAuthError, Provider, Tokens

_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_INTERVAL_SECONDS: Final = 5.0  # RFC 8628 3.2 and 3.5
_MAX_SECONDS: Final = 1_800.0
Show = Callable[[str, str, str | None], None]
"""Shows an address, the code to enter there, and an address that has the code already."""


def sign_in(
    provider: Provider,
    show: Show,
    *,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> Tokens:
    """Let a person sign in elsewhere, and wait for them. Raises CliError."""
    import httpx2

    try:
        grant = provider.post("device_authorization", {"scope": provider.scope})
    except (OAuthError, httpx2.TimeoutException) as error:
        raise _as_cli_error(provider, error) from None
    address, code = grant.get("verification_uri"), grant.get("user_code")
    if not (isinstance(address, str) and address.startswith("https://") and code):
        raise provider.failure("it names no https:// address to enter a code at")
    complete = grant.get("verification_uri_complete")
    is_safe = isinstance(complete, str) and complete.startswith("https://")
    show(address, str(code), complete if is_safe else None)
    interval = _number(grant.get("interval"), _INTERVAL_SECONDS)
    deadline = now() + min(_number(grant.get("expires_in"), _MAX_SECONDS), _MAX_SECONDS)
    form = {"grant_type": _GRANT, "device_code": str(grant.get("device_code"))}
    while True:
        sleep(interval)
        if now() >= deadline:
            raise _expired()
        try:
            return provider.tokens(form)
        except httpx2.TimeoutException:
            interval *= 2  # as RFC 8628 3.5 asks for
        except OAuthError as error:
            if error.code == "slow_down":
                interval += _INTERVAL_SECONDS
            elif error.code != "authorization_pending":
                raise _as_cli_error(provider, error) from None


def _number(value: Any, default: float) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
    return float(value) if is_number else default


def _as_cli_error(provider: Provider, error: Exception) -> CliError:
    if not isinstance(error, OAuthError):
        return provider.failure("it does not answer in time")
    return _expired() if error.code == "expired_token" else error.as_cli_error()


def _expired() -> CliError:
    why = ("nobody has entered the code in time",)
    return CliError(WHAT, why, "aichatctl login --device URL", ExitCode.TIMED_OUT)
