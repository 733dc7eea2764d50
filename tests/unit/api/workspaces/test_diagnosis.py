from typing import Any

from aichat_workspace.api.schemas.workspace import Diagnosis
from aichat_workspace.api.workspaces.diagnosis import diagnose


def condition(kind: str, status: str, reason: str = "Why", message: str = "") -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def test_a_workspace_of_which_nothing_was_said_says_whom_to_ask() -> None:
    told = Diagnosis.model_validate(diagnose({}))
    assert told.phase == "Pending"
    assert "ask the platform team" in told.summary
    assert told.findings == ()


def test_a_ready_workspace_is_fine() -> None:
    status = {"phase": "Ready", "conditions": [condition("Ready", "True")]}
    told = Diagnosis.model_validate(diagnose(status))
    assert told.summary == "People can chat."
    assert told.findings == ()


def test_one_that_comes_up_needs_nothing() -> None:
    status = {"phase": "Provisioning", "conditions": [condition("Ready", "False")]}
    told = diagnose(status)
    assert "nothing has to be done" in told["summary"]
    assert told["findings"] == []


def test_each_trouble_is_told_once_with_what_to_do() -> None:
    full = ("ImagePullFailed", "no such image")
    status = {
        "phase": "Degraded",
        "conditions": [
            condition("Ready", "False", "Degraded", "No model server."),
            condition("OllamaAvailable", "False", *full),
            condition("OpenWebUIAvailable", "False", *full),
            condition("ModelsReady", "Unknown", "NewReason", "strange"),
        ],
        "models": [
            {"name": "m", "state": "Failed", "message": "no such model"},
            {"name": "n", "state": "Ready"},
        ],
        "patterns": [{"name": "p", "state": "Pending", "message": "waits for m"}],
    }
    told = Diagnosis.model_validate(diagnose(status))
    assert told.summary == "No model server."
    assert [each.condition for each in told.findings] == [
        "OllamaAvailable",
        "ModelsReady",
        "model m",
        "pattern p",
    ]
    advice = [bool(each.advice) for each in told.findings]
    assert advice == [True, False, True, False]
