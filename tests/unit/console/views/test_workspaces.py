import pytest

from aichat_workspace.console.settings_form import PATHS
from aichat_workspace.console.views import rows, workspaces
from aichat_workspace.domain.models.status import ModelState
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.foundation.states import MODELS, State
from tests.unit.console.views.documents import DOING_WELL, NOW, condition, document


@pytest.mark.parametrize("kind", ModelState)
def test_every_state_of_a_model_has_a_word(kind: ModelState) -> None:
    sample = document(status={"phase": "Ready", "models": [{"name": "m", "state": kind}]})
    (model,) = workspaces.workspace(sample, DOING_WELL, NOW).models
    assert model.state.word == MODELS[kind].word


def test_a_phase_and_a_models_state_of_a_newer_operator_are_shown_as_they_are() -> None:
    models = [{"name": "m", "state": "Thawing"}]
    sample = document(status={"phase": "Waking", "models": models})
    view = workspaces.workspace(sample, DOING_WELL, NOW)
    assert view.row.state == State("Waking", "idle")
    assert view.models[0].state == State("Thawing", "idle")


def test_a_workspace_that_is_being_deleted_says_so_whatever_its_phase() -> None:
    sample = {**document(status={"phase": "Ready"}), "deleting": True}
    assert rows.state(sample).word == "Deleting"
    assert not workspaces.workspace(sample, DOING_WELL, NOW).can_prompt


def test_steps_of_the_bring_up_have_seconds_and_later_changes_an_age() -> None:
    conditions = [
        condition("Provisioned", "True", "2026-01-01T00:00:04Z"),
        condition("OllamaAvailable", "False", "2026-01-01T00:50:00Z"),
    ]
    sample = document(status={"phase": "Provisioning", "conditions": conditions})
    steps = workspaces.workspace(sample, DOING_WELL, NOW).steps
    assert [step.note for step in steps] == ["4 s", "for 10 min", "", "", ""]
    assert [step.state.tone for step in steps[:3]] == ["good", "working", "idle"]


def test_a_problem_that_a_condition_repeats_is_shown_once_and_not_as_the_summary() -> None:
    common = {
        "message": "no room",
        "severity": "Error",
        "code": "AI0001",
        "reason": "ModelTooLarge",
    }
    problem = {**common, "condition": "ModelsReady", "advice": ""}
    exact = {**common, "condition": "model m", "advice": "Raise it."}
    diagnosis = {"summary": "no room", "findings": (problem, exact)}
    view = workspaces.workspace(document(status={"phase": "Degraded"}), diagnosis, NOW)
    assert view.findings == (
        workspaces.Finding(
            "Model m",
            "no room",
            "Raise it.",
            "trouble",
            "AI0001",
            "storage.ollama.size",
            is_raised=True,
        ),
    )
    assert view.summary == ""


@pytest.mark.parametrize(
    ("reason", "tone"),
    [
        ("ModelsVolumeFull", "trouble"),
        ("Starting", "working"),
        ("Suspended", "idle"),
        ("FromANewerOperator", "trouble"),
    ],
)
def test_a_step_is_as_red_as_its_reason(reason: str, tone: str) -> None:
    models = condition("ModelsReady", "False", "2026-01-01T00:00:00Z", reason=reason)
    view = workspaces.workspace(document(status={"conditions": [models]}), DOING_WELL, NOW)
    assert [step.state.tone for step in view.steps if step.title == "Models"] == [tone]


@pytest.mark.parametrize(
    ("severity", "tone"), [("Error", "trouble"), ("Warning", "working"), ("Waiting", "working")]
)
def test_only_what_a_person_has_to_mend_is_red(severity: str, tone: str) -> None:
    parts = {"condition": "Ready", "message": "m", "advice": "", "code": "", "reason": "Starting"}
    (finding,) = workspaces.findings([{**parts, "severity": severity}])
    assert finding.tone == tone


def test_the_more_urgent_of_two_with_the_same_message_is_shown() -> None:
    parts = {"message": "m", "advice": "", "code": "", "reason": "Starting"}
    urgent = {**parts, "condition": "Ready", "severity": "Error"}
    mild = {**parts, "condition": "model m", "severity": "Waiting"}
    assert [finding.tone for finding in workspaces.findings([urgent, mild])] == ["trouble"]


def test_a_prompt_can_be_sent_once_a_model_is_ready_and_nothing_is_suspended() -> None:
    models = {"models": [{"name": "m", "state": "Ready"}]}
    running = document(status={"phase": "Ready", **models})
    suspended = document(spec={"suspended": True}, status={"phase": "Suspended", **models})
    waiting = document(status={"phase": "PullingModels", "models": []})
    views_of = [
        workspaces.workspace(one_of, DOING_WELL, NOW) for one_of in (running, suspended, waiting)
    ]
    assert [view.can_prompt for view in views_of] == [True, False, False]
    assert views_of[0].prompt_models == ("m",)


def test_a_field_that_mends_a_problem_is_one_of_the_settings_form() -> None:
    for reason in Reason:
        finding = {
            "condition": "ModelsReady",
            "reason": reason,
            "code": reason.code,
            "severity": reason.severity,
            "message": "",
            "advice": reason.fix,
        }
        (view,) = workspaces.findings([finding])
        assert view.field in {"", *PATHS}
        assert view.field or not view.is_raised
