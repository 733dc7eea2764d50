import pytest

from aichat_workspace.domain.claim import name_taken, namespace_refusal, winner
from tests.unit.domain.samples import namespace, workspace

OLD = workspace(metadata={"creationTimestamp": "2026-11-23T10:00:00Z", "uid": "z"})
NEW = workspace(metadata={"creationTimestamp": "2026-11-23T11:00:00Z", "uid": "a"})


def test_the_older_resource_wins_in_any_order() -> None:
    assert winner([OLD, NEW], None) is OLD
    assert winner([NEW, OLD], None) is OLD


def test_of_two_equally_old_ones_the_smaller_uid_wins() -> None:
    twin = workspace(metadata={"creationTimestamp": "2026-11-23T10:00:00Z", "uid": "b"})
    assert winner([OLD, twin], None) is twin


def test_whoever_has_the_namespace_keeps_it() -> None:
    owner = workspace()
    older = workspace(metadata={"creationTimestamp": "2020-01-01T00:00:00Z", "uid": "other"})
    assert winner([older, owner], namespace()) is owner


def test_the_other_is_told_who_has_the_name() -> None:
    assert f"{OLD.namespace}/{OLD.name}" in name_taken(NEW, OLD).message


def test_a_namespace_that_is_not_ours_is_refused_with_the_fix() -> None:
    refusal = namespace_refusal(workspace(), namespace(annotations={}))
    assert refusal is not None
    assert refusal.reason == "NamespaceTaken"
    assert "another workspaceName" in refusal.message


def test_our_namespace_and_a_free_name_are_accepted() -> None:
    assert namespace_refusal(workspace(), namespace()) is None
    assert namespace_refusal(workspace(), None) is None


@pytest.mark.parametrize(
    "name", ["kube-system", "kube-x", "default", "aichat-workspace-operator-system"]
)
def test_a_reserved_name_is_refused_even_if_the_namespace_claims_to_be_ours(name: str) -> None:
    refusal = namespace_refusal(workspace(name), namespace())
    assert refusal is not None
    assert refusal.reason == "NamespaceReserved"
