"""Why a run of the backup program failed, or does not begin."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from aichat_workspace.domain.kubernetes import job_ends
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.kubernetes.pods import containers, is_over
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.render.components import BACKUP

# docs/backup.md has the program's codes.
REASONS: Final[Mapping[str, Reason]] = {
    "failed": Reason.BACKUP_RUN_FAILED,
    "backup-not-found": Reason.BACKUP_NOT_FOUND,
    "other-workspace": Reason.BACKUP_OF_ANOTHER,
    "no-room": Reason.BACKUP_NO_ROOM,
    "wrong-passphrase": Reason.BACKUP_PASSPHRASE_WRONG,
    "invalid-archive": Reason.ARCHIVE_INVALID,
    "data-changed": Reason.BACKUP_DATA_CHANGED,
    "store-refused": Reason.BACKUP_STORE_REFUSED,
    "store-unreachable": Reason.BACKUP_STORE_UNREACHABLE,
    "store-failed": Reason.BACKUP_STORE_FAILED,
    "volume-failed": Reason.BACKUP_VOLUME_FAILED,
}


def is_result(job: Manifest) -> bool:
    """Whether a failed restore's program has said itself that it failed, and left the old data: by
    its exit code, which the Job's policy looks for (render/backup_jobs.py)."""
    return job_ends.failure(job)[0] == "PodFailurePolicy"


def failure_of(job: Manifest, pods: Sequence[Manifest]) -> Problem:
    """Return why a Job failed: in the program's own words, else in Kubernetes'."""
    end = job_ends.termination(pods, BACKUP)
    result = job_ends.result(end)
    if "error" in result:
        reason = REASONS.get(str(result["error"]), Reason.BACKUP_RUN_FAILED)
        return Problem(reason, str(result.get("message", "")))
    why, message = job_ends.failure(job)
    if why == job_ends.DEADLINE:
        return Problem(
            Reason.BACKUP_RUN_TIMED_OUT, f"Job {job['metadata']['name']} took too long: {message}"
        )
    if end:
        words = f"{end.get('reason', 'Error')}, exit code {end.get('exitCode')}"
        return Problem(Reason.BACKUP_RUN_KILLED, f"its pod ended without a result: {words}")
    return Problem(
        Reason.BACKUP_RUN_KILLED, f"its pods are gone without a result: {message or why}"
    )


def replaced_by(pods: Sequence[Manifest]) -> str:
    """Return the backup whose data a restore that failed has left in place: that of one that was
    killed before. Empty where the data is as it was."""
    return str(job_ends.result(job_ends.termination(pods, BACKUP)).get("replaced", ""))


def was_done_before(pods: Sequence[Manifest]) -> bool:
    """Whether the data came from the same restore already, so that a Job has replaced nothing."""
    return job_ends.result(job_ends.termination(pods, BACKUP)).get("again") is True


def why_waiting(pods: Iterable[Manifest]) -> str:
    """Return what a pod waits for, in Kubernetes' words; empty for nothing."""
    for pod in pods:
        if not is_over(pod) and (words := _waiting(pod)):
            return f"pod {pod['metadata']['name']} waits: {words}"
    return ""


def _waiting(pod: Manifest) -> str:
    for container in containers(pod):
        waiting: Mapping[str, Any] = container.get("state", {}).get("waiting") or {}
        if waiting.get("message"):  # without one it is being made
            return f"{waiting.get('reason', '')}: {waiting['message']}"
    for condition in pod.get("status", {}).get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("message", condition.get("reason", "")))
    return ""
