import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.policy.ownership import (
    choose_claimant,
    host_taken,
    is_orphaned,
    may_take_over,
    name_taken,
    namespace_refusal,
)
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from tests.unit.domain.samples import namespace, workspace

PLATFORM = PlatformSpec()
OLD = workspace(metadata={"creationTimestamp": "2026-11-23T10:00:00Z", "uid": "z"})
NEW = workspace(metadata={"creationTimestamp": "2026-11-23T11:00:00Z", "uid": "a"})


def test_the_older_resource_wins_in_any_order() -> None:
    assert choose_claimant([OLD, NEW], None) is OLD
    assert choose_claimant([NEW, OLD], None) is OLD


def test_of_two_equally_old_ones_the_smaller_uid_wins() -> None:
    twin = workspace(metadata={"creationTimestamp": "2026-11-23T10:00:00Z", "uid": "b"})
    assert choose_claimant([OLD, twin], None) is twin


def test_the_owner_of_the_namespace_keeps_it() -> None:
    owner = workspace()
    older = workspace(metadata={"creationTimestamp": "2020-01-01T00:00:00Z", "uid": "other"})
    assert choose_claimant([older, owner], namespace()) is owner


def test_the_other_claimant_gets_the_winners_name() -> None:
    assert f"{OLD.namespace}/{OLD.name}" in name_taken(NEW, OLD).message


def test_a_namespace_that_is_not_ours_is_refused_with_the_fix() -> None:
    refusal = namespace_refusal(workspace(), namespace(annotations={}), PLATFORM)
    assert refusal is not None
    assert refusal.reason == "NamespaceTaken"
    assert "another workspaceName" in refusal.message


def test_our_namespace_and_a_free_name_are_accepted() -> None:
    assert namespace_refusal(workspace(), namespace(), PLATFORM) is None
    assert namespace_refusal(workspace(), None, PLATFORM) is None


@pytest.mark.parametrize(
    ("name", "whose"),
    [
        ("kube-system", "belongs to the cluster"),
        ("kube-x", "belongs to the cluster"),
        ("default", "belongs to the cluster"),
        ("aichat-smoke-tests", "belongs to the cluster"),
        ("aichat-workspace-operator-system", "belongs to the cluster"),
        ("workspaces", "kept for the API"),
    ],
)
def test_a_reserved_name_is_refused_even_if_the_namespace_claims_to_be_ours(
    name: str, whose: str
) -> None:
    refusal = namespace_refusal(workspace(name), namespace(), PLATFORM)
    assert refusal is not None
    assert refusal.reason == "NamespaceReserved"
    assert whose in refusal.message


PEERS = PlatformSpec.model_validate(
    {
        "ingress": {
            "controllerNamespaces": ["edge"],
            "gateway": {"name": "front", "namespace": "gateways"},
        },
        "proxy": {"url": "http://proxy:3128", "namespaces": ["squid"]},
        "network": {"dns": {"namespaces": ["names"]}},
    }
)


@pytest.mark.parametrize("name", ["edge", "gateways", "squid", "names", "istio-system"])
def test_a_name_that_network_policies_let_in_is_refused_but_to_the_workspace_that_has_it(
    name: str,
) -> None:
    former = namespace(
        annotations={names.OWNER_UID_ANNOTATION: "uid-0", names.ADOPT_ANNOTATION: "uid-a"}
    )
    for present in (None, former):
        refusal = namespace_refusal(workspace(name), present, PEERS)
        assert refusal is not None
        assert refusal.reason == "NamespaceReserved"
        assert f"namespace {name!r} is one of those that network policies" in refusal.message
    assert namespace_refusal(workspace(name), namespace(), PEERS) is None


RETAINED = namespace(
    uid="ns-9",
    annotations={
        names.OWNER_UID_ANNOTATION: "long-gone",
        names.OWNER_ANNOTATION: "team-finance/finance",
        names.RETAINED_ANNOTATION: "true",
    },
)


@pytest.mark.parametrize(
    ("team", "taken"),
    [("team-finance", True), (names.SYSTEM_NAMESPACE, True), ("team-evil", False)],
)
def test_a_retained_namespace_goes_to_the_team_that_left_it(team: str, taken: bool) -> None:
    heir = workspace(metadata={"namespace": team}, namespaceUID="ns-9")
    assert may_take_over(heir, RETAINED) is taken
    curious = namespace_refusal(workspace(metadata={"namespace": team}), RETAINED, PLATFORM)
    assert curious is not None
    assert ("ns-9" in curious.message) is taken, "its UID is not told to others"


RESTORED = namespace(
    uid="ns-9",
    annotations={
        names.OWNER_UID_ANNOTATION: "before-the-restore",
        names.OWNER_ANNOTATION: "team-finance/finance",
    },
)
GIVEN = {"annotations": {**RESTORED["metadata"]["annotations"], names.ADOPT_ANNOTATION: "uid-a"}}


def test_a_namespace_whose_resource_is_gone_says_how_the_platform_team_gives_it() -> None:
    refusal = namespace_refusal(workspace(), RESTORED, PLATFORM)
    assert refusal is not None
    assert refusal.reason == "NamespaceTaken"
    assert "made for an earlier AIChatWorkspace team-finance/finance" in refusal.message
    assert (
        "kubectl annotate namespace team-a-aichat apps.aichatworkspaces.io/adopt-for=uid-a "
        "--overwrite" in refusal.message
    )


def test_a_namespace_goes_to_the_resource_that_it_was_given_to_and_to_no_other() -> None:
    given = namespace(uid="ns-9", **GIVEN)
    assert may_take_over(workspace(), given)
    assert namespace_refusal(workspace(), given, PLATFORM) is None
    other = workspace(metadata={"uid": "uid-b"})
    assert not may_take_over(other, given)
    assert namespace_refusal(other, given, PLATFORM) is not None


def test_a_namespace_that_is_not_a_workspaces_can_not_be_given() -> None:
    foreign = namespace(annotations={names.ADOPT_ANNOTATION: "uid-a"})
    assert not may_take_over(workspace(), foreign)


@pytest.mark.parametrize(
    ("restored", "uids", "orphaned"),
    [
        (RESTORED, [], True),
        (RESTORED, ["another"], True),
        (RESTORED, ["another", "before-the-restore"], False),
        (RETAINED, [], False),
        (namespace(annotations={}), [], False),
        (namespace(deletionTimestamp="2026-11-23T11:58:00Z"), [], False),
    ],
)
def test_a_namespace_is_orphaned_when_its_resource_is_gone(
    restored: Manifest, uids: list[str], orphaned: bool
) -> None:
    assert is_orphaned(restored, uids) is orphaned


def test_a_host_stays_with_the_workspace_that_is_served_there() -> None:
    host = {"host": "our.chat.localtest.me"}
    served = workspace(ingress=host, status={"url": "https://our.chat.localtest.me"})
    older = workspace(
        "other",
        ingress=host,
        metadata={"creationTimestamp": "2020-01-01T00:00:00Z", "uid": "o"},
        status={"url": "https://other.localtest.me"},
    )
    assert host_taken(served, [older], PlatformSpec()) is None
    assert host_taken(older, [served], PlatformSpec()) is not None
