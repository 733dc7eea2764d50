"""Check that the API server itself confines the operator.

The ValidatingAdmissionPolicy that ships with the operator refuses what a bug or a stolen token
might try. A missing or renamed policy must show at once: the operator does nothing before the
policy has refused a write that its role alone would allow, and writes nothing while the policy is
gone. It keeps its lease meanwhile, for no other replica is confined better.
"""

import asyncio
from typing import Final

import structlog

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.kinds import SERVICE_ACCOUNT
from aichat_workspace.kube import confinement
from aichat_workspace.kube.client import Client

# The operator makes ServiceAccounts in tenants' namespaces only, and this is none.
_PROBE: Final = confinement.Probe(
    SERVICE_ACCOUNT,
    f"{names.OPERATOR}-probe",
    names.SYSTEM_NAMESPACE,
    policy=f"{names.OPERATOR}-confinement",
)
_RETRY_SECONDS: Final = 2.0
_CHECK_SECONDS: Final = 600.0
_RECHECK_SECONDS: Final = 5.0
_log: Final = structlog.get_logger()


async def wait_confined(client: Client) -> None:
    """Wait until the admission policy refuses a dry-run write that only it refuses."""
    while not await is_confined(client):
        _log_unconfined(_RETRY_SECONDS)
        await asyncio.sleep(_RETRY_SECONDS)


async def watch_confined(client: Client, confined: asyncio.Event) -> None:
    """Keep `confined` up to date until cancelled: a removed policy shows within ten minutes, a
    restored one within seconds. Without a response the state stays as it is."""
    while True:
        await asyncio.sleep(_CHECK_SECONDS if confined.is_set() else _RECHECK_SECONDS)
        result = await is_confined(client)
        if result:
            if not confined.is_set():
                _log.info("confined again")
            confined.set()
        elif result is not None:
            confined.clear()
            _log_unconfined(_RECHECK_SECONDS)


def _log_unconfined(retry_seconds: float) -> None:
    _log.error(
        "not confined: nothing is written",
        fix=f"install config/admission: ValidatingAdmissionPolicy {_PROBE.policy} did not refuse a "
        f"ServiceAccount in {_PROBE.namespace}; where another policy refuses it first, exempt the "
        "operator's account there",
        retry_seconds=retry_seconds,
    )


async def is_confined(client: Client) -> bool | None:
    """Return whether the admission policy refuses our write; None without a response."""
    return await confinement.is_confined(client, _PROBE, field_manager=names.OPERATOR)
