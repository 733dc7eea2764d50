"""Sign-ins that last: an ID token is renewed with a refresh token before it expires.

Providers may take each refresh token only once, so processes take turns at a file.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aichat_workspace.cli.errors import CliError, ExitCode
from aichat_workspace.cli.server.provider import Client, OAuthError, Tokens, open_provider
from aichat_workspace.cli.server.tokens import read_token, write_private
from aichat_workspace.foundation.tokens import claims, expiry

if TYPE_CHECKING:
    import ssl

_MARGIN_SECONDS: Final = 60.0
_GRANT: Final = "refresh_token"


@dataclass(frozen=True, slots=True)
class SignIn:
    """A stored sign-in: the token, and what renews it."""

    token_path: Path
    renewal_path: Path
    trust: "Callable[[], ssl.SSLContext]"
    """What verifies the provider's certificate."""

    def store(self, client: Client, tokens: Tokens) -> None:
        """Write what renews the token first: a rotated refresh token must not be lost."""
        if tokens.refresh_token:
            document = {
                "issuer": client.issuer,
                "clientId": client.client_id,
                "scope": client.scope,
                "refreshToken": tokens.refresh_token,
            }
            write_private(self.renewal_path, json.dumps(document))
        write_private(self.token_path, tokens.id_token)

    def token(self, token: str) -> str:
        """Return the token, or a new one where it ends soon. Raises CliError."""
        if not _ends_soon(token):
            return token
        with _turn(self.renewal_path):
            stored = read_token(self.token_path)
            if stored and not _ends_soon(stored):
                return stored  # another process has renewed it
            return self._renewed(stored or token)

    def end(self) -> None:
        """Forget the sign-in, and end it at the provider where that can (RFC 7009)."""
        import httpx2

        renewal = self._read()
        self.token_path.unlink(missing_ok=True)
        self.renewal_path.unlink(missing_ok=True)
        if renewal is None:
            return
        client, refresh_token = renewal
        with (
            suppress(CliError, OAuthError, httpx2.HTTPError),
            open_provider(client, self.trust()) as provider,
        ):
            if provider.endpoint("revocation"):
                provider.post("revocation", {"token": refresh_token, "token_type_hint": _GRANT})

    def _renewed(self, token: str) -> str:
        import httpx2

        renewal = self._read()
        if renewal is None:
            return token  # the API says what is wrong with it
        client, refresh_token = renewal
        try:
            with open_provider(client, self.trust()) as provider:
                form = {"grant_type": _GRANT, "refresh_token": refresh_token}
                try:
                    tokens = provider.tokens(form)
                except httpx2.TimeoutException:
                    raise provider.failure("it does not answer in time") from None
                if claims(tokens.id_token).get("sub") != claims(token).get("sub"):
                    raise provider.failure("it renewed the token of another person")
        except OAuthError as error:
            if error.code == "invalid_grant":
                self.renewal_path.unlink(missing_ok=True)
            raise _ended(error.code) from None
        except CliError:
            end = expiry(token)
            if end is not None and end > time.time():
                return token  # good for this time
            raise
        self.store(client, tokens)
        return tokens.id_token

    def _read(self) -> tuple[Client, str] | None:
        text = read_token(self.renewal_path)
        try:
            document = json.loads(text or "{}")
            return Client.from_document(document), str(document["refreshToken"])
        except (ValueError, KeyError, TypeError):
            return None


def _ends_soon(token: str) -> bool:
    end = expiry(token)
    return end is not None and end < time.time() + _MARGIN_SECONDS


def _ended(code: str) -> CliError:
    why = (f"the identity provider does not renew it: {code}",)
    return CliError("your sign-in has ended", why, "aichatctl login URL", ExitCode.FORBIDDEN)


@contextmanager
def _turn(path: Path) -> Iterator[None]:
    """Wait until no other process renews this sign-in."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
