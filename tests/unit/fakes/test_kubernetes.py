"""The fake API server keeps what the real one keeps: tests/integration/test_contracts.py."""

from typing import cast

import pytest

from aichat_workspace.kube.client import Client
from tests.contracts.kubernetes import KubernetesContract
from tests.fakes.kubernetes import FakeKubernetes


class TestFakeKubernetes(KubernetesContract):
    @pytest.fixture
    def client(self) -> Client:
        return cast("Client", FakeKubernetes())
