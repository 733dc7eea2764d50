"""The real API server keeps what unit tests' fakes keep: tests/unit/fakes."""

from collections.abc import AsyncIterator

import pytest

from aichat_workspace.kube.client import Client
from tests.contracts.kubernetes import KubernetesContract
from tests.contracts.reviews import AUDIENCE, KnownToken, ReviewsContract
from tests.integration.conftest import Cluster


class TestRealKubernetes(KubernetesContract):
    @pytest.fixture
    async def client(self, cluster: Cluster) -> AsyncIterator[Client]:
        async with await Client.connect(str(cluster.kubeconfig), user_agent="tests") as client:
            yield client


class TestRealReviews(ReviewsContract):
    @pytest.fixture
    async def client(self, cluster: Cluster) -> AsyncIterator[Client]:
        async with await Client.connect(str(cluster.kubeconfig), user_agent="tests") as client:
            yield client

    @pytest.fixture
    def token(self, cluster: Cluster) -> KnownToken:
        account = cluster.get("serviceaccount", "default", "-n", "default")["metadata"]["name"]
        text = cluster.kubectl("create", "token", account, "--audience", AUDIENCE).strip()
        return KnownToken(text, f"system:serviceaccount:default:{account}")
