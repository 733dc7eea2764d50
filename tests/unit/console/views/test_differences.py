"""What a change of the spec changes, and what restarts for it: as the operator renders pods."""

from typing import Any

import pytest

from aichat_workspace.console.settings_form import FIELDS, Kind, with_changes
from aichat_workspace.console.views import differences
from aichat_workspace.console.views.differences import Difference, Restarts
from aichat_workspace.domain.render import render
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from tests.unit.domain.samples import CREDENTIALS, workspace

SPEC: dict[str, Any] = {"workspaceName": "a", "models": ["gemma2:2b"], "patterns": ["explain_code"]}
VALUES = {
    "models": "qwen2.5:7b",
    "patterns": "create_summary",
    "embeddingModel": "none",
    "resources.ollama.cpuRequest": "300m",
    "resources.ollama.cpuLimit": "3",
    "resources.openWebUI.cpuLimit": "1",
    "quota.cpu": "40",
    "quota.storage": "500Gi",
    "ollama.keepAlive": "10m",
    "ollama.loadedModels": "3",
    "ingress.host": "b.localtest.me",
    "expiresAfter": "30d",
    "modelPullPolicy": "Always",
    "expiry": "Suspend",
    "deletionPolicy": "Retain",
}


def pod_templates(spec: dict[str, Any]) -> dict[str, Any]:
    fields = {name: value for name, value in spec.items() if name != "workspaceName"}
    objects = render(workspace(spec["workspaceName"], **fields), PlatformSpec(), CREDENTIALS)
    return {
        manifest["kind"]: manifest["spec"]["template"]
        for manifest in objects
        if manifest["kind"] in ("StatefulSet", "Deployment")
    }


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.path)
def test_what_restarts_is_what_the_operator_renders_anew(field: Any) -> None:
    standard = {Kind.NUMBER: "2048" if "context" in field.path else "2", Kind.FLAG: "true"}
    text = VALUES.get(field.path) or standard.get(field.kind, "30Gi")
    changed = with_changes(SPEC, {field.path: text})
    before, after = pod_templates(SPEC), pod_templates(changed)
    assert differences.restarts(SPEC, changed) == Restarts(
        model_server=before["StatefulSet"] != after["StatefulSet"],
        chat=before["Deployment"] != after["Deployment"],
    )


def test_a_restart_on_demand_is_of_its_workload_and_is_over_when_it_is_taken_out() -> None:
    for field, expected in (
        ("ollama", Restarts(model_server=True, chat=False)),
        ("openWebUI", Restarts(model_server=False, chat=True)),
    ):
        restarted = SPEC | {"restart": {field: "1"}}
        assert differences.restarts(SPEC, restarted) == expected
        assert differences.restarts(restarted, SPEC) == Restarts(model_server=False, chat=False)


def test_a_further_model_restarts_nothing() -> None:
    more = SPEC | {"models": ["gemma2:2b", "llama3.2"]}
    assert differences.restarts(SPEC, more) == Restarts(model_server=False, chat=False)


def test_a_suspended_workspace_has_nothing_to_restart() -> None:
    stopped = SPEC | {"suspended": True}
    changed = stopped | {"ollama": {"keepAlive": "1h"}}
    assert differences.restarts(stopped, changed) == Restarts(model_server=False, chat=False)


def test_differences_are_told_by_field() -> None:
    before = {"models": ["a", "b"], "quota": {"cpu": "8"}, "access": {"signUp": False}, "x": {}}
    after = {
        "models": ["a"],
        "access": {"signUp": True},
        "connections": [{"name": "x", "url": "https://x.example"}],
    }
    assert differences.differences(before, after) == (
        Difference("access.signUp", "false", "true"),
        Difference("connections[0].name", "", "x"),
        Difference("connections[0].url", "", "https://x.example"),
        Difference("models", "a, b", "a"),
        Difference("quota.cpu", "8", ""),
    )
    assert differences.removed_models(before, after) == ("b",)


def test_what_is_only_left_out_in_another_way_is_no_difference() -> None:
    assert differences.differences({"quota": {}, "models": []}, {"patterns": None}) == ()
