from typing import Any

from aichat_workspace.api.schemas.workspace import Diagnosis
from aichat_workspace.api.workspaces.diagnosis import diagnose, diagnose_platform
from aichat_workspace.domain.reasons import Reason


def condition(kind: str, status: str, reason: str = "Why", message: str = "") -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def test_a_workspace_without_status_names_the_platform_team() -> None:
    diagnosis = Diagnosis.model_validate(diagnose({}))
    assert diagnosis.phase == "Pending"
    assert "ask the platform team" in diagnosis.summary
    assert diagnosis.findings == ()


def test_a_ready_workspace_has_no_findings() -> None:
    status = {"phase": "Ready", "conditions": [condition("Ready", "True")]}
    diagnosis = Diagnosis.model_validate(diagnose(status))
    assert diagnosis.summary == "People can chat."
    assert diagnosis.findings == ()


def test_a_ready_workspace_says_what_is_not_as_it_was_asked() -> None:
    status = {
        "phase": "Ready",
        "conditions": [
            condition("Ready", "True", "Ready", "open the URL and sign in"),
            condition("StorageAsAsked", "False", "VolumeKept", "a volume can't shrink"),
            condition("UpToDate", "True", "UpToDate"),
            condition("ExpiresSoon", "True", "ExpiresSoon", "it is deleted tomorrow"),
        ],
    }
    diagnosis = Diagnosis.model_validate(diagnose(status))
    assert diagnosis.summary == "open the URL and sign in"
    assert [finding.reason for finding in diagnosis.findings] == ["VolumeKept", "ExpiresSoon"]


def test_what_repeats_a_condition_is_no_finding() -> None:
    cause = ("CrashLoop", "it stops")
    status = {
        "phase": "Degraded",
        "conditions": [
            condition("Ready", "False", *cause),
            condition("OpenWebUIAvailable", "False", *cause),
            condition("Stalled", "True", *cause),
        ],
    }
    findings = Diagnosis.model_validate(diagnose(status)).findings
    assert [finding.condition for finding in findings] == ["OpenWebUIAvailable"]


def test_a_starting_workspace_has_no_findings() -> None:
    status = {"phase": "Provisioning", "conditions": [condition("Ready", "False")]}
    diagnosis = diagnose(status)
    assert "nothing has to be done" in diagnosis["summary"]
    assert diagnosis["findings"] == []


def test_a_suspended_workspace_says_how_to_go_on() -> None:
    stopped = condition("OllamaAvailable", "False", "Suspended", "stopped; set spec.suspended")
    diagnosis = Diagnosis.model_validate(
        diagnose({"phase": "Suspended", "conditions": [condition("Provisioned", "True"), stopped]})
    )
    assert diagnosis.summary == "stopped; set spec.suspended"
    assert diagnosis.findings == ()


def test_each_problem_is_one_finding_with_advice() -> None:
    cause = ("ImagePullFailed", "no such image")
    status = {
        "phase": "Degraded",
        "conditions": [
            condition("Ready", "False", "Degraded", "No model server."),
            condition("OllamaAvailable", "False", *cause),
            condition("OpenWebUIAvailable", "False", *cause),
            condition("ModelsReady", "Unknown", "NewReason", "strange"),
        ],
        "models": [
            {"name": "m", "state": "Failed", "message": "no such model"},
            {"name": "n", "state": "Ready"},
        ],
        "patterns": [{"name": "p", "state": "Pending", "message": "waits for m"}],
    }
    diagnosis = Diagnosis.model_validate(diagnose(status))
    assert diagnosis.summary == "No model server."
    assert [finding.condition for finding in diagnosis.findings] == [
        "OllamaAvailable",
        "ModelsReady",
        "model m",
        "pattern p",
    ]
    explained = [(finding.code, str(finding.severity)) for finding in diagnosis.findings]
    assert explained == [
        (Reason.IMAGE_PULL_FAILED.code, "Error"),
        ("", "Error"),
        (Reason.MODEL_FAILED.code, "Error"),
        (Reason.MODELS_WAITING.code, "Waiting"),
    ]
    advice = [finding.advice for finding in diagnosis.findings]
    assert advice == [
        Reason.IMAGE_PULL_FAILED.fix,
        "",
        Reason.MODEL_FAILED.fix,
        Reason.MODELS_WAITING.fix,
    ]


def test_what_a_person_has_to_do_comes_first() -> None:
    status = {
        "phase": "Degraded",
        "conditions": [
            condition("Ready", "False", "CrashLoop", "it stops"),
            condition("Provisioned", "False", "Creating", "being made"),
            condition("IngressServed", "False", "IngressNotServed", "no controller"),
            condition("OpenWebUIAvailable", "False", "CrashLoop", "it stops"),
        ],
    }
    findings = Diagnosis.model_validate(diagnose(status)).findings
    assert [str(finding.severity) for finding in findings] == ["Error", "Warning", "Waiting"]
    assert findings[0].reference == f"docs/reference.md#{findings[0].code.lower()}"


def test_what_the_platform_lacks_comes_most_urgent_first() -> None:
    conditions = [
        {"type": "Accepted", "status": "True", "reason": "Accepted", "message": ""},
        {
            "type": "NetworkPoliciesEnforced",
            "status": "Unknown",
            "reason": "NetworkPoliciesUnchecked",
            "message": "nothing to try",
        },
        {
            "type": "PeopleAdmitted",
            "status": "False",
            "reason": "NobodyAdmitted",
            "message": "nobody comes in",
        },
    ]
    diagnosis = diagnose_platform({"status": {"conditions": conditions}})
    codes = [finding["code"] for finding in diagnosis["findings"]]
    assert (diagnosis["summary"], codes) == ("nobody comes in", ["AI0323", "AI0141"])
    good = diagnose_platform({"status": {"conditions": conditions[:1]}})
    assert (good["isKnown"], good["findings"]) == (True, [])


def test_nothing_is_known_of_a_platform_without_conditions() -> None:
    for platform, text in ((None, "no AIChatPlatform"), ({}, "has not said anything")):
        diagnosis = diagnose_platform(platform)
        assert (diagnosis["isKnown"], text in diagnosis["summary"]) == (False, True)


def test_backups_and_restores_that_fail_are_findings_of_a_chat_that_runs() -> None:
    status = {
        "phase": "Ready",
        "conditions": [
            condition("Ready", "True", "Ready"),
            condition("BackedUp", "False", "BackupOverdue", "a backup is overdue"),
            condition("Restored", "False", "BackupRunFailed", "the backup is another workspace's"),
        ],
    }
    findings = Diagnosis.model_validate(diagnose(status)).findings
    assert [(finding.condition, finding.reason, finding.advice) for finding in findings] == [
        ("BackedUp", "BackupOverdue", Reason.BACKUP_OVERDUE.fix),
        ("Restored", "BackupRunFailed", Reason.BACKUP_RUN_FAILED.fix),
    ]
    waiting = condition("BackedUp", "Unknown", "BackupWaiting", "no backup has been made yet")
    status["conditions"] = [condition("Ready", "True", "Ready"), waiting]
    (finding,) = Diagnosis.model_validate(diagnose(status)).findings
    assert finding.severity == "Waiting"
