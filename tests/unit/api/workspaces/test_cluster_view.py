"""What is known, whatever an earlier version has let through."""

from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from aichat_workspace.api.web.problems import ProblemError
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.kube.client import Client
from tests.unit.api.samples import resource


@pytest.fixture
def directory() -> ClusterView:
    return ClusterView(cast("Client", None), {})


def legacy(version: int, name: str = "old") -> dict[str, Any]:
    """Without a workspaceName, as no CRD of today lets it through."""
    found = resource(name, version=version)
    del found["spec"]["workspaceName"]
    return found


@pytest.mark.parametrize("spec", [None, {}, {"workspaceName": 7}])
def test_a_resource_without_a_workspace_name_is_told_of_once_and_hinders_no_other(
    directory: ClusterView, spec: Any
) -> None:
    store = directory.workspaces._store
    with capture_logs() as logs:
        store.reset([legacy(1) | {"spec": spec}, resource("new", version=2)], 2)
        store.put(legacy(3) | {"spec": spec})
    assert [each["resource"] for each in logs] == ["team/old"]
    assert len(directory) == 1
    assert directory.named("new") is not None
    store.remove(legacy(4))
    assert len(directory) == 1


def test_a_resource_is_a_workspace_from_its_workspace_name_on(directory: ClusterView) -> None:
    store = directory.workspaces._store
    with capture_logs() as logs:
        store.put(legacy(1))
        store.put(resource("old", version=2))
        assert directory.named("old") is not None
        store.put(legacy(3))
        assert directory.named("old") is None
    assert len(logs) == 2


def platform(version: int, **models: Any) -> dict[str, Any]:
    metadata = {"name": "default", "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": {"models": models}}


def test_settings_that_are_not_understood_leave_the_last_ones_as_in_the_operator(
    directory: ClusterView,
) -> None:
    cache = directory._platform
    cache._store.reset([platform(1, embeddingModel="first")], 1)
    cache._synced.set()
    with capture_logs() as logs:
        cache._store.put(platform(2, embeddingModel=7))
    assert directory.platform().models.embedding_model == "first"
    assert "spec.models.embeddingModel" in logs[0]["event"]
    cache._store.put(platform(3, embeddingModel="third"))
    assert directory.platform().models.embedding_model == "third"


def test_settings_that_never_were_understood_are_none(directory: ClusterView) -> None:
    """Defaults in their place would be told as if the platform team had chosen them."""
    with capture_logs():
        directory._platform._store.reset([platform(1, embeddingModel=7)], 1)
    directory._platform._synced.set()
    with pytest.raises(ProblemError) as caught:
        directory.platform()
    assert caught.value.status == 503
    assert "spec.models.embeddingModel" in caught.value.detail
    directory._platform._store.remove(platform(2))
    assert directory.platform().models.embedding_model == "nomic-embed-text"


def test_without_settings_the_defaults_hold(directory: ClusterView) -> None:
    assert directory.platform().models.embedding_model == "nomic-embed-text"
