"""The API against a real API server, with nothing but its own permissions."""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.integration.api.served import (
    Person,
    Served,
    api_account,
    clear_workspaces,
    grant,
    make_teams,
    person,
    serving,
)
from tests.integration.conftest import Cluster, Operator, control_plane, operators_access

_NO_BOUNDS = {
    "API_REQUESTS_PER_SECOND": "100000",
    "API_BURST": "100000",
    "API_STREAMS_PER_CALLER": "500",
    "API_CONCURRENT_REQUESTS": "500",
    "API_CONNECTIONS_PER_ADDRESS": "4000",
    "API_REVIEWS_PER_SECOND": "100000",
    "API_REVIEW_BURST": "100000",
    "API_ANONYMOUS_PER_SECOND": "100000",
    "API_ANONYMOUS_BURST": "100000",
}


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A control plane of its own: lists have no other test's objects."""
    with control_plane(f"integration-api-{os.getpid()}") as control:
        yield control


@pytest.fixture(scope="module")
def operator(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The log of one that runs from here to the end of the file: most tests here need none."""
    folder = tmp_path_factory.mktemp("operator")
    running = Operator(operators_access(cluster, folder), 0, folder / "log")
    running.start()
    yield running.log
    running.stop()


@pytest.fixture(scope="session")
def api_kubeconfig(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    make_teams(cluster)
    return api_account(cluster, tmp_path_factory.mktemp("api"))


@pytest.fixture(scope="module")
def api(
    cluster: Cluster, api_kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    with serving(api_kubeconfig, tmp_path_factory.mktemp("api"), **_NO_BOUNDS) as served:
        yield served
    clear_workspaces(cluster)


@pytest.fixture(scope="module")
def other_api(
    api: Served, api_kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """A second replica."""
    assert api.is_ready()
    with serving(api_kubeconfig, tmp_path_factory.mktemp("api"), **_NO_BOUNDS) as served:
        yield served


@pytest.fixture(scope="session")
def boss(cluster: Cluster, api_kubeconfig: Path) -> Person:
    assert api_kubeconfig.exists()
    return person(cluster, "boss", [grant("boss", "cluster-admin")])


@pytest.fixture
def calls(api: Served, boss: Person) -> Iterator[httpx2.Client]:
    """A client of the API whose caller may do everything."""
    with api.client(boss.token) as client:
        yield client
