"""Explain from its status why a workspace is not ready."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from aichat_workspace.domain.v1alpha1.condition_reasons import REASONS
from aichat_workspace.domain.v1alpha1.workspace_status import ConditionType, Phase

_READY: Final = "People can chat."
_NO_CONDITIONS: Final = (
    "The operator has not said anything of it yet. If that stays so for a minute, the operator "
    "does not run: ask the platform team."
)
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
    findings = [] if phase == Phase.READY else list(_findings(conditions, status))
    summary = ready["message"] or _READY
    if phase in _STARTING_PHASES and not findings:
        summary = ready["message"] or "It is coming up; nothing has to be done."
    return {"phase": phase, "summary": summary, "findings": findings}


def _findings(
    conditions: Mapping[str, Mapping[str, Any]], status: Mapping[str, Any]
) -> Iterator[dict[str, str]]:
    reported = set()
    for kind in ConditionType:
        condition = conditions.get(kind)
        if condition is None or condition["status"] == "True" or kind is ConditionType.READY:
            continue
        if (condition["reason"], condition["message"]) not in reported:
            reported.add((condition["reason"], condition["message"]))
            yield {
                "condition": str(kind),
                "reason": condition["reason"],
                "message": condition["message"],
                "advice": REASONS.get(condition["reason"], ""),
            }
    for entries in ("models", "patterns"):
        for entry in status.get(entries, ()):
            if entry.get("message"):
                yield {
                    "condition": f"{entries.removesuffix('s')} {entry['name']}",
                    "reason": entry["state"],
                    "message": entry["message"],
                    "advice": _advice(entry) if entry["state"] == "Failed" else "",
                }


def _advice(entry: Mapping[str, Any]) -> str:
    return REASONS.get(entry.get("reason") or "", REASONS["ModelFailed"])
