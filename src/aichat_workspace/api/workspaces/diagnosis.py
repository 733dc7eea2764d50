"""Explain from its status why a workspace is not ready, or what the platform lacks."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from aichat_workspace.domain.models.status import ModelState
from aichat_workspace.domain.reasons import Reason, Severity
from aichat_workspace.domain.v1alpha1.workspace_status import (
    ABNORMAL_CONDITIONS,
    ConditionType,
    Phase,
)

_READY: Final = "People can chat."
_NO_CONDITIONS: Final = (
    "The operator has not said anything of it yet. If that stays so for a minute, the operator "
    "does not run: ask the platform team."
)
_PLATFORM_GOOD: Final = "The settings are in force, and what they need is there."
_PLATFORM_UNSEEN: Final = (
    "The operator has not said anything of the platform yet. If that stays so for a minute, it "
    "does not run."
)
_NO_PLATFORM: Final = (
    "There is no AIChatPlatform, so nothing is known of the platform. Create it; an empty spec has "
    "the defaults."
)
_ORDER: Final = {str(severity): place for place, severity in enumerate(Severity)}
_SUMMARIES: Final = (ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED)
"""They repeat another condition."""
_STARTING_PHASES: Final = frozenset({Phase.PENDING, Phase.PROVISIONING, Phase.PULLING_MODELS})


def diagnose(status: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schemas.workspace.Diagnosis."""
    phase = status.get("phase", Phase.PENDING)
    conditions = {condition["type"]: condition for condition in status.get("conditions", ())}
    ready = conditions.get(ConditionType.READY)
    if phase == Phase.SUSPENDED and ready is None:
        ready = conditions.get(ConditionType.OLLAMA_AVAILABLE)  # which says how to go on
    if ready is None:
        return {"phase": phase, "summary": _NO_CONDITIONS, "findings": []}
    findings = sorted(filter(_urgency, _findings(conditions, status)), key=_urgency, reverse=True)
    summary = ready["message"] or _READY
    if phase in _STARTING_PHASES and not findings:
        summary = ready["message"] or "It is coming up; nothing has to be done."
    return {"phase": phase, "summary": summary, "findings": findings}


def diagnose_platform(platform: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a schemas.platform.PlatformDiagnosis of the AIChatPlatform."""
    conditions = ((platform or {}).get("status") or {}).get("conditions") or ()
    findings = [
        _finding(condition["type"], condition["reason"], condition["message"])
        for condition in conditions
        if condition["status"] != "True"
    ]
    findings.sort(key=_urgency, reverse=True)
    if platform is None:
        summary = _NO_PLATFORM
    elif not conditions:
        summary = _PLATFORM_UNSEEN
    else:
        summary = findings[0]["message"] if findings else _PLATFORM_GOOD
    return {"isKnown": bool(conditions), "summary": summary, "findings": findings}


def _findings(
    conditions: Mapping[str, Mapping[str, Any]], status: Mapping[str, Any]
) -> Iterator[dict[str, str]]:
    reported = set()
    for kind in ConditionType:
        condition = conditions.get(kind)
        if condition is None or kind in _SUMMARIES or _is_good(kind, condition):
            continue
        if (condition["reason"], condition["message"]) not in reported:
            reported.add((condition["reason"], condition["message"]))
            yield _finding(str(kind), condition["reason"], condition["message"])
    for entries in ("models", "patterns"):
        for entry in status.get(entries, ()):
            if entry.get("message"):
                name = f"{entries.removesuffix('s')} {entry['name']}"
                yield _finding(name, _model_reason(entry), entry["message"])


def _urgency(finding: Mapping[str, str]) -> int:
    """Return 0 for what is as it was asked."""
    return _ORDER[finding["severity"]]


def _is_good(kind: ConditionType, condition: Mapping[str, Any]) -> bool:
    return (condition["status"] == "True") is (kind not in ABNORMAL_CONDITIONS)


def _finding(condition: str, reason: str, message: str) -> dict[str, str]:
    """Return a schemas.workspace.Finding. A reason of a newer operator has no explanation here."""
    finding = {"condition": condition, "reason": reason, "message": message}
    if (known := Reason.known(reason)) is None:
        return {**finding, "code": "", "severity": Severity.ERROR, "advice": "", "reference": ""}
    return {
        **finding,
        "code": known.code,
        "severity": known.severity,
        "advice": known.fix,
        "reference": known.reference,
    }


def _model_reason(entry: Mapping[str, Any]) -> str:
    """Return why a model or pattern has failed, or what it waits for."""
    if entry["state"] == ModelState.FAILED:
        return entry.get("reason") or Reason.MODEL_FAILED
    if entry["state"] == ModelState.PULLING:
        return Reason.PULLING
    return Reason.MODELS_WAITING
