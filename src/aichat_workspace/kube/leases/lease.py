"""Decisions about a Lease. Pure: clocks and times are arguments.

No two clocks are ever compared: the times in a Lease are for people. A candidate counts the
seconds since it saw the record change; the leader stops `lease_seconds - renew_seconds` before any
candidate's count can be full.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto
from typing import Final

from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.objects import Json
from aichat_workspace.kube.timestamps import format_micro_time

LEASES: Final = Resource("coordination.k8s.io", "v1", "Lease", "leases")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseConfig:
    """The lease, its candidate and its times.

    Raises ValueError unless lease > renew > retry > 0.
    """

    namespace: str
    name: str
    identity: str
    """This process's alone: a lease that carries it is taken without waiting."""
    field_manager: str
    lease_seconds: int = 15
    """A candidate takes a lease that has not changed for so long."""
    renew_seconds: float = 10.0
    """A leader that has not renewed for so long stops."""
    retry_seconds: float = 2.0
    """The pause between two attempts."""

    def __post_init__(self) -> None:
        if not self.identity:
            raise ValueError("a leader needs an identity: an empty one means a released lease")
        if not self.lease_seconds > self.renew_seconds > self.retry_seconds > 0:
            raise ValueError(
                "a lease must outlast its renewal, and the renewal its retry: "
                f"{self.lease_seconds} > {self.renew_seconds} > {self.retry_seconds} > 0 s"
            )

    @property
    def request_seconds(self) -> float:
        """Return the limit of one attempt: half the deadline leaves time for another."""
        return self.renew_seconds / 2


@dataclass(frozen=True, slots=True)
class LeaseObservation:
    """The lease as last read."""

    lease: Json | None
    """None when it does not exist."""
    held_until_seconds: float
    """Until when its holder may be at work, by our own clock."""

    @property
    def holder(self) -> str:
        """Return the identity in it; empty for a lease that is released or does not exist."""
        return str(_spec(self.lease).get("holderIdentity") or "")


class Decision(Enum):
    """What to do about the lease."""

    CREATE = auto()
    TAKE = auto()
    RENEW = auto()
    WAIT = auto()
    STEP_DOWN = auto()


def observe(
    before: LeaseObservation | None, lease: Json | None, now_seconds: float, config: LeaseConfig
) -> LeaseObservation:
    """Update an observation with a reading of the lease, or with None when it does not exist.

    Only a change of the spec is a sign of life. The holder itself states how long it holds.
    """
    if lease is None:
        return LeaseObservation(None, before.held_until_seconds if before else now_seconds)
    if before and before.lease and _spec(before.lease) == _spec(lease):
        return replace(before, lease=lease)
    observation = LeaseObservation(lease, now_seconds)
    if not observation.holder:
        return observation
    duration_seconds = _spec(lease).get("leaseDurationSeconds") or config.lease_seconds
    return replace(observation, held_until_seconds=now_seconds + duration_seconds)


def decide(
    observation: LeaseObservation,
    identity: str,
    now_seconds: float,
    leads_until_seconds: float | None,
) -> Decision:
    """Decide what to do about the lease. `leads_until_seconds` is None for a candidate."""
    if leads_until_seconds is not None and now_seconds >= leads_until_seconds:
        return Decision.STEP_DOWN
    if observation.holder == identity:
        return Decision.RENEW
    if leads_until_seconds is not None and observation.holder:
        return Decision.STEP_DOWN
    if leads_until_seconds is None and now_seconds < observation.held_until_seconds:
        return Decision.WAIT
    return Decision.CREATE if observation.lease is None else Decision.TAKE


def claimed_lease(observation: LeaseObservation, config: LeaseConfig, wall_time: datetime) -> Json:
    """Return the lease to write so as to create, take or renew it."""
    timestamp = format_micro_time(wall_time)
    old = _spec(observation.lease)
    is_ours = observation.holder == config.identity
    transitions = int(old.get("leaseTransitions") or 0)
    spec = {
        **old,
        "holderIdentity": config.identity,
        "leaseDurationSeconds": config.lease_seconds,
        "acquireTime": (old.get("acquireTime") if is_ours else None) or timestamp,
        "renewTime": timestamp,
        "leaseTransitions": transitions
        if is_ours or observation.lease is None
        else transitions + 1,
    }
    return {**(observation.lease or _empty(config)), "spec": spec}


def released_lease(lease: Json, wall_time: datetime) -> Json:
    """Return the lease to write so that the next candidate takes it at once, as client-go does."""
    timestamp = format_micro_time(wall_time)
    spec = {
        **_spec(lease),
        "holderIdentity": "",
        "leaseDurationSeconds": 1,
        "acquireTime": timestamp,
        "renewTime": timestamp,
    }
    return {**lease, "spec": spec}


def _spec(lease: Json | None) -> Json:
    return (lease or {}).get("spec") or {}


def _empty(config: LeaseConfig) -> Json:
    metadata = {"name": config.name, "namespace": config.namespace}
    return {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata}
