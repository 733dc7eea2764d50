"""The parts that all containers share."""

from aichat_workspace.domain.render.containers import env


def test_dollars_in_values_are_not_expanded_by_kubernetes() -> None:
    assert env(A="$(HOME)") == [{"name": "A", "value": "$$(HOME)"}]
