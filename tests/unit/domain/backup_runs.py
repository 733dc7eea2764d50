"""Jobs of the backup program, and their pods, as the operator's caches have them."""

import json
from typing import Any

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref
from aichat_workspace.domain.planning.observed import Observed

WORKSPACE = "team-a-aichat"
CREATED = "2026-11-23T11:00:00Z"
ENDED = "2026-11-23T11:30:00Z"
BESIDE_CHAT: Manifest = {
    "affinity": {
        "podAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"labelSelector": {"matchLabels": {names.COMPONENT_LABEL: "openwebui"}}}
            ]
        }
    }
}


def job(
    name: str,
    end: str = "",
    reason: str = "",
    *,
    created: str = CREATED,
    ended: str = ENDED,
    failed: int = 0,
) -> Manifest:
    """Return a Job that runs, or with the type of its last condition."""
    condition = {
        "type": end,
        "status": "True",
        "reason": reason,
        "message": "",
        "lastTransitionTime": ended,
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": WORKSPACE,
            "uid": f"uid-{name}",
            "creationTimestamp": created,
        },
        "status": {
            **({"conditions": [condition]} if end else {}),
            **({"failed": failed} if failed else {}),
        },
    }


def pod(run: Manifest, *, phase: str = "Running", **state: Any) -> Manifest:
    """Return a pod of a Job, with the state of its container."""
    metadata = run["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{metadata['name']}-x",
            "namespace": WORKSPACE,
            "uid": f"pod-of-{metadata['uid']}",
            "labels": {names.COMPONENT_LABEL: "backup"},
            "creationTimestamp": CREATED,
            "ownerReferences": [{"kind": "Job", "uid": metadata["uid"], "controller": True}],
        },
        "status": {
            "phase": phase,
            "containerStatuses": [{"name": "backup", "image": "operator", "state": state}],
        },
    }


def waiting_for_chat(run: Manifest) -> Manifest:
    """Return a pod without a node that can only have the chat's."""
    return {**pod(run, phase="Pending"), "spec": BESIDE_CHAT}


def ended(run: Manifest, exit_code: int, result: dict[str, Any] | None = None) -> Manifest:
    """Return a pod whose program has ended, and left a result."""
    terminated = {
        "exitCode": exit_code,
        "reason": "Completed" if exit_code == 0 else "Error",
        "finishedAt": ENDED,
        "message": json.dumps(result) if result is not None else "",
    }
    return pod(run, phase="Failed" if exit_code else "Succeeded", terminated=terminated)


def observed(*manifests: Manifest, objects: dict[Ref, Manifest] | None = None) -> Observed:
    """Return what is seen of a workspace's namespace: Jobs and pods."""
    jobs = {
        Ref("Job", WORKSPACE, manifest["metadata"]["name"]): manifest
        for manifest in manifests
        if manifest["kind"] == "Job"
    }
    pods = tuple(manifest for manifest in manifests if manifest["kind"] == "Pod")
    namespace = {"metadata": {"name": WORKSPACE}}
    return Observed(namespace, {**(objects or {}), **jobs}, pods)
