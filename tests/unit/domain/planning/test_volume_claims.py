from typing import Any

import pytest

from aichat_workspace.domain.planning.volume_claims import can_grow, unmet
from aichat_workspace.domain.v1alpha1.sizes import Volume

CLAIM: dict[str, Any] = {
    "metadata": {"name": "models"},
    "spec": {"resources": {"requests": {"storage": "20Gi"}}, "storageClassName": "fast"},
    "status": {"phase": "Bound"},
}
UNBOUND = {**CLAIM, "status": {"phase": "Pending"}}
CLASSLESS = {**CLAIM, "spec": {"resources": {"requests": {"storage": "20Gi"}}}}
EXPANDABLE = {"fast"}


def test_only_a_bound_claim_of_an_expandable_class_can_grow() -> None:
    assert can_grow(CLAIM, EXPANDABLE)
    assert not can_grow(CLAIM, {"slow"})
    assert not can_grow(UNBOUND, EXPANDABLE)
    assert not can_grow(CLASSLESS, EXPANDABLE)


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        (Volume(size="10Gi"), "keeps its 20Gi"),
        (Volume(storage_class_name="slow"), "keeps its StorageClass 'fast' instead of 'slow'"),
        (Volume(size="10Gi", storage_class_name="slow"), "slow'; name what it has"),
    ],
)
def test_a_smaller_size_or_another_class_is_a_problem(volume: Volume, message: str) -> None:
    problem = unmet(CLAIM, volume, volume.size, EXPANDABLE)
    assert problem is not None
    assert message in problem.message


@pytest.mark.parametrize(
    ("claim", "classes", "message"),
    [
        (CLAIM, set[str](), "StorageClass 'fast' does not let volumes grow"),
        (UNBOUND, EXPANDABLE, "not bound yet"),
        (CLASSLESS, EXPANDABLE, "no StorageClass"),
    ],
)
def test_a_larger_size_of_a_claim_that_can_not_grow_is_a_problem_with_its_cause(
    claim: dict[str, Any], classes: set[str], message: str
) -> None:
    problem = unmet(claim, Volume(), "30Gi", classes)
    assert problem is not None
    assert problem.reason == "VolumeKept"
    assert "its 20Gi instead of 30Gi" in problem.message
    assert message in problem.message


@pytest.mark.parametrize(
    ("volume", "requested_size"),
    [
        (Volume(), "20Gi"),
        (Volume(), "10Gi"),
        (Volume(), None),
        (Volume(size="20Gi", storage_class_name="fast"), "20Gi"),
        (Volume(size="30Gi"), "30Gi"),
    ],
)
def test_a_volume_that_is_as_asked_or_can_grow_is_no_problem(
    volume: Volume, requested_size: str | None
) -> None:
    """Nor one that is larger than the platform's size for new workspaces."""
    assert unmet(CLAIM, volume, requested_size, EXPANDABLE) is None
    assert unmet(None, volume, requested_size, EXPANDABLE) is None
