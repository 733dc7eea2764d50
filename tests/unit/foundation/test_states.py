"""The words of states cover every state of the resource."""

from aichat_workspace.domain.models.status import ModelState
from aichat_workspace.domain.v1alpha1.workspace_status import ConditionType, Phase
from aichat_workspace.foundation import states


def test_every_phase_and_every_state_of_a_model_has_a_word() -> None:
    assert states.PHASES.keys() == {str(phase) for phase in Phase}
    assert states.MODELS.keys() == {str(state) for state in ModelState}


def test_each_step_is_a_condition() -> None:
    assert states.STEPS.keys() <= {str(kind) for kind in ConditionType}


def test_a_newer_operators_states_are_shown_as_they_are() -> None:
    assert states.phase_state("Migrating") == states.State("Migrating", "idle")
    assert states.model_state("Verifying") == states.State("Verifying", "idle")
