"""Who is listed, invited and removed."""

import copy
from dataclasses import replace
from typing import Any

import pytest

from aichat_workspace.api.schemas.teams import Role, SubjectKind
from aichat_workspace.api.teams.members import Members, Subject, binding_name
from aichat_workspace.api.teams.tokens import Tokens
from aichat_workspace.api.web.responses.problems import ProblemError
from tests.unit.api.teams.team_cluster import ANN, CREATED, TEAM, TeamCluster, team_roles

BOB = Subject(SubjectKind.USER, "oidc:bob")


@pytest.fixture
def cluster() -> TeamCluster:
    return TeamCluster()


@pytest.fixture
def members(cluster: TeamCluster) -> Members:
    return Members(team_roles(cluster))


def binding(name: str, role: str, *subjects: dict[str, Any], kind: str = "ClusterRole") -> Any:
    metadata = {"name": name, "namespace": TEAM, "uid": name, "creationTimestamp": CREATED}
    return {
        "metadata": metadata,
        "roleRef": {"kind": kind, "name": role},
        "subjects": list(subjects),
    }


async def invite(members: Members, subject: Subject = BOB, role: Role = Role.EDITOR) -> bool:
    _, is_new = await members.invite(ANN, TEAM, subject, role, dry_run=False)
    return is_new


async def roles_of(members: Members) -> list[tuple[str, str]]:
    return [(member["name"], member["role"]) for member in (await members.read(ANN, TEAM))["items"]]


async def test_an_invitation_is_one_labelled_binding_of_one_subject_to_one_role(
    cluster: TeamCluster, members: Members
) -> None:
    assert await invite(members)
    (written,) = cluster.of("RoleBinding")
    assert written["metadata"]["name"] == binding_name(BOB, Role.EDITOR)
    assert written["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "aichat-workspace-api",
        "app.kubernetes.io/component": "member",
    }
    assert written["roleRef"]["name"] == "aichatworkspace-editor"
    assert written["subjects"] == [
        {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "oidc:bob"}
    ]
    (member,) = (await members.read(ANN, TEAM))["items"]
    assert (member["invited"], member["invitedBy"], member["role"]) == (True, "ann", "editor")


async def test_a_repeated_invitation_changes_nothing(
    cluster: TeamCluster, members: Members
) -> None:
    assert await invite(members)
    before = cluster.of("RoleBinding")
    assert not await invite(members)
    assert cluster.of("RoleBinding") == before


async def test_another_role_replaces_the_one_that_was_given_here(
    cluster: TeamCluster, members: Members
) -> None:
    cluster.put("RoleBinding", binding("by-kubectl", "view", {"kind": "User", "name": "oidc:bob"}))
    assert await invite(members, role=Role.ADMIN)
    assert not await invite(members, role=Role.VIEWER)
    assert [role for _, role in await roles_of(members)] == ["viewer", "viewer"]
    assert "aichatworkspace-viewer" in str(cluster.of("RoleBinding"))
    assert "aichatworkspace-admin" not in str(cluster.of("RoleBinding"))


async def test_a_role_is_taken_only_by_who_may_delete_bindings(
    cluster: TeamCluster, members: Members
) -> None:
    await invite(members, role=Role.ADMIN)
    cluster.allows = lambda review: review["verb"] != "delete"
    with pytest.raises(ProblemError) as raised:
        await invite(members, role=Role.VIEWER)
    assert "may not delete rolebindings" in raised.value.detail
    assert await roles_of(members) == [("oidc:bob", "admin")]


@pytest.mark.parametrize(
    ("refused", "act"),
    [
        ("list", lambda members: members.read(ANN, TEAM)),
        ("create", invite),
        ("delete", lambda members: members.remove(ANN, TEAM, BOB, dry_run=False)),
    ],
)
async def test_kubernetes_decides_before_anything_is_read_or_written(
    cluster: TeamCluster, members: Members, refused: str, act: Any
) -> None:
    cluster.allows = lambda review: review["verb"] != refused
    with pytest.raises(ProblemError) as raised:
        await act(members)
    assert raised.value.status == 403
    assert f"ann may not {refused} rolebindings" in raised.value.detail
    assert not cluster.of("RoleBinding")


async def test_the_list_has_all_subjects_of_bindings_to_known_roles(
    cluster: TeamCluster, members: Members
) -> None:
    account = {"kind": "ServiceAccount", "name": "ci", "namespace": "other"}
    group = {"kind": "Group", "name": "red"}
    cluster.put("RoleBinding", binding("red", "edit", group, account))
    cluster.put("RoleBinding", binding("of-others", "secret-reader", group))
    cluster.put("RoleBinding", binding("of-a-role", "edit", group, kind="Role"))
    document = await members.read(ANN, TEAM)
    assert document["complete"]
    assert [
        (member["kind"], member["namespace"], member["invited"]) for member in document["items"]
    ] == [("Group", None, False), ("ServiceAccount", "other", False)]


@pytest.mark.parametrize(("bindings", "subjects"), [(1_001, 1), (1, 1_001)])
async def test_a_team_with_too_many_members_is_listed_in_part(
    cluster: TeamCluster, members: Members, bindings: int, subjects: int
) -> None:
    for number in range(bindings):
        people = [{"kind": "User", "name": f"x{index}"} for index in range(subjects)]
        cluster.put("RoleBinding", binding(f"b{number}", "view", *people))
    document = await members.read(ANN, TEAM)
    assert (len(document["items"]), document["complete"]) == (1_000, False)
    del cluster.objects[("RoleBinding", TEAM, "b0")]
    document = await members.read(ANN, TEAM)
    assert (len(document["items"]), document["complete"]) == (bindings - 1, True)


async def test_large_objects_are_read_a_few_at_a_time(
    cluster: TeamCluster, members: Members
) -> None:
    for number in range(41):
        cluster.put("RoleBinding", binding(f"b{number}", "view", {"kind": "User", "name": "x"}))
    await members.read(ANN, TEAM)
    assert cluster.pages == [20, 20, 1]


@pytest.mark.parametrize("kind", ["ServiceAccount", "RoleBinding"])
async def test_objects_that_are_too_large_to_read_end_a_list(
    cluster: TeamCluster, kind: str
) -> None:
    cluster.is_too_large = True
    roles = team_roles(cluster)
    if kind == "RoleBinding":
        document = await Members(roles).read(ANN, TEAM)
        assert (document["items"], document["complete"]) == ([], False)
    else:
        assert await Tokens(roles, "any").read(ANN, TEAM) == []


async def test_a_list_of_bindings_that_are_no_members_ends(
    cluster: TeamCluster, members: Members
) -> None:
    for number in range(1_021):
        cluster.put("RoleBinding", binding(f"b{number}", "unknown", {"kind": "User", "name": "x"}))
    document = await members.read(ANN, TEAM)
    assert (document["items"], document["complete"]) == ([], False)
    assert sum(cluster.pages) == 1_000


async def test_labels_alone_make_no_invitation(cluster: TeamCluster, members: Members) -> None:
    await invite(members)
    (written,) = cluster.of("RoleBinding")
    planted = copy.deepcopy(written)
    planted["metadata"]["name"] = "planted"
    cluster.put("RoleBinding", planted)
    items = (await members.read(ANN, TEAM))["items"]
    assert {item["roleBinding"]: item["invited"] for item in items} == {
        "planted": False,
        written["metadata"]["name"]: True,
    }


async def test_nothing_is_written_while_no_policy_confines_the_api(
    cluster: TeamCluster, members: Members
) -> None:
    cluster.is_confined = False
    for _ in range(2):
        with pytest.raises(ProblemError, match="config/admission") as raised:
            await invite(members)
        assert raised.value.status == 503
    assert not cluster.of("RoleBinding")
    assert cluster.probes == 1
    developers = replace(members.roles, is_own_account=False)
    assert await invite(Members(developers))


async def test_a_removed_member_has_no_role_that_was_given_here(members: Members) -> None:
    await invite(members)
    await invite(members, Subject(SubjectKind.GROUP, "oidc:bob"), Role.VIEWER)
    removed = await members.remove(ANN, TEAM, BOB, dry_run=False)
    assert (removed["kind"], removed["role"]) == ("User", "editor")
    assert await roles_of(members) == [("oidc:bob", "viewer")]


async def test_who_was_not_invited_here_is_not_removed_here(
    cluster: TeamCluster, members: Members
) -> None:
    cluster.put("RoleBinding", binding("by-kubectl", "edit", {"kind": "User", "name": "oidc:bob"}))
    with pytest.raises(ProblemError) as raised:
        await members.remove(ANN, TEAM, BOB, dry_run=False)
    assert (raised.value.status, raised.value.code) == (404, "member-not-found")
    assert cluster.of("RoleBinding")


@pytest.mark.parametrize("role", ["aichatworkspace-admin", "edit"])
async def test_a_binding_of_anothers_making_with_the_name_is_left_alone(
    cluster: TeamCluster, members: Members, role: str
) -> None:
    name = binding_name(BOB, Role.EDITOR)
    cluster.put("RoleBinding", binding(name, role, BOB.reference(TEAM)))
    with pytest.raises(ProblemError) as raised:
        await invite(members)
    assert raised.value.status == 409
    assert f"kubectl delete rolebinding {name} -n {TEAM}" in raised.value.detail


async def test_a_dry_run_changes_nothing(cluster: TeamCluster, members: Members) -> None:
    member, is_new = await members.invite(ANN, TEAM, BOB, Role.VIEWER, dry_run=True)
    assert (member["role"], is_new) == ("viewer", True)
    assert not cluster.of("RoleBinding")
    await invite(members)
    await members.remove(ANN, TEAM, BOB, dry_run=True)
    assert cluster.dry_runs == [binding_name(BOB, Role.VIEWER), binding_name(BOB, Role.EDITOR)]
    assert await roles_of(members) == [("oidc:bob", "editor")]


def test_a_service_account_is_one_of_the_team() -> None:
    account = Subject(SubjectKind.SERVICE_ACCOUNT, "ci").reference(TEAM)
    assert account == {"kind": "ServiceAccount", "name": "ci", "namespace": TEAM}


def test_no_two_subjects_share_a_binding_and_its_name_fits() -> None:
    names = {
        binding_name(Subject(kind, name), role)
        for kind in SubjectKind
        for name in ("a", "b", "User a", "x" * 256, "é")
        for role in Role
    }
    assert len(names) == 45
    assert max(map(len, names)) <= 63
