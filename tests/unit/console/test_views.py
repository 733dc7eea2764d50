from datetime import UTC, datetime
from typing import Any

import pytest

from aichat_workspace.console import views
from aichat_workspace.console.texts import TEXTS
from aichat_workspace.domain.models.status import ModelState
from aichat_workspace.domain.v1alpha1.workspace_status import Phase
from tests.unit.api.samples import sample_view

NOW = datetime(2026, 1, 1, 1, tzinfo=UTC)
DOING_WELL = {"summary": "People can chat.", "findings": ()}


def document(**parts: Any) -> Any:
    return sample_view(**parts).document


def condition(kind: str, status: str, time: str, message: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "lastTransitionTime": time, "message": message}


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_has_a_word_and_a_tone(phase: Phase) -> None:
    state = views.state(document(status={"phase": phase}))
    assert state.word == TEXTS[phase]
    assert state.tone in {"good", "working", "trouble", "idle"}


@pytest.mark.parametrize("kind", ModelState)
def test_every_state_of_a_model_has_a_word(kind: ModelState) -> None:
    sample = document(status={"phase": "Ready", "models": [{"name": "m", "state": kind}]})
    (model,) = views.workspace(sample, DOING_WELL, NOW).models
    assert model.state.word == TEXTS[f"model_{kind}"]


def test_a_phase_and_a_models_state_of_a_newer_operator_are_shown_as_they_are() -> None:
    models = [{"name": "m", "state": "Thawing"}]
    sample = document(status={"phase": "Waking", "models": models})
    view = views.workspace(sample, DOING_WELL, NOW)
    assert view.row.state == views.State("Waking", "idle")
    assert view.models[0].state == views.State("Thawing", "idle")


def test_a_workspace_that_is_being_deleted_says_so_whatever_its_phase() -> None:
    sample = {**document(status={"phase": "Ready"}), "deleting": True}
    assert views.state(sample).word == TEXTS["Terminating"]
    assert not views.workspace(sample, DOING_WELL, NOW).can_prompt


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://a.example.org", "https://a.example.org"),
        ("http://a.example.org", "http://a.example.org"),
        ("javascript:alert(1)", None),
        ("//elsewhere.example.org", None),
        (None, None),
    ],
)
def test_only_an_address_of_the_web_becomes_a_link(url: str | None, safe: str | None) -> None:
    assert views.row(document(status={"phase": "Ready", "url": url}), NOW).url == safe


def test_a_download_is_told_with_size_speed_and_time_left() -> None:
    model = {
        "name": "m",
        "state": "Pulling",
        "percent": 50,
        "completedBytes": 2**30,
        "totalBytes": 2**31,
        "bytesPerSecond": 2**20,
        "etaSeconds": 1024,
    }
    row = views.row(document(status={"phase": "PullingModels", "models": [model]}), NOW)
    assert row.percent == 50
    assert row.note == "50 % · 1.0 GiB of 2.0 GiB · 1.0 MiB/s · about 17 min"


def test_a_download_that_has_only_begun_promises_nothing() -> None:
    model = {"name": "m", "state": "Pulling"}
    row = views.row(document(status={"phase": "PullingModels", "models": [model]}), NOW)
    assert (row.percent, row.note) == (0, "0 %")


def test_steps_of_the_bring_up_have_seconds_and_later_changes_an_age() -> None:
    conditions = [
        condition("Provisioned", "True", "2026-01-01T00:00:04Z"),
        condition("OllamaAvailable", "False", "2026-01-01T00:50:00Z"),
    ]
    sample = document(status={"phase": "Provisioning", "conditions": conditions})
    steps = views.workspace(sample, DOING_WELL, NOW).steps
    assert [step.note for step in steps] == ["4 s", "for 10 min", "", "", ""]
    assert [step.state.tone for step in steps[:3]] == ["good", "working", "idle"]


def test_a_problem_that_a_condition_repeats_is_shown_once_and_not_as_the_summary() -> None:
    common = {"message": "no room", "severity": "Error", "code": "AI0001"}
    problem = {**common, "condition": "ModelsReady", "advice": ""}
    exact = {**common, "condition": "model m", "advice": "Raise it."}
    diagnosis = {"summary": "no room", "findings": (problem, exact)}
    view = views.workspace(document(status={"phase": "Degraded"}), diagnosis, NOW)
    assert view.findings == (views.Finding("Model m", "no room", "Raise it.", "trouble", "AI0001"),)
    assert view.summary == ""


@pytest.mark.parametrize(
    ("severity", "tone"), [("Error", "trouble"), ("Warning", "working"), ("Waiting", "working")]
)
def test_only_what_a_person_has_to_mend_is_red(severity: str, tone: str) -> None:
    parts = {"condition": "Ready", "message": "m", "advice": "", "code": ""}
    (finding,) = views.findings([{**parts, "severity": severity}])
    assert finding.tone == tone


def test_the_more_urgent_of_two_with_the_same_message_is_shown() -> None:
    parts = {"message": "m", "advice": "", "code": ""}
    urgent = {**parts, "condition": "Ready", "severity": "Error"}
    mild = {**parts, "condition": "model m", "severity": "Waiting"}
    assert [finding.tone for finding in views.findings([urgent, mild])] == ["trouble"]


def test_a_prompt_can_be_sent_once_a_model_is_ready_and_nothing_is_suspended() -> None:
    models = {"models": [{"name": "m", "state": "Ready"}]}
    running = document(status={"phase": "Ready", **models})
    suspended = document(spec={"suspended": True}, status={"phase": "Suspended", **models})
    waiting = document(status={"phase": "PullingModels", "models": []})
    views_of = [
        views.workspace(one_of, DOING_WELL, NOW) for one_of in (running, suspended, waiting)
    ]
    assert [view.can_prompt for view in views_of] == [True, False, False]
    assert views_of[0].prompt_models == ("m",)


def test_counts_of_phases_are_shown_only_where_they_are_all_there_are() -> None:
    documents = [document(status={"phase": "Ready"}), document(status={"phase": "Degraded"})]
    whole = views.phase_filters(documents, {}, is_whole=True)
    part = views.phase_filters(documents, {"team": "a"}, is_whole=False)
    assert [(link.label, link.count) for link in whole] == [
        ("All", 2),
        ("Ready", 1),
        ("Needs you", 1),
    ]
    assert {link.count for link in part} == {None}
    assert [link.query for link in part] == [
        "?team=a",
        "?team=a&phase=Ready",
        "?team=a&phase=Degraded",
    ]


def test_the_phase_that_filters_stays_a_link_even_when_nothing_is_in_it() -> None:
    links = views.phase_filters([], {"phase": "Ready"}, is_whole=True)
    assert [(link.label, link.is_current, link.count) for link in links] == [
        ("All", False, None),
        ("Ready", True, None),
    ]


def test_an_action_keeps_the_team_of_the_page() -> None:
    row = views.row(document(name="a", team="b", status={"phase": "Ready"}), NOW)
    assert (row.path, row.action("delete")) == (
        "/workspaces/a?team=b",
        "/workspaces/a/delete?team=b",
    )
