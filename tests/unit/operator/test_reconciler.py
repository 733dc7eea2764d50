from datetime import UTC, datetime
from typing import Any, cast

import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.kube.client import Client
from aichat_workspace.operator.caches import Caches
from aichat_workspace.operator.image_rollouts import ImageRollouts
from aichat_workspace.operator.reconciler import Reconciler

OLD, NEW = {"ollama": "o:1", "openWebUI": "w:1"}, {"ollama": "o:2", "openWebUI": "w:2"}
NOTHING: Any = None


def metadata(namespace: str, name: str) -> dict[str, Any]:
    return {
        "namespace": namespace,
        "name": name,
        "uid": name,
        "resourceVersion": "1",
        "creationTimestamp": "2026-11-23T11:00:00Z",
    }


def comes_up(phase: str, reason: str, last_working: Any = None, running: Any = None) -> bool:
    """Of a workspace whose model server's condition has this reason."""
    caches = Caches(cast("Client", None), lambda _: None)
    said = {"type": "OllamaAvailable", "status": "False", "reason": reason, "message": ""}
    dated = {**said, "lastTransitionTime": "2026-11-23T11:00:00Z", "observedGeneration": 1}
    resource = {
        "apiVersion": names.API_VERSION,
        "kind": "AIChatWorkspace",
        "metadata": metadata(names.SYSTEM_NAMESPACE, "a"),
        "spec": {"workspaceName": "a"},
        "status": {
            "phase": phase,
            "conditions": [dated],
            **({"images": last_working} if last_working else {}),
        },
    }
    caches.observe(resource)
    for kind, workload, container, image in (
        ("StatefulSet", names.ollama("a"), "ollama", "ollama"),
        ("Deployment", names.openwebui("a"), "openwebui", "openWebUI"),
    ):
        if running:
            pod = {"spec": {"containers": [{"name": container, "image": running[image]}]}}
            held = {"kind": kind, "metadata": metadata("a", workload), "spec": {"template": pod}}
            caches.observe(held)
    rollouts = ImageRollouts(caches, lambda _: None)
    reconciler = Reconciler(
        writer=NOTHING,
        caches=caches,
        models=NOTHING,
        tools=NOTHING,
        farewell=NOTHING,
        rollouts=rollouts,
        connect=NOTHING,
        connect_chat=NOTHING,
        builtin_prompts={},
        now=lambda: datetime.now(UTC),
    )
    return reconciler._comes_up(Workspace.parse(resource))


@pytest.mark.parametrize("phase", ["Provisioning", "Degraded"])
@pytest.mark.parametrize("reason", ["Starting", "Creating"])
def test_a_workload_that_starts_is_looked_at_again_whatever_else_is_wrong(
    phase: str, reason: str
) -> None:
    assert comes_up(phase, reason)


@pytest.mark.parametrize("phase", ["Ready", "PullingModels", "Degraded"])
def test_images_that_have_not_lasted_yet_are_looked_at_again(phase: str) -> None:
    assert comes_up(phase, "Available", last_working=OLD, running=NEW)
    assert comes_up(phase, "Available", running=NEW)
    assert not comes_up(phase, "Available", last_working=NEW, running=NEW)


def test_what_only_an_event_can_change_is_left_in_peace() -> None:
    assert not comes_up("Suspended", "Suspended", last_working=OLD, running=NEW)
    assert not comes_up("Degraded", "NamespaceTaken")
    assert not comes_up("Degraded", "CrashLoop", last_working=NEW, running=NEW)
