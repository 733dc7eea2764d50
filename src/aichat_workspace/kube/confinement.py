"""Ask the API server whether an admission policy confines us.

A ValidatingAdmissionPolicy refuses what a bug or a stolen token might try. A missing or renamed one
must show at once.
"""

import structlog

from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import ApiError, ForbiddenError, UnreachableError

_log = structlog.get_logger()


async def is_confined(
    client: Client, resource: Resource, name: str, *, field_manager: str
) -> bool | None:
    """Return whether a policy, and not only the role, refuses to create this in kube-system, which
    is tried without effect; None without a response."""
    probe = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": name, "namespace": "kube-system"},
    }
    try:
        await client.create(resource, probe, field_manager=field_manager, dry_run=True)
    except ForbiddenError as error:
        return "ValidatingAdmissionPolicy" in error.message
    except (ApiError, UnreachableError) as error:
        _log.warning("confinement probe failed", error=str(error))
        return None
    return False
