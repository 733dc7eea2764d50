"""Argo CD's and Flux' health checks in examples/gitops, on statuses that the operator computes.

Argo CD runs Lua 5.1 with the object as `obj`: https://github.com/argoproj/argo-cd/blob/master/util/lua/lua.go
Flux compares generations, then evaluates inProgress, failed and current, and else says InProgress:
https://github.com/fluxcd/pkg/blob/main/runtime/cel/status_evaluator.go
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import celpy
import pytest
import yaml
from celpy.adapter import json_to_cel
from lupa.lua51 import LuaRuntime

from aichat_workspace.domain.models.status import ModelState, ModelStatus
from aichat_workspace.domain.policy.ownership import Rejection
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.status.inputs import StatusInputs
from aichat_workspace.domain.status.platform_status import (
    PlatformInputs,
    compute_platform_status,
)
from aichat_workspace.domain.status.status import compute_status
from aichat_workspace.domain.v1alpha1 import crd
from aichat_workspace.domain.v1alpha1.platform_status import PlatformStatus
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from tests.unit.domain.samples import NOW, workspace
from tests.unit.domain.status.test_kstatus import kstatus
from tests.unit.domain.status.test_platform_status import INPUTS
from tests.unit.domain.status.test_status import FACTS

GITOPS: Final = Path(__file__).parents[3] / "examples" / "gitops"
ARGO_CD_OF_KSTATUS: Final = {
    "Current": "Healthy",
    "InProgress": "Progressing",
    "Terminating": "Progressing",
    "Failed": "Degraded",
}
STATUSES: Final[dict[str, tuple[Workspace, StatusInputs]]] = {
    "ready": (workspace(), FACTS),
    "starting": (workspace(), StatusInputs(url="http://a")),
    "pulling": (
        workspace(),
        replace(FACTS, models=(ModelStatus("gemma2:2b", ModelState.PULLING),)),
    ),
    "model failed": (
        workspace(),
        replace(FACTS, models=(ModelStatus("gemma2:2b", ModelState.FAILED),)),
    ),
    "suspended": (workspace(suspended=True), FACTS),
    "suspended and refused": (
        workspace(suspended=True),
        replace(FACTS, failure=Problem(Reason.WRITE_REFUSED, "mend it")),
    ),
    "rejected": (
        workspace(),
        StatusInputs(url="", rejection=Rejection(Reason.NAMESPACE_TAKEN, "choose another")),
    ),
    "deleted": (workspace(metadata={"deletionTimestamp": "2026-11-23T12:00:00Z"}), FACTS),
}


def argo_cd(kind: str, document: dict[str, Any]) -> dict[str, str]:
    """The health that Argo CD would show."""
    data = yaml.safe_load((GITOPS / "argocd" / "health.yaml").read_text())["data"]
    lua = LuaRuntime(register_eval=False, register_builtins=False)
    lua.globals().obj = lua.table_from(document, recursive=True)
    script = data[f"resource.customizations.health.apps.aichatworkspaces.io_{kind}"]
    return dict(lua.execute(script).items())


def flux(document: dict[str, Any]) -> str:
    """What Flux would make of the platform's settings."""
    kustomization = yaml.safe_load((GITOPS / "flux" / "workspaces.yaml").read_text())
    (check,) = kustomization["spec"]["healthCheckExprs"]
    assert check["kind"] == document["kind"]
    assert check["apiVersion"] == document["apiVersion"]
    if document["status"]["observedGeneration"] != document["metadata"]["generation"]:
        return "InProgress"
    environment = celpy.Environment()
    values = {key: json_to_cel(value) for key, value in document.items()}
    outcomes = {"inProgress": "InProgress", "failed": "Failed", "current": "Current"}
    for name, outcome in outcomes.items():
        if expression := check.get(name):
            program = environment.program(environment.compile(expression))
            if program.evaluate(values):
                return outcome
    return "InProgress"


def as_stored(resource: Workspace, facts: StatusInputs) -> dict[str, Any]:
    status = compute_status(resource, facts, NOW)
    deletion = {"deletionTimestamp": "now"} if resource.deleting else {}
    return {
        "metadata": {"generation": resource.generation, **deletion},
        "status": status.model_dump(mode="json", by_alias=True, exclude_none=True),
    }


@pytest.mark.parametrize("name", STATUSES)
def test_argo_cd_sees_a_workspace_as_helm_and_flux_do(name: str) -> None:
    document = as_stored(*STATUSES[name])
    health = argo_cd("AIChatWorkspace", document)
    assert health["status"] == ARGO_CD_OF_KSTATUS[kstatus(document)]


def test_argo_cd_says_why_a_workspace_is_not_healthy() -> None:
    refused = argo_cd("AIChatWorkspace", as_stored(*STATUSES["suspended and refused"]))
    assert refused == {"status": "Degraded", "message": "mend it"}
    pulling = argo_cd("AIChatWorkspace", as_stored(*STATUSES["pulling"]))
    assert "gemma2:2b" in pulling["message"]


def test_the_statuses_have_all_outcomes_of_kstatus() -> None:
    assert {kstatus(as_stored(*inputs)) for inputs in STATUSES.values()} == {*ARGO_CD_OF_KSTATUS}


def unseen(definition: Mapping[str, Any]) -> dict[str, Any]:
    """The status that the API server writes by default."""
    version, *_ = definition["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]["properties"]["status"]
    nested = {
        name: field["default"] for name, field in schema["properties"].items() if "default" in field
    }
    return {**nested, **schema["default"]}


def test_what_the_operator_has_not_seen_is_in_progress_for_both() -> None:
    document = {"metadata": {"generation": 1}, "status": unseen(crd.workspace_crd())}
    assert argo_cd("AIChatWorkspace", document)["status"] == "Progressing"
    assert argo_cd("AIChatWorkspace", {"metadata": {"generation": 1}})["status"] == "Progressing"
    settings = platform_document(unseen(crd.platform_crd()))
    assert argo_cd("AIChatPlatform", settings)["status"] == "Progressing"
    assert flux(settings) == "InProgress"


def platform_document(status: dict[str, Any], generation: int = INPUTS.generation) -> Any:
    return {
        "apiVersion": "apps.aichatworkspaces.io/v1beta1",
        "kind": "AIChatPlatform",
        "metadata": {"generation": generation},
        "status": status,
    }


def platform_status(inputs: PlatformInputs) -> dict[str, Any]:
    status = compute_platform_status(PlatformStatus(), inputs, NOW)
    return status.model_dump(mode="json", by_alias=True, exclude_none=True)


@pytest.mark.parametrize(
    ("inputs", "health", "outcome"),
    [
        (INPUTS, "Healthy", "Current"),
        (replace(INPUTS, refusal="spec.pods is not known"), "Degraded", "Failed"),
        (
            replace(INPUTS, missing=(Problem(Reason.SECRET_NOT_FOUND, "no Secret mirror"),)),
            "Progressing",
            "InProgress",
        ),
        (replace(INPUTS, namespaces=frozenset()), "Healthy", "Current"),
    ],
    ids=["in force", "refused", "a Secret is missing", "nobody is let in"],
)
def test_both_see_the_platforms_settings_alike(
    inputs: PlatformInputs, health: str, outcome: str
) -> None:
    document = platform_document(platform_status(inputs))
    assert argo_cd("AIChatPlatform", document)["status"] == health
    assert flux(document) == outcome


def test_settings_of_a_later_generation_are_waited_for() -> None:
    document = platform_document(platform_status(INPUTS), INPUTS.generation + 1)
    assert argo_cd("AIChatPlatform", document)["status"] == "Progressing"
    assert flux(document) == "InProgress"


def test_flux_deletes_no_chat_with_its_kustomization_and_waits_for_the_operator() -> None:
    kustomization = yaml.safe_load((GITOPS / "flux" / "workspaces.yaml").read_text())
    environments = [*yaml.safe_load_all((GITOPS / "flux" / "kustomizations.yaml").read_text())]
    assert kustomization["spec"]["deletionPolicy"] == "Orphan"
    assert kustomization["spec"]["wait"]
    (needed,) = kustomization["spec"]["dependsOn"]
    assert needed["name"] in {document["metadata"]["name"] for document in environments}
