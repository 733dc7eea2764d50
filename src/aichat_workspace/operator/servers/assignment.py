"""Tasks of model sync and tool sync, from what is known of a workspace."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import quantity
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref
from aichat_workspace.domain.kubernetes.pods import is_ready, ready_since
from aichat_workspace.domain.models.status import DesiredModels, ModelStatus, PatternStatus
from aichat_workspace.domain.models.tools import ToolStatus
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.planning.volume_claims import CLAIM
from aichat_workspace.domain.policy.effective_spec import ollama_share
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.render.components import OLLAMA, OPENWEBUI
from aichat_workspace.domain.render.context import Credentials
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_spec import ModelPullPolicy
from aichat_workspace.domain.v1alpha1.workspace_status import (
    ConditionStatus,
    ConditionType,
    ModelEntry,
)
from aichat_workspace.operator.models.report import Report
from aichat_workspace.operator.models.task import ModelSyncTask
from aichat_workspace.operator.servers.tools import Chat
from aichat_workspace.runtime.servers import Connect, ConnectChat


def model_sync_task(
    workspace: Workspace,
    platform: PlatformSpec,
    observed: Observed,
    desired: DesiredModels,
    connect: Connect,
) -> ModelSyncTask:
    """Return what the workspace's model sync is to do."""
    name = workspace.spec.workspace_name
    gpu = workspace.spec.resources.ollama.gpu
    memory_limit = ollama_share(workspace.spec, platform).memory_limit
    return ModelSyncTask(
        client=connect(name),
        desired=desired,
        server="" if workspace.spec.suspended else _server(observed.pods, OLLAMA),
        capacity_bytes=_capacity_bytes(observed, Ref(CLAIM, name, names.ollama(name))),
        insecure_registries=frozenset(platform.models.insecure_registries),
        recorded=Report(
            tuple(_model_status(entry) for entry in workspace.status.models),
            tuple(PatternStatus(**entry.model_dump()) for entry in workspace.status.patterns),
            workspace.status.models_refreshed,
        ),
        memory_bytes=0 if gpu else int(quantity.parse(memory_limit)),
        follows_tags=workspace.spec.model_pull_policy is ModelPullPolicy.ALWAYS,
        refresh=workspace.refresh_models,
    )


def _model_status(entry: ModelEntry) -> ModelStatus:
    fields = entry.model_dump(exclude={"percent", "eta_seconds", "reason"})
    return ModelStatus(**fields, reason=Reason.known(entry.reason))


def paused(task: ModelSyncTask) -> ModelSyncTask:
    """Return the task without its server: no model is downloaded or removed."""
    return replace(task, server="")


def chat(
    workspace: Workspace,
    observed: Observed,
    credentials: Credentials,
    connect: Connect,
    connect_chat: ConnectChat,
) -> Chat:
    """The workspace's chat, to be left alone without credentials, or while it is suspended."""
    name = workspace.spec.workspace_name
    claim = observed.objects.get(Ref(CLAIM, name, names.openwebui(name)))
    is_left_alone = workspace.spec.suspended or claim is None or not credentials.admin_password
    return Chat(
        client=connect_chat(name),
        ollama=connect(name),
        server="" if is_left_alone else _server(observed.pods, OPENWEBUI),
        model_server=_server(observed.pods, OLLAMA),
        volume=_data(workspace, claim) if claim else "",
        email=credentials.admin_email,
        password=credentials.admin_password,
        admin_secret=workspace.spec.access.admin_secret_name,
        recorded=_recorded_tools(workspace),
        serves_since=_serves_since(observed.pods, OPENWEBUI),
    )


def _data(workspace: Workspace, claim: Manifest) -> str:
    """Return what the entries of models are in: a restore brings others to the same volume."""
    record = workspace.status.restore
    return " ".join(filter(None, (claim["metadata"]["uid"], record.run if record else "")))


def _recorded_tools(workspace: Workspace) -> ToolStatus:
    condition = workspace.status.condition(ConditionType.TOOLS_OFFERED)
    revision = workspace.status.tools_revision
    if condition is None:
        return ToolStatus(revision)
    return ToolStatus(
        revision,
        problem=condition.message if condition.reason == Reason.TOOLS_NOT_OFFERED else "",
        is_current=condition.status is ConditionStatus.TRUE,
    )


def _capacity_bytes(observed: Observed, claim: Ref) -> int:
    """What a bound claim's volume holds, or 0 while that is not known."""
    manifest = observed.objects.get(claim, {})
    size = manifest.get("status", {}).get("capacity", {}).get("storage")
    return int(quantity.parse(size)) if size else 0


def _server(pods: Sequence[Manifest], component: str) -> str:
    """Which pod of a workload serves now: its UID and how often its container was started; empty
    when none is ready."""
    pod = _serving_pod(pods, component)
    if pod is None:
        return ""
    started = [entry["restartCount"] for entry in pod["status"].get("containerStatuses", ())]
    return f"{pod['metadata']['uid']}/{sum(started)}"


def _serves_since(pods: Sequence[Manifest], component: str) -> datetime | None:
    pod = _serving_pod(pods, component)
    since = ready_since(pod) if pod else None
    return datetime.fromisoformat(since) if since else None


def _serving_pod(pods: Sequence[Manifest], component: str) -> Manifest | None:
    return next(
        (
            pod
            for pod in pods
            if pod["metadata"]["labels"].get(names.COMPONENT_LABEL) == component and is_ready(pod)
        ),
        None,
    )
