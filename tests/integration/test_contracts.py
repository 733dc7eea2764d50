"""The real API server keeps what unit tests' fake keeps: tests/unit/fakes."""

from collections.abc import AsyncIterator

import pytest

from aichat_workspace.kube.client import Client
from tests.contracts.kubernetes import KubernetesContract
from tests.integration.conftest import Cluster


class TestRealKubernetes(KubernetesContract):
    @pytest.fixture
    async def client(self, cluster: Cluster) -> AsyncIterator[Client]:
        async with await Client.connect(str(cluster.kubeconfig), user_agent="tests") as client:
            yield client
