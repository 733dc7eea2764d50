"""The platform at a glance."""

from typing import Any

from aichat_workspace.console.views import platform
from tests.unit.console.views.documents import condition, document

TIME = "2026-01-01T00:00:00Z"


def ailing(name: str, kind: str, reason: str) -> Any:
    ready = condition("Ready", "False", TIME, reason=reason)
    own = condition(kind, "False", TIME, reason=reason)
    return document(name=name, status={"phase": "Degraded", "conditions": [own, ready]})


def test_workspaces_are_counted_by_phase_with_the_list_of_them() -> None:
    documents = [
        ailing("a", "ModelsReady", "ModelTooLarge"),
        document(name="b", status={"phase": "Ready"}),
        document(name="c", status={"phase": "Ready"}),
        document(name="d", status={"phase": "Waking"}),
    ]
    assert [
        (count.state.word, count.count, count.query) for count in platform.phase_counts(documents)
    ] == [
        ("Ready", 2, "/?phase=Ready"),
        ("Needs you", 1, "/?phase=Degraded"),
        ("Waking", 1, "/?phase=Waking"),
    ]


def test_problems_are_grouped_by_reason_the_most_urgent_and_frequent_first() -> None:
    documents = [
        *(ailing(f"warned-{number}", "StorageAsAsked", "VolumeKept") for number in range(3)),
        ailing("alone", "OllamaAvailable", "CrashLoop"),
        *(ailing(f"full-{number:02}", "ModelsReady", "ModelsVolumeFull") for number in range(14)),
        ailing("starts", "OllamaAvailable", "Starting"),
        ailing("new", "ModelsReady", "FromANewerOperator"),
    ]
    groups = platform.problems(documents)
    assert [(group.reason, group.count, group.tone) for group in groups] == [
        ("ModelsVolumeFull", 14, "trouble"),
        ("CrashLoop", 1, "trouble"),
        ("FromANewerOperator", 1, "trouble"),
        ("VolumeKept", 3, "working"),
    ]
    assert len(groups[0].workspaces) == 12
    assert groups[1].workspaces == (platform.Link("alone", "/workspaces/alone?team=team"),)
    assert (groups[1].code, groups[2].code) == ("AI0407", "")


def test_a_condition_that_is_met_ails_no_one_whatever_its_reason() -> None:
    met = condition("ModelsReady", "True", TIME, reason="FromANewerOperator")
    soon = condition("ExpiresSoon", "True", TIME, reason="ExpiresSoon")
    documents = [document(status={"phase": "Ready", "conditions": [met, soon]})]
    assert [group.reason for group in platform.problems(documents)] == ["ExpiresSoon"]


def test_an_upgrade_says_who_changes_who_waits_and_who_failed() -> None:
    documents = [
        ailing("a", "UpToDate", "UpgradeWaiting"),
        ailing("b", "UpToDate", "UpgradeFailed"),
        ailing("c", "UpToDate", "Upgrading"),
        document(
            name="d", status={"conditions": [condition("UpToDate", "True", TIME, "", "UpToDate")]}
        ),
    ]
    assert [(group.reason, group.count) for group in platform.upgrade(documents)] == [
        ("Upgrading", 1),
        ("UpgradeWaiting", 1),
        ("UpgradeFailed", 1),
    ]
    assert platform.problems(documents) == ()
