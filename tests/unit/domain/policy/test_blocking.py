from aichat_workspace.domain.policy.blocking import (
    blocked_kinds,
    blocks_host,
    blocks_models,
    spec_problem,
)
from aichat_workspace.domain.problem import Problem
from tests.unit.domain.samples import workspace


def problem(reason: str) -> Problem:
    return Problem(reason, "")


def test_nothing_is_held_back_while_nothing_is_wrong() -> None:
    assert blocked_kinds([]) == frozenset()
    assert not blocks_models([])


def test_several_problems_hold_back_what_each_of_them_does() -> None:
    both = blocked_kinds([problem("HostTaken"), problem("SecretTaken")])
    assert both == {"Deployment", "Ingress", "HTTPRoute", "Secret"}


def test_walls_stand_whatever_is_wrong() -> None:
    for reason in ("CeilingExceeded", "SecretNotFound", "SpecNotUnderstood", "HostNotAllowed"):
        assert not {"NetworkPolicy", "ServiceAccount", "Service"} & blocked_kinds([problem(reason)])


def test_no_model_is_loaded_or_removed_while_it_is_not_settled_which_there_are_to_be() -> None:
    assert blocks_models([problem("HostTaken"), problem("RegistryNotAllowed")])
    assert not blocks_models([problem("CeilingExceeded")])


def test_a_host_is_refused_when_it_is_not_allowed_or_anothers() -> None:
    for reason in ("HostNotAllowed", "HostTaken"):
        assert blocks_host([problem("CeilingExceeded"), problem(reason)])
    assert not blocks_host([problem("CeilingExceeded")])


def test_what_is_not_understood_is_told_with_its_field() -> None:
    found = spec_problem(workspace(scheduling={"nodeSelector": {"not a key": "x"}}))
    assert found.reason == "SpecNotUnderstood"
    assert "spec.scheduling.nodeSelector.not a key" in found.message
