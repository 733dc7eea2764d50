from typing import Any

import pytest

from aichat_workspace.domain.planning.volume_claims import can_grow, unmet
from aichat_workspace.domain.v1alpha1.workspace_spec import Volume

CLAIM: dict[str, Any] = {
    "metadata": {"name": "models"},
    "spec": {"resources": {"requests": {"storage": "20Gi"}}, "storageClassName": "fast"},
    "status": {"phase": "Bound"},
}
UNBOUND = {**CLAIM, "status": {"phase": "Pending"}}
CLASSLESS = {**CLAIM, "spec": {"resources": {"requests": {"storage": "20Gi"}}}}
GROWING = {"fast"}


def test_only_a_bound_claim_of_a_class_that_allows_it_can_grow() -> None:
    assert can_grow(CLAIM, GROWING)
    assert not can_grow(CLAIM, {"slow"})
    assert not can_grow(UNBOUND, GROWING)
    assert not can_grow(CLASSLESS, GROWING)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Volume(size="10Gi"), "keeps its 20Gi"),
        (Volume(storage_class_name="slow"), "keeps its StorageClass 'fast' instead of 'slow'"),
        (Volume(size="10Gi", storage_class_name="slow"), "slow'; name what it has"),
    ],
)
def test_a_volume_that_can_not_be_as_asked_is_told(wanted: Volume, said: str) -> None:
    problem = unmet(CLAIM, wanted, wanted.size, GROWING)
    assert problem is not None
    assert said in problem.message


@pytest.mark.parametrize(
    ("claim", "classes", "said"),
    [
        (CLAIM, set[str](), "StorageClass 'fast' does not let volumes grow"),
        (UNBOUND, GROWING, "not bound yet"),
        (CLASSLESS, GROWING, "no StorageClass"),
    ],
)
def test_a_volume_that_can_not_grow_is_told_with_the_reason(
    claim: dict[str, Any], classes: set[str], said: str
) -> None:
    problem = unmet(claim, Volume(), "30Gi", classes)
    assert problem is not None
    assert problem.reason == "VolumeKept"
    assert "its 20Gi instead of 30Gi" in problem.message
    assert said in problem.message


@pytest.mark.parametrize(
    ("wanted", "asked"),
    [
        (Volume(), "20Gi"),
        (Volume(), "10Gi"),
        (Volume(), None),
        (Volume(size="20Gi", storage_class_name="fast"), "20Gi"),
        (Volume(size="30Gi"), "30Gi"),
    ],
)
def test_a_volume_that_is_as_asked_or_grows_is_no_problem(
    wanted: Volume, asked: str | None
) -> None:
    """Nor one that is larger than what the platform would give a new workspace."""
    assert unmet(CLAIM, wanted, asked, GROWING) is None
    assert unmet(None, wanted, asked, GROWING) is None
