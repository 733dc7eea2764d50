from typing import Any

import pytest

from aichat_workspace.domain.kubernetes.manifest import Ref
from aichat_workspace.domain.models.status import DesiredModels
from aichat_workspace.domain.models.tools import ToolStatus
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.render.context import NO_CREDENTIALS, Credentials
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.operator.servers import assignment
from aichat_workspace.operator.servers.tools import Chat
from tests.unit.domain.samples import CREDENTIALS, as_cached, desired, namespace, workspace

NOTHING: Any = None
CLAIM = Ref("PersistentVolumeClaim", "team-a-aichat", "team-a-aichat-openwebui")
MESSAGE = "its password was changed"


def pod(component: str, *, ready: bool = True) -> dict[str, Any]:
    return {
        "metadata": {"uid": component, "labels": {"app.kubernetes.io/component": component}},
        "status": {
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [{"restartCount": 2}],
        },
    }


def chat(
    resource: Workspace,
    *pods: dict[str, Any],
    credentials: Credentials = CREDENTIALS,
    objects: dict[Ref, Any] | None = None,
) -> Chat:
    observed = Observed(namespace(), as_cached(desired()) if objects is None else objects, pods)
    return assignment.chat(resource, observed, credentials, lambda _: NOTHING, lambda _: NOTHING)


def test_a_chat_that_serves_is_known_by_both_pods_and_by_the_claim_of_its_data() -> None:
    served = chat(workspace(), pod("ollama"), pod("openwebui"))
    assert (served.server, served.model_server) == ("openwebui/2", "ollama/2")
    assert served.volume == as_cached(desired())[CLAIM]["metadata"]["uid"]
    assert (served.email, served.password) == (CREDENTIALS.admin_email, CREDENTIALS.admin_password)
    assert CREDENTIALS.admin_password not in repr(served)


@pytest.mark.parametrize(
    ("resource", "arguments"),
    [
        (workspace(suspended=True), {}),
        (workspace(), {"credentials": NO_CREDENTIALS}),
        (workspace(), {"objects": {}}),
    ],
    ids=["suspended", "no credentials", "no claim"],
)
def test_a_suspended_or_incomplete_chat_has_no_server(resource: Workspace, arguments: Any) -> None:
    assert chat(resource, pod("openwebui"), **arguments).server == ""


def test_a_chat_that_is_not_ready_does_not_serve() -> None:
    assert chat(workspace(), pod("ollama"), pod("openwebui", ready=False)).server == ""


@pytest.mark.parametrize(
    ("status", "reason", "problem"),
    [
        ("False", "ToolsNotOffered", MESSAGE),
        ("False", "NamespaceTaken", ""),
        ("True", "ToolsOffered", ""),
        ("Unknown", "ToolsWaiting", ""),
    ],
)
def test_what_was_recorded_is_known_after_a_restart(status: str, reason: str, problem: str) -> None:
    condition = {
        "type": "ToolsOffered",
        "status": status,
        "reason": reason,
        "message": MESSAGE,
        "lastTransitionTime": "2026-11-23T11:00:00Z",
        "observedGeneration": 1,
    }
    recorded = workspace(status={"toolsRevision": "abc", "conditions": [condition]})
    assert chat(recorded).recorded == ToolStatus("abc", problem, status == "True")
    assert chat(workspace()).recorded == ToolStatus()


@pytest.mark.parametrize(
    ("ollama", "memory_bytes"),
    [
        ({}, 8 * 2**30),
        ({"memoryLimit": "4Gi"}, 4 * 2**30),
        ({"memoryLimit": "4Gi", "gpu": {"count": 1}}, 0),
    ],
)
def test_a_model_has_the_memory_of_the_limit_unless_there_are_graphics_processors(
    ollama: dict[str, Any], memory_bytes: int
) -> None:
    resource = workspace(resources={"ollama": ollama})
    task = assignment.model_sync_task(
        resource, PlatformSpec(), Observed(namespace(), {}), DesiredModels(), lambda _: NOTHING
    )
    assert task.memory_bytes == memory_bytes


def test_a_refresh_is_asked_for_by_annotation_and_a_policy() -> None:
    resource = workspace(modelPullPolicy="Always")
    resource = resource.model_copy(update={"refresh_models": "monday"})
    task = assignment.model_sync_task(
        resource, PlatformSpec(), Observed(namespace(), {}), DesiredModels(), lambda _: NOTHING
    )
    assert (task.follows_tags, task.refresh, task.recorded.refreshed) == (True, "monday", "")
