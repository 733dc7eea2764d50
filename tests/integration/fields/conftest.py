"""A control plane and an operator of their own. Its controllers make no pods: each of some hundred
edits would replace them, and nothing here looks at pods."""

import os
from collections.abc import Iterator

import pytest

from localcluster.ports import free_port
from tests.integration.conftest import Cluster, Operator, control_plane, operators_access


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with control_plane(f"fields-{os.getpid()}", "--without-pods") as control:
        yield control


@pytest.fixture(scope="session")
def shared_operator(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    folder = tmp_path_factory.mktemp("operator")
    shared = Operator(operators_access(cluster, folder), free_port(), folder / "log")
    yield shared
    shared.stop()
