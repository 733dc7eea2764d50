"""Encrypted values, and the key that all replicas share.

The operator creates the key as a Secret of the system namespace. The API reads it when first needed
and again after a minute, so it notices when the Secret was replaced.
"""

import base64
import hmac
import secrets
from dataclasses import dataclass, field
from typing import Final

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from aichat_workspace.api.ttl_cache import TtlCache
from aichat_workspace.api.web.responses import problems
from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import ForbiddenError, NotFoundError

_SECRET: Final = kinds.SECRET
_KEY_TTL_SECONDS: Final = 60.0
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12  # NIST SP 800-38D 8.2.2: random ones do for 2**32 values under one key
_log: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Cipher:
    """Encrypts values (AES-256-GCM), each for one purpose: for another it can't be decrypted.

    https://csrc.nist.gov/pubs/sp/800/38/d/final
    """

    key: bytes = field(repr=False)

    def encrypt(self, purpose: str, value: bytes) -> str:
        """Return the encrypted value as text for cookies and URLs."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        encrypted = self._aes(purpose).encrypt(nonce, value, None)
        return base64.urlsafe_b64encode(nonce + encrypted).decode().rstrip("=")

    def decrypt(self, purpose: str, text: str) -> bytes | None:
        """Return None for a text that was changed, or encrypted by another key or for another
        purpose."""
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            return self._aes(purpose).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], None)
        except (InvalidTag, ValueError):  # binascii.Error is a ValueError
            return None

    def mac(self, purpose: str, text: str) -> str:
        """Return the text's message authentication code (HMAC-SHA256)."""
        code = hmac.digest(self._key(purpose), text.encode(), "sha256")
        return base64.urlsafe_b64encode(code).decode()

    def _aes(self, purpose: str) -> AESGCM:
        return AESGCM(self._key(purpose))

    def _key(self, purpose: str) -> bytes:
        return HKDF(SHA256(), 32, salt=None, info=purpose.encode()).derive(self.key)


@dataclass(frozen=True, slots=True)
class Keys:
    """Reads the key from its Secret."""

    client: Client
    dev: bool
    """On a laptop: without the Secret, this process uses a key of its own."""
    _read: TtlCache[str, bytes] = field(default_factory=lambda: TtlCache(_KEY_TTL_SECONDS, 1))
    _own: bytes = field(default_factory=lambda: secrets.token_bytes(_KEY_BYTES), repr=False)

    async def cipher(self) -> Cipher:
        """Return the cipher. Raises ProblemError (503) without a key.

        Raises ApiError or UnreachableError without an answer.
        """
        return Cipher(await self._read.get(names.API_SESSION, self._key))

    async def _key(self) -> bytes:
        try:
            secret = await self.client.get(_SECRET, names.API_SESSION, names.SYSTEM_NAMESPACE)
        except (NotFoundError, ForbiddenError) as error:
            if self.dev:
                return self._own
            raise _no_key(_REASONS[type(error)]) from error
        key = base64.b64decode((secret.get("data") or {}).get(names.SESSION_KEY) or "")
        if len(key) < _KEY_BYTES:
            raise _no_key("holds no key. Delete it, and the operator makes it again")
        return key


_REASONS: Final[dict[type, str]] = {
    NotFoundError: "is missing. The operator makes it: see that it runs, then try again",
    ForbiddenError: "may not be read by the API's account. The platform team should apply "
    "config/default again",
}


def _no_key(reason: str) -> ProblemError:
    detail = (
        f"Secret {names.SYSTEM_NAMESPACE}/{names.API_SESSION}, which encrypts sessions, {reason}."
    )
    _log.error("no key for sessions", detail=detail)
    return problems.unavailable(f"{detail} Bearer tokens work meanwhile.", "no-session-key")
