"""Credentials sealed with a passphrase."""

import json

import pytest

from aichat_workspace.backup.errors import (
    BackupError,
    InvalidArchiveError,
    WrongPassphraseError,
)
from aichat_workspace.backup.sealing import check_passphrase, seal, unseal
from tests.chat_data import CREDENTIALS

PASSPHRASE = "a passphrase of the team"
MANIFEST = b'{"files": []}'


def test_the_passphrase_opens_the_seal() -> None:
    assert unseal(seal(CREDENTIALS, PASSPHRASE, MANIFEST), PASSPHRASE, MANIFEST) == CREDENTIALS


def test_the_sealed_text_shows_none_of_them_and_is_another_each_time() -> None:
    sealed = seal(CREDENTIALS, PASSPHRASE, MANIFEST)
    assert not any(value.encode() in sealed for value in CREDENTIALS.values())
    assert seal(CREDENTIALS, PASSPHRASE, MANIFEST) != sealed


def test_another_passphrase_opens_nothing() -> None:
    sealed = seal(CREDENTIALS, PASSPHRASE, MANIFEST)
    with pytest.raises(WrongPassphraseError, match="the passphrase is not the one of this backup"):
        unseal(sealed, "another passphrase", MANIFEST)


def test_an_altered_manifest_breaks_the_seal() -> None:
    sealed = seal(CREDENTIALS, PASSPHRASE, MANIFEST)
    with pytest.raises(InvalidArchiveError, match=r"manifest\.json or credentials\.sealed"):
        unseal(sealed, PASSPHRASE, MANIFEST + b" ")


@pytest.mark.parametrize(("parameter", "value"), [("n", 2**30), ("r", 1000), ("p", 1000), ("n", 3)])
def test_a_seal_can_not_take_all_memory(parameter: str, value: int) -> None:
    sealed = {**json.loads(seal(CREDENTIALS, PASSPHRASE, MANIFEST)), parameter: value}
    with pytest.raises(InvalidArchiveError, match=f"can't be read: {parameter}"):
        unseal(json.dumps(sealed).encode(), PASSPHRASE, MANIFEST)


def test_a_short_passphrase_is_refused() -> None:
    with pytest.raises(BackupError, match="has 5 characters; use at least 12"):
        check_passphrase("short")
    assert check_passphrase(PASSPHRASE) == PASSPHRASE
