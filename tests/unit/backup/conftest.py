"""What all tests of backups need."""

import pytest

from tests.backups import make_cheap


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    make_cheap(monkeypatch)
