"""Jobs, which run pods to their end, and CronJobs, which create Jobs.

https://kubernetes.io/docs/concepts/workloads/controllers/job/
"""

from typing import Final

from aichat_workspace.domain.kubernetes.manifest import Manifest

_ENDS: Final = frozenset({"Complete", "Failed"})


def pod_template(manifest: Manifest) -> Manifest:
    """Return the pod template of a Job, a CronJob or another workload."""
    spec = manifest["spec"]
    if "jobTemplate" in spec:
        spec = spec["jobTemplate"]["spec"]
    template: Manifest = spec["template"]
    return template


def has_ended(job: Manifest) -> bool:
    """Whether it has succeeded or failed, so that none of its pods is to come."""
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(
        condition["type"] in _ENDS and condition["status"] == "True" for condition in conditions
    )


def is_controlled(job: Manifest) -> bool:
    """Whether another object has made it, and ends it."""
    owners = job["metadata"].get("ownerReferences", ())
    return any(owner.get("controller") for owner in owners)
