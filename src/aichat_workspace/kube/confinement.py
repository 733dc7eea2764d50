"""Ask the API server whether an admission policy confines us.

A ValidatingAdmissionPolicy refuses what a bug or a stolen token might try. A missing or renamed one
must show at once.
"""

from dataclasses import dataclass

import structlog

from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import ApiError, ForbiddenError, UnreachableError

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Probe:
    """A write without effect, which the role allows and only our policy refuses.

    It is tried in a namespace of our own: an authorizer or a policy of somebody else may protect
    another one, as GKE Autopilot protects kube-system, and then ours is never asked.
    """

    resource: Resource
    name: str
    namespace: str
    policy: str
    """The name of the ValidatingAdmissionPolicy."""


async def is_confined(client: Client, probe: Probe, *, field_manager: str) -> bool | None:
    """Return whether our policy, and nobody else's, refuses the probe; None without a response."""
    body = {
        "apiVersion": probe.resource.api_version,
        "kind": probe.resource.kind,
        "metadata": {"name": probe.name, "namespace": probe.namespace},
    }
    try:
        await client.create(probe.resource, body, field_manager=field_manager, dry_run=True)
    except ForbiddenError as error:
        if f"ValidatingAdmissionPolicy '{probe.policy}'" in error.message:
            return True
        _log.warning("confinement probe refused by another", answer=error.message)
        return False
    except (ApiError, UnreachableError) as error:
        _log.warning("confinement probe failed", error=str(error))
        return None
    return False
