"""Who may give a role, and where."""

from typing import Any

import pytest

from aichat_workspace.api.schemas.teams import Role
from aichat_workspace.api.teams.roles import CLUSTER_ROLES, role_of, role_permissions
from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.domain import names
from tests.unit.api.teams.team_cluster import ANN, TEAM, TeamCluster, namespace, team_roles


async def test_a_role_is_given_by_who_may_bind_it() -> None:
    cluster = TeamCluster(allows=lambda review: review["verb"] == "bind")
    await team_roles(cluster).require_giving(ANN, Role.EDITOR, TEAM)
    (review,) = cluster.reviews
    assert review == {
        "group": "rbac.authorization.k8s.io",
        "version": "v1",
        "resource": "clusterroles",
        "verb": "bind",
        "namespace": TEAM,
        "name": "aichatworkspace-editor",
    }


async def test_a_role_is_given_by_who_has_all_that_it_allows_in_the_cluster_as_it_is() -> None:
    cluster = TeamCluster(allows=lambda review: review["verb"] != "bind")
    await team_roles(cluster).require_giving(ANN, Role.EDITOR, TEAM)
    requests = [
        (review["verb"], review["resource"], review.get("subresource"))
        for review in cluster.reviews[1:]
    ]
    assert requests == [
        ("get", "aichatworkspaces", "log"),
        ("get", "aichatworkspaces", None),
        ("patch", "aichatworkspaces", None),
    ]
    assert {review["namespace"] for review in cluster.reviews} == {TEAM}


async def test_a_role_is_not_given_by_who_lacks_a_part_of_it() -> None:
    cluster = TeamCluster(allows=lambda review: review["verb"] == "get")
    with pytest.raises(ProblemError) as raised:
        await team_roles(cluster).require_giving(ANN, Role.EDITOR, TEAM)
    assert raised.value.status == 403
    assert "the right to patch aichatworkspaces there" in raised.value.detail


async def test_a_role_that_was_widened_beyond_measure_is_given_only_by_who_may_bind_it() -> None:
    cluster = TeamCluster(allows=lambda review: review["verb"] != "bind")
    resources = [f"kind{number}" for number in range(65)]
    rule = {"apiGroups": [""], "resources": resources, "verbs": ["get"]}
    cluster.objects[("ClusterRole", "", CLUSTER_ROLES[Role.VIEWER])]["rules"] = [rule]
    with pytest.raises(ProblemError) as raised:
        await team_roles(cluster).require_giving(ANN, Role.VIEWER, TEAM)
    assert "bind aichatworkspace-viewer" in raised.value.detail
    assert len(cluster.reviews) == 1


async def test_a_missing_role_is_the_installations_fault() -> None:
    cluster = TeamCluster(allows=lambda review: review["verb"] != "bind")
    del cluster.objects[("ClusterRole", "", CLUSTER_ROLES[Role.VIEWER])]
    with pytest.raises(ProblemError) as raised:
        await team_roles(cluster).require_giving(ANN, Role.VIEWER, TEAM)
    assert (raised.value.status, raised.value.code) == (500, "misconfigured")


def test_a_wildcard_is_asked_for_as_such_and_a_name_as_a_name() -> None:
    rules: list[dict[str, Any]] = [
        {"apiGroups": ["*"], "resources": ["*/log"], "verbs": ["*"], "resourceNames": ["a", "b"]},
        {"nonResourceURLs": ["/metrics"], "verbs": ["get"]},
    ]
    requests = list(role_permissions(rules, TEAM))
    assert [request.name for request in requests] == ["a", "b"]
    assert {(request.verb, request.resource.group, request.what) for request in requests} == {
        ("*", "*", "*/log")
    }


@pytest.mark.parametrize(
    "not_a_team",
    [
        namespace(labels={names.TEAM_LABEL: "false"}),
        namespace(annotations={names.OWNER_UID_ANNOTATION: "of-a-workspace"}),
        namespace("kube-system"),
        namespace("openshift-monitoring"),
        namespace(names.SYSTEM_NAMESPACE),
        namespace("another"),
    ],
)
def test_members_are_written_only_in_teams_namespaces(not_a_team: dict[str, Any]) -> None:
    name = not_a_team["metadata"]["name"].replace("another", "no-such")
    with pytest.raises(ProblemError) as raised:
        team_roles(TeamCluster(), not_a_team).require_team(name)
    assert raised.value.status == 404
    team_roles(TeamCluster()).require_team(TEAM)


@pytest.mark.parametrize(
    ("kind", "name", "role"),
    [
        ("ClusterRole", "aichatworkspace-admin", Role.ADMIN),
        ("ClusterRole", "edit", Role.EDITOR),
        ("ClusterRole", "cluster-admin", Role.ADMIN),
        ("ClusterRole", "secret-reader", None),
        ("Role", "edit", None),
    ],
)
def test_a_role_is_told_in_our_words(kind: str, name: str, role: Role | None) -> None:
    assert role_of({"kind": kind, "name": name}) is role
