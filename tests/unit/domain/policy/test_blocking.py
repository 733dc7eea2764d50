from aichat_workspace.domain.policy.blocking import (
    held_back,
    holds_models,
    not_understood,
    refuses_host,
)
from aichat_workspace.domain.problem import Diagnosis
from tests.unit.domain.samples import workspace


def problem(reason: str) -> Diagnosis:
    return Diagnosis(reason, "")


def test_nothing_is_held_back_while_nothing_is_wrong() -> None:
    assert held_back([]) == frozenset()
    assert not holds_models([])


def test_several_problems_hold_back_what_each_of_them_does() -> None:
    both = held_back([problem("HostTaken"), problem("SecretTaken")])
    assert both == {"Deployment", "Ingress", "HTTPRoute", "Secret"}


def test_walls_stand_whatever_is_wrong() -> None:
    for reason in ("CeilingExceeded", "SecretNotFound", "SpecNotUnderstood", "HostNotAllowed"):
        assert not {"NetworkPolicy", "ServiceAccount", "Service"} & held_back([problem(reason)])


def test_no_model_is_loaded_or_removed_while_it_is_not_settled_which_there_are_to_be() -> None:
    assert holds_models([problem("HostTaken"), problem("RegistryNotAllowed")])
    assert not holds_models([problem("CeilingExceeded")])


def test_a_host_is_refused_when_it_is_not_allowed_or_anothers() -> None:
    for reason in ("HostNotAllowed", "HostTaken"):
        assert refuses_host([problem("CeilingExceeded"), problem(reason)])
    assert not refuses_host([problem("CeilingExceeded")])


def test_what_is_not_understood_is_told_with_its_field() -> None:
    found = not_understood(workspace(scheduling={"nodeSelector": {"not a key": "x"}}))
    assert found.reason == "SpecNotUnderstood"
    assert "spec.scheduling.nodeSelector.not a key" in found.message
