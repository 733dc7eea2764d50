"""Jobs: whether one has ended, and whose it is."""

import pytest

from aichat_workspace.domain.kubernetes.job_ends import has_ended, is_controlled


@pytest.mark.parametrize(
    ("conditions", "ended"),
    [
        ([], False),
        ([{"type": "Suspended", "status": "True"}], False),
        ([{"type": "Complete", "status": "False"}], False),
        ([{"type": "Complete", "status": "True"}], True),
        ([{"type": "Failed", "status": "True"}], True),
    ],
)
def test_a_job_has_ended_by_its_terminal_conditions(
    conditions: list[dict[str, str]], ended: bool
) -> None:
    assert has_ended({"status": {"conditions": conditions}}) is ended
    assert has_ended({}) is False


def test_a_cron_jobs_job_has_a_controller() -> None:
    assert is_controlled({"metadata": {"ownerReferences": [{"controller": True}]}})
    assert not is_controlled({"metadata": {"ownerReferences": [{"kind": "Node"}]}})
    assert not is_controlled({"metadata": {}})
