"""Whether the API server itself confines the operator.

The ValidatingAdmissionPolicy that ships with the operator refuses what a bug or a stolen token
might try. One that is missing or renamed must show at once, so the operator does nothing before it
has seen a write refused that its role alone would allow, and writes nothing while it knows that
this is not so any more. It keeps its lease meanwhile: no other replica is confined better.
"""

import asyncio
from typing import Final

import structlog

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.kinds import RESOURCES
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import ApiError, ForbiddenError, UnreachableError

_RETRY_SECONDS: Final = 2.0
_CHECK_SECONDS: Final = 600.0
_RECHECK_SECONDS: Final = 5.0
_PROBE: Final = {
    "apiVersion": "v1",
    "kind": "ServiceAccount",
    "metadata": {"name": f"{names.OPERATOR}-probe", "namespace": "kube-system"},
}
_log: Final = structlog.get_logger()


async def wait_confined(client: Client) -> None:
    """Until a dry-run write to kube-system is refused by the admission policy."""
    while not await is_confined(client):
        _tell(_RETRY_SECONDS)
        await asyncio.sleep(_RETRY_SECONDS)


async def watch_confined(client: Client, confined: asyncio.Event) -> None:
    """For ever: a policy that was taken away shows within ten minutes, one that is back within
    seconds. An API server that does not answer says nothing of its policies."""
    while True:
        await asyncio.sleep(_CHECK_SECONDS if confined.is_set() else _RECHECK_SECONDS)
        found = await is_confined(client)
        if found:
            if not confined.is_set():
                _log.info("confined again")
            confined.set()
        elif found is not None:
            confined.clear()
            _tell(_RECHECK_SECONDS)


def _tell(retry_seconds: float) -> None:
    _log.error(
        "not confined: nothing is written",
        fix="install config/admission: a dry-run write to kube-system was not refused by the "
        "ValidatingAdmissionPolicy",
        retry_seconds=retry_seconds,
    )


async def is_confined(client: Client) -> bool | None:
    """Whether the admission policy, and not only the role, refuses a write of ours; None when
    there was no answer."""
    try:
        await client.create(
            RESOURCES["ServiceAccount"], _PROBE, field_manager=names.OPERATOR, dry_run=True
        )
    except ForbiddenError as error:
        return "ValidatingAdmissionPolicy" in error.message
    except (ApiError, UnreachableError) as error:
        _log.warning("confinement probe failed", error=str(error))
        return None
    return False
