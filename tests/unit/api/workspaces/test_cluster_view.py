"""The cluster view, also of resources that an earlier version accepted."""

from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.domain import names
from aichat_workspace.kube.client import Client
from tests.fakes.listing import take_list
from tests.unit.api.samples import resource


@pytest.fixture
def cluster() -> ClusterView:
    return ClusterView(cast("Client", None), {})


def legacy(version: int, name: str = "old") -> dict[str, Any]:
    """Return a resource without a workspaceName, which the present CRD rejects."""
    obj = resource(name, version=version)
    del obj["spec"]["workspaceName"]
    return obj


@pytest.mark.parametrize("spec", [None, {}, {"workspaceName": 7}])
def test_a_resource_without_a_workspace_name_is_logged_once_and_ignored(
    cluster: ClusterView, spec: Any
) -> None:
    store = cluster.workspaces._store
    with capture_logs() as logs:
        take_list(store, [legacy(1) | {"spec": spec}, resource("new", version=2)], 2)
        store.put(legacy(3) | {"spec": spec})
    assert [line["resource"] for line in logs] == ["team/old"]
    assert len(cluster) == 1
    assert cluster.claimants("new")
    store.remove(legacy(4))
    assert len(cluster) == 1


def test_a_resource_is_a_workspace_while_it_has_a_workspace_name(cluster: ClusterView) -> None:
    store = cluster.workspaces._store
    with capture_logs() as logs:
        store.put(legacy(1))
        store.put(resource("old", version=2))
        assert cluster.claimants("old")
        store.put(legacy(3))
        assert not cluster.claimants("old")
    assert len(logs) == 2


def test_a_teams_workspaces_are_those_that_are_there(cluster: ClusterView) -> None:
    store = cluster.workspaces._store
    for version, (name, team) in enumerate((("a", "red"), ("b", "red"), ("c", "blue")), start=1):
        store.put(resource(name, team=team, version=version))
    store.put(resource("a", team="red", version=4, spec={"models": ["m"]}))
    assert sorted(view.name for view in cluster.of_team("red")) == ["a", "b"]
    for name in ("a", "b"):
        store.remove(resource(name, team="red", version=5))
    assert cluster.of_team("red") == []
    assert cluster.teams_with_workspaces() == {"blue"}


def platform(version: int, **models: Any) -> dict[str, Any]:
    metadata = {"name": "default", "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": {"models": models}}


def test_invalid_settings_leave_the_last_valid_ones(
    cluster: ClusterView,
) -> None:
    cache = cluster._platform
    take_list(cache._store, [platform(1, embeddingModel="first")], 1)
    cache._synced.set()
    with capture_logs() as logs:
        cache._store.put(platform(2, embeddingModel=7))
    assert cluster.platform().models.embedding_model == "first"
    assert "spec.models.embeddingModel" in logs[0]["event"]
    cache._store.put(platform(3, embeddingModel="third"))
    assert cluster.platform().models.embedding_model == "third"


def test_settings_that_were_never_valid_are_503(cluster: ClusterView) -> None:
    """Defaults in their place would look as if the platform team had chosen them."""
    with capture_logs():
        take_list(cluster._platform._store, [platform(1, embeddingModel=7)], 1)
    cluster._platform._synced.set()
    with pytest.raises(ProblemError) as caught:
        cluster.platform()
    assert caught.value.status == 503
    assert "spec.models.embeddingModel" in caught.value.detail
    cluster._platform._store.put(platform(2))
    assert cluster.platform().models.embedding_model == "nomic-embed-text"


def test_a_deleted_platform_keeps_its_settings(cluster: ClusterView) -> None:
    cluster._platform._store.put(platform(1, embeddingModel="ours"))
    cluster._platform._store.remove(platform(2))
    assert cluster.platform().models.embedding_model == "ours"


def test_the_operators_record_is_in_force_without_a_platform(cluster: ClusterView) -> None:
    metadata = {
        "name": names.SETTINGS_RECORD,
        "namespace": names.SYSTEM_NAMESPACE,
        "resourceVersion": "1",
    }
    data = {"spec": '{"models": {"embeddingModel": "ours"}}'}
    cluster._records._store.put({"metadata": metadata, "data": data})
    assert cluster.platform().models.embedding_model == "ours"


def test_without_a_platform_the_settings_are_the_defaults(cluster: ClusterView) -> None:
    assert cluster.platform().models.embedding_model == "nomic-embed-text"


def test_the_teams_follow_namespaces_and_workspaces_and_are_one_set_meanwhile(
    cluster: ClusterView,
) -> None:
    assert cluster.all_teams() == {names.SYSTEM_NAMESPACE}
    label = {names.TEAM_LABEL: "true"}
    namespace = {"metadata": {"name": "marked", "resourceVersion": "1", "labels": label}}
    cluster._namespaces._store.put(namespace)
    assert cluster.all_teams() == {names.SYSTEM_NAMESPACE, "marked"}
    workspace = resource("chat", team="other")
    cluster.workspaces._store.put(workspace)
    assert cluster.teams_with_workspaces() == {"other"}
    assert cluster.all_teams() == {names.SYSTEM_NAMESPACE, "marked", "other"}
    assert cluster.all_teams() is cluster.all_teams()
    cluster.workspaces._store.remove(workspace)
    cluster._namespaces._store.remove(namespace)
    assert cluster.teams_with_workspaces() == set()
    assert cluster.all_teams() == {names.SYSTEM_NAMESPACE}
