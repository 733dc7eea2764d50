"""Generate the reference page from the models: every field, condition and reason."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from aichat_workspace.documentation.markdown import GENERATED, escape, table
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.v1alpha1.base import Schema
from aichat_workspace.domain.v1alpha1.crd import structural
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.platform_status import PlatformConditionType, PlatformStatus
from aichat_workspace.domain.v1alpha1.workspace_spec import WorkspaceSpec
from aichat_workspace.domain.v1alpha1.workspace_status import ConditionType, Phase, WorkspaceStatus

_CONDITIONS: Final = {
    ConditionType.READY: "People can chat. Not there while it is suspended.",
    ConditionType.PROVISIONED: "Every object of the workspace exists as it should.",
    ConditionType.OLLAMA_AVAILABLE: "The model server runs.",
    ConditionType.OPENWEBUI_AVAILABLE: "The chat runs.",
    ConditionType.MODELS_READY: "Every model and pattern is there.",
    ConditionType.INGRESS_SERVED: "An ingress controller is there for it. Not part of Ready.",
    ConditionType.UP_TO_DATE: "It runs as the platform's settings are now. Not part of Ready.",
    ConditionType.STORAGE_AS_ASKED: "Its volumes are as the spec says. Not part of Ready.",
    ConditionType.STORED_AS_APPLIED: "No webhook changes what is applied. Not part of Ready.",
    ConditionType.TOOLS_OFFERED: "Chats offer tools to the models that can call them. Not part of "
    "Ready.",
    ConditionType.RECONCILING: "It is not Ready yet, and time is enough. There only while True.",
    ConditionType.STALLED: "It is not Ready, and a person has to act. There only while True.",
}
_PLATFORM_CONDITIONS: Final = {
    PlatformConditionType.ACCEPTED: "The settings are in force.",
    PlatformConditionType.REFERENCES_RESOLVED: "The StorageClass, the IngressClass or Gateway, and "
    "the ClusterIssuer that the settings name are there, and so are the Secrets with registries' "
    "passwords and the ConfigMap with certificate authorities.",
    PlatformConditionType.PEOPLE_ADMITTED: "The network policies let somebody come in to chats.",
    PlatformConditionType.NETWORK_POLICIES_ENFORCED: "The cluster holds network policies: the "
    "operator, once at its start and then at most once in an hour, tries a port of the API's pods "
    "that its policies deny it.",
}
_PHASES: Final = {
    Phase.PENDING: "The operator has not seen it yet.",
    Phase.PROVISIONING: "Objects and pods are coming up.",
    Phase.PULLING_MODELS: "Everything runs; models are being downloaded.",
    Phase.READY: "People can chat.",
    Phase.DEGRADED: "A person has to act; the conditions say who and how.",
    Phase.SUSPENDED: "Stopped on request; data and objects are kept.",
    Phase.TERMINATING: "It is being deleted.",
}


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join((*_lines(), ""))


def _lines() -> Iterator[str]:
    yield from (GENERATED, "# Reference", "")
    yield "`kubectl explain aiws.spec` says the same in a terminal."
    for title, model in (
        ("AIChatWorkspace: spec", WorkspaceSpec),
        ("AIChatWorkspace: status", WorkspaceStatus),
        ("AIChatPlatform: spec", PlatformSpec),
        ("AIChatPlatform: status", PlatformStatus),
    ):
        yield from _fields(title, model)
    yield from _table("Phases", ("phase", "meaning"), {str(k): v for k, v in _PHASES.items()})
    yield from _table(
        "Conditions", ("type", "True means"), {str(k): v for k, v in _CONDITIONS.items()}
    )
    yield from _table(
        "Conditions of the platform",
        ("type", "True means"),
        {str(k): v for k, v in _PLATFORM_CONDITIONS.items()},
    )
    yield from _reasons()


def _reasons() -> Iterator[str]:
    """Write each reason with an anchor of its code."""
    yield from ("", "## Reasons", "", "A code leads to what to do about it.", "")
    yield from table(("code", "reason", "severity", "meaning"), ())
    for reason in sorted(Reason):
        code = f'<a id="{reason.code.lower()}"></a>[{reason.code}]({reason.remedy})'
        yield f"| {code} | `{reason}` | {reason.severity} | {escape(reason.problem)} |"


def _fields(title: str, model: type[Schema]) -> Iterator[str]:
    yield from ("", f"## {title}", "")
    yield from table(("field", "type", "default", "meaning"), _rows(structural(model), ""))


def _rows(schema: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    for name, field in schema.get("properties", {}).items():
        path = f"{prefix}{name}"
        required = " (required)" if name in schema.get("required", ()) else ""
        default = _format_default(field.get("default"))
        yield f"`{path}`", f"{format_type(field)}{required}", default, field.get("description", "")
        if field.get("type") == "array":
            yield from _rows(field["items"], f"{path}[].")
        else:
            yield from _rows(field, f"{path}.")


def format_type(field: Mapping[str, Any]) -> str:
    """Write the type that a field's schema allows."""
    if "enum" in field:
        return "one of " + ", ".join(f"`{value}`" for value in field["enum"])
    if field.get("x-kubernetes-int-or-string"):
        return "integer or string"
    type_ = str(field.get("type", "object"))
    if type_ == "array":
        return f"list of {format_type(field['items'])}"
    minimum, maximum = field.get("minimum"), field.get("maximum")
    if minimum is not None and maximum is not None:
        return f"{type_}, {minimum} to {maximum}"
    return type_


def _format_default(default: object) -> str:
    """Write a default; nothing for an empty one and for an object's, which its fields show."""
    if default in (None, "", [], {}) or isinstance(default, dict):
        return ""
    return f"`{json.dumps(default) if not isinstance(default, str) else default}`"


def _table(title: str, head: tuple[str, str], rows: Mapping[str, str]) -> Iterator[str]:
    yield from ("", f"## {title}", "")
    yield from table(head, ((f"`{key}`", text) for key, text in rows.items()))
