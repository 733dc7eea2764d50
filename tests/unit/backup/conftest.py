"""What all tests of backups need."""

import pytest

from tests.backups import seal_cheaply


@pytest.fixture(autouse=True)
def cheap_seals(monkeypatch: pytest.MonkeyPatch) -> None:
    seal_cheaply(monkeypatch)
