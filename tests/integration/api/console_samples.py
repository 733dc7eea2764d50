"""Workspaces in the states that pictures of the console show, in a real API server.

No operator runs there, so that a state stays: messages and events are what the operator itself says
of them.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from aichat_workspace.domain import names, versions
from aichat_workspace.domain.models.capacity import capacity_problem
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_status import WorkspaceStatus
from aichat_workspace.operator.telemetry.events import events
from tests.integration.conftest import Cluster
from tests.unit.api.samples import resource

TEAM: Final = "science"
TEAMS: Final = (TEAM, "sales", "finance")
_GIB: Final = 2**30
SIZES: Final = (48_300_000, 46_900_000, 46_100_000)
"""Of the newest backups, in bytes."""
BACKUP: Final[dict[str, Any]] = {
    "destinations": [
        {
            "name": "offsite",
            "description": "Another building",
            "s3": {"endpoint": "https://s3.example.org", "bucket": "chats", "secretName": "store"},
        }
    ],
    "passphraseSecretName": "passphrase",
}
"""The platform's spec.backup."""
_MANAGED: Final = {names.MANAGED_BY_LABEL: names.OPERATOR}


def ago(**span: int) -> str:
    return _text(datetime.now(UTC) - timedelta(**span))


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def condition(kind: str, *, is_met: bool, time: str, message: str = "", reason: str = "As") -> Any:
    return {
        "type": kind,
        "status": "True" if is_met else "False",
        "reason": reason,
        "message": message,
        "lastTransitionTime": time,
        "observedGeneration": 1,
    }


def ready(name: str, *, models: list[str], team: str = TEAM) -> dict[str, Any]:
    created = datetime.now(UTC)
    kinds = ("Provisioned", "OllamaAvailable", "OpenWebUIAvailable", "ModelsReady", "Ready")
    seconds = (1, 4, 9, 71, 72)
    return resource(
        name,
        team=team,
        spec={"models": models},
        status={
            "phase": "Ready",
            "url": f"https://{name}.ai.example.org",
            "modelsReady": f"{len(models)}/{len(models)}",
            "models": [
                {"name": model, "state": "Ready", "totalBytes": int(1.6 * _GIB)} for model in models
            ],
            "patterns": [{"name": "explain_code", "state": "Ready"}],
            "conditions": [
                condition(kind, is_met=True, time=_text(created + timedelta(seconds=after)))
                for kind, after in zip(kinds, seconds, strict=True)
            ],
        },
    )


def pulling(name: str) -> dict[str, Any]:
    created, model = ago(minutes=2), "llama3.3:70b"
    met = ("Provisioned", "OllamaAvailable", "OpenWebUIAvailable")
    return resource(
        name,
        team=TEAM,
        spec={"models": [model, "nomic-embed-text"]},
        status={
            "phase": "PullingModels",
            "url": f"https://{name}.ai.example.org",
            "modelsReady": "1/2 41%",
            "models": [
                {
                    "name": model,
                    "state": "Pulling",
                    "percent": 41,
                    "completedBytes": int(16.1 * _GIB),
                    "totalBytes": int(39.6 * _GIB),
                    "bytesPerSecond": 68 * 2**20,
                    "etaSeconds": 360,
                },
                {"name": "nomic-embed-text", "state": "Ready", "totalBytes": 274 * 2**20},
            ],
            "conditions": [
                *(condition(kind, is_met=True, time=ago(seconds=110)) for kind in met),
                condition("ModelsReady", is_met=False, time=created, reason="Pulling"),
                condition(
                    "Ready",
                    is_met=False,
                    time=created,
                    reason="Pulling",
                    message="llama3.3:70b is being downloaded",
                ),
            ],
        },
    )


def degraded(name: str) -> dict[str, Any]:
    present, needed = int(3.2 * _GIB), int(17.4 * _GIB)
    problem = capacity_problem("gemma3:27b", needed, present, 20 * _GIB)
    sample = ready(name, models=["gemma2:2b"], team="sales")
    status = sample["status"]
    status["phase"] = "Degraded"
    status["conditions"][-2:] = [
        condition(
            "ModelsReady",
            is_met=False,
            time=ago(minutes=20),
            reason="ModelTooLarge",
            message=problem,
        ),
        condition(
            "Ready", is_met=False, time=ago(minutes=20), reason="ModelTooLarge", message=problem
        ),
    ]
    entries: list[dict[str, Any]] = [
        {"time": ago(minutes=20), "action": "edit", "user": "ann@example.org"},
        {"time": ago(days=2), "action": "resume", "user": "bo@example.org"},
        {"time": ago(days=31), "action": "create", "user": "ann@example.org"},
    ]
    entries[0] |= {"changed": ["spec.models"], "added": ["gemma3:27b"]}
    marks = sample["metadata"]["annotations"]
    marks[names.HISTORY_ANNOTATION] = json.dumps(entries[::-1])
    failed = {"name": "gemma3:27b", "state": "Failed", "reason": "ModelTooLarge"}
    status["models"].append({**failed, "message": problem})
    return sample


def suspended(name: str) -> dict[str, Any]:
    sample = ready(name, models=["qwen2.5:7b"], team="finance")
    sample["spec"]["suspended"] = True
    sample["status"]["phase"] = "Suspended"
    del sample["status"]["url"]
    return sample


def used(sample: dict[str, Any], **span: int) -> dict[str, Any]:
    """Return the workspace as one that people last used so long ago."""
    activity = {"usedAt": ago(**span), "askedAt": ago(minutes=50), "message": ""}
    return {**sample, "status": {**sample["status"], "activity": activity}}


def backed_up(sample: dict[str, Any]) -> dict[str, Any]:
    """Return the workspace as one that is backed up each night."""
    nights = [datetime.now(UTC).replace(hour=4, minute=30) - timedelta(days=n) for n in (1, 2, 3)]
    image = f"ghcr.io/open-webui/open-webui:v{versions.OPEN_WEBUI}"
    items = [
        {"name": f"{night:%Y%m%dT%H%M00Z}-0f3b9c2{n}", "sizeBytes": size, "openWebUI": image}
        for n, (night, size) in enumerate(zip(nights, SIZES, strict=True))
    ]
    backup = {
        "state": "Done",
        "finishedAt": _text(nights[0]),
        "succeededAt": _text(nights[0]),
        "destination": BACKUP["destinations"][0]["name"],
        "items": items,
    }
    spec = {**sample["spec"], "backup": {"schedule": "30 4 * * *"}}
    return {**sample, "spec": spec, "status": {**sample["status"], "backup": backup}}


def samples() -> tuple[dict[str, Any], ...]:
    """Return a workspace that is ready, one that downloads, one that needs a person, and one that
    is suspended, as of now."""
    return (
        used(ready("red-chat", models=["gemma2:2b", "llama3.2"]), minutes=12),
        pulling("research-chat"),
        backed_up(used(degraded("sales-chat"), hours=3)),
        used(suspended("year-end-chat"), days=74),
    )


def fill(cluster: Cluster) -> None:
    """Make the teams and the samples, and what the operator would have made for these."""
    for team in TEAMS:
        labels = {names.TEAM_LABEL: "true"}
        _apply(cluster, "v1", "Namespace", {"name": team, "labels": labels})
    for sample in samples():
        put(cluster, sample)
    for event in events_of(samples()[2]):
        cluster.apply(event)


def put(cluster: Cluster, sample: dict[str, Any]) -> None:
    """Make a workspace with this status, its namespace, and what is counted there."""
    metadata, name = sample["metadata"], sample["spec"]["workspaceName"]
    team = metadata["namespace"]
    own = {key: metadata[key] for key in ("name", "namespace", "annotations")}
    _apply(cluster, names.API_VERSION, "AIChatWorkspace", own, spec=sample["spec"])
    uid = cluster.get("aiws", name, "-n", team)["metadata"]["uid"]
    owner = {names.OWNER_UID_ANNOTATION: uid}
    _apply(cluster, "v1", "Namespace", {"name": name, "annotations": owner, "labels": _MANAGED})
    namespace = {"name": name, "uid": cluster.get("namespace", name)["metadata"]["uid"]}
    status = {"status": {**sample["status"], "namespace": namespace}}
    cluster.kube.patch("aiws", name, team, status, "status")
    within = {"namespace": name, "labels": _MANAGED}
    hard = {"limits.cpu": "6", "limits.memory": "12Gi", "requests.storage": "40Gi", "pods": "4"}
    _apply(cluster, "v1", "ResourceQuota", {"name": name, **within}, spec={"hard": hard})
    for claim, size in ((names.ollama(name), "20Gi"), (names.openwebui(name), "10Gi")):
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
        _apply(cluster, "v1", "PersistentVolumeClaim", {"name": claim, **within}, spec=spec)


def _apply(
    cluster: Cluster, version: str, kind: str, metadata: dict[str, Any], **parts: Any
) -> None:
    cluster.apply({"apiVersion": version, "kind": kind, "metadata": metadata, **parts})


def events_of(sample: dict[str, Any]) -> Iterator[Any]:
    """Yield what the operator reports of a workspace that was well until twenty minutes ago."""
    was_well = ready(sample["spec"]["workspaceName"], models=["gemma2:2b"])
    now = datetime.now(UTC) - timedelta(minutes=20)
    new_status = WorkspaceStatus.model_validate(sample["status"], by_alias=True)
    for event in events(Workspace.parse(was_well), new_status, now):
        where = {"namespace": sample["metadata"]["namespace"]}
        metadata, regarding = {**event["metadata"], **where}, {**event["regarding"], **where}
        yield {
            **event,
            "metadata": metadata,
            "regarding": regarding,
            "reportingInstance": "operator-0",
        }
