"""Credentials sealed with a passphrase.

The seal also covers the manifest, and with it the checksums of all files: without the passphrase,
nobody can alter an archive and have it restored.
"""

import os
from collections.abc import Mapping
from typing import Annotated, Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from pydantic import Base64Bytes, Field, ValidationError

from aichat_workspace.backup.errors import BackupError, InvalidArchiveError, WrongPassphraseError
from aichat_workspace.backup.manifest import MANIFEST
from aichat_workspace.domain.v1alpha1.base import Schema, format_refusal

CREDENTIALS: Final = "credentials.sealed"
"""The sealed credentials' name in an archive. They are its last file."""
MIN_PASSPHRASE_LENGTH: Final = 12
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_SALT_BYTES: Final = 16
# 64 MiB of memory, twice: https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
_N, _R, _P = 2**16, 8, 2


class _Sealed(Schema):
    """The parameters are the archive's, so they are bounded: a reader spends memory on them."""

    n: Annotated[int, Field(ge=2**14, le=2**17)] = _N
    r: Annotated[int, Field(ge=8, le=8)] = _R
    p: Annotated[int, Field(ge=1, le=4)] = _P
    salt: Base64Bytes
    nonce: Annotated[Base64Bytes, Field(min_length=_NONCE_BYTES, max_length=_NONCE_BYTES)]
    ciphertext: Base64Bytes

    def cipher(self, passphrase: str) -> AESGCM:
        kdf = Scrypt(salt=self.salt, length=_KEY_BYTES, n=self.n, r=self.r, p=self.p)
        return AESGCM(kdf.derive(passphrase.encode()))


def check_passphrase(passphrase: str) -> str:
    """Raises BackupError for one that is too short to protect anything."""
    if len(passphrase) < MIN_PASSPHRASE_LENGTH:
        raise BackupError(
            f"the passphrase has {len(passphrase)} characters; use at least {MIN_PASSPHRASE_LENGTH}"
        )
    return passphrase


def seal(credentials: Mapping[str, str], passphrase: str, manifest: bytes) -> bytes:
    """Return the credentials encrypted (AES-256-GCM, key by scrypt), bound to the manifest."""
    salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
    empty = _Sealed.model_construct(n=_N, r=_R, p=_P, salt=salt, nonce=nonce, ciphertext=b"")
    plaintext = orjson.dumps(dict(credentials))
    ciphertext = empty.cipher(passphrase).encrypt(nonce, plaintext, manifest)
    return empty.model_copy(update={"ciphertext": ciphertext}).model_dump_json().encode()


def unseal(sealed: bytes, passphrase: str, manifest: bytes) -> dict[str, str]:
    """Return the credentials. Raises WrongPassphraseError for another passphrase or manifest, and
    InvalidArchiveError."""
    try:
        content = _Sealed.model_validate_json(sealed)
    except ValidationError as error:
        raise InvalidArchiveError(
            f"{CREDENTIALS} can't be read: {format_refusal(error)}. Restore another backup"
        ) from error
    try:
        plaintext = content.cipher(passphrase).decrypt(content.nonce, content.ciphertext, manifest)
    except InvalidTag as error:
        raise WrongPassphraseError(
            f"{CREDENTIALS} can't be opened: the passphrase is not the one of this backup, or "
            f"{MANIFEST} or {CREDENTIALS} was altered. Use the passphrase of that time, or restore "
            "another backup"
        ) from error
    return dict(orjson.loads(plaintext))
