"""The fake reviews are those of the real API server: tests/integration/test_contracts.py."""

import pytest

from aichat_workspace.kube.client import Client
from tests.contracts.reviews import KnownToken, ReviewsContract
from tests.fakes.reviews import FakeReviews

ANN = {"username": "ann", "uid": "1"}


class TestFakeReviews(ReviewsContract):
    @pytest.fixture
    def client(self) -> Client:
        fake = FakeReviews(user=lambda token: ANN if token == "ann's" else None)
        fake.allows = lambda _: "system:masters" in fake.specs[-1]["groups"]
        return fake

    @pytest.fixture
    def token(self) -> KnownToken:
        return KnownToken("ann's", "ann")
