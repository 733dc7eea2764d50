"""Why a workspace is not ready, from what its status says."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from aichat_workspace.domain.v1alpha1.condition_reasons import REASONS
from aichat_workspace.domain.v1alpha1.workspace_status import ConditionType, Phase

_FINE: Final = "People can chat."
_NOTHING_SAID: Final = (
    "The operator has not said anything of it yet. If that stays so for a minute, the operator "
    "does not run: ask the platform team."
)
_IN_HAND: Final = frozenset({Phase.PENDING, Phase.PROVISIONING, Phase.PULLING_MODELS})


def diagnose(status: Mapping[str, Any]) -> dict[str, Any]:
    """A schemas.Diagnosis."""
    phase = status.get("phase", Phase.PENDING)
    conditions = {each["type"]: each for each in status.get("conditions", ())}
    ready = conditions.get(ConditionType.READY)
    if ready is None:
        return {"phase": phase, "summary": _NOTHING_SAID, "findings": []}
    findings = [] if phase == Phase.READY else list(_findings(conditions, status))
    summary = ready["message"] or _FINE
    if phase in _IN_HAND and not findings:
        summary = ready["message"] or "It is coming up; nothing has to be done."
    return {"phase": phase, "summary": summary, "findings": findings}


def _findings(
    conditions: Mapping[str, Mapping[str, Any]], status: Mapping[str, Any]
) -> Iterator[dict[str, str]]:
    told = set()
    for kind in ConditionType:
        found = conditions.get(kind)
        if found is None or found["status"] == "True" or kind is ConditionType.READY:
            continue
        if (found["reason"], found["message"]) not in told:
            told.add((found["reason"], found["message"]))
            yield {
                "condition": str(kind),
                "reason": found["reason"],
                "message": found["message"],
                "advice": REASONS.get(found["reason"], ""),
            }
    for of in ("models", "patterns"):
        for each in status.get(of, ()):
            if each.get("message"):
                yield {
                    "condition": f"{of.removesuffix('s')} {each['name']}",
                    "reason": each["state"],
                    "message": each["message"],
                    "advice": REASONS["ModelFailed"] if each["state"] == "Failed" else "",
                }
