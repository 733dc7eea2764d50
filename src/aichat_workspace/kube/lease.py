"""What a Lease says, and what to do about it. Pure: clocks and times are arguments.

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
    """What is stood for, by whom, and for how long.

    `identity` is this process's alone: a lease that carries it is taken without waiting. A leader
    that has not renewed for `renew_seconds` stops; a candidate takes a lease that has not changed
    for `lease_seconds`. Raises ValueError unless lease > renew > retry > 0.
    """

    namespace: str
    name: str
    identity: str
    field_manager: str
    lease_seconds: int = 15
    renew_seconds: float = 10.0
    retry_seconds: float = 2.0

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
        """How long one attempt may take: half the deadline, so that a hung one leaves another."""
        return self.renew_seconds / 2


@dataclass(frozen=True, slots=True)
class LeaseObservation:
    """The lease as last seen, and until when its holder may be at work, by our own clock."""

    lease: Json | None
    held_until_seconds: float

    @property
    def holder(self) -> str:
        """Empty for a lease that is released or not there."""
        return str(_spec(self.lease).get("holderIdentity") or "")


class Decision(Enum):
    CREATE = auto()
    TAKE = auto()
    RENEW = auto()
    WAIT = auto()
    STEP_DOWN = auto()


def observe(
    before: LeaseObservation | None, lease: Json | None, now_seconds: float, terms: LeaseConfig
) -> LeaseObservation:
    """What a reading of the lease (None: not there) tells beyond what was known.

    Only a change of the spec is a sign of life. A holder says itself how long it holds.
    """
    if lease is None:
        return LeaseObservation(None, before.held_until_seconds if before else now_seconds)
    if before and before.lease and _spec(before.lease) == _spec(lease):
        return replace(before, lease=lease)
    found = LeaseObservation(lease, now_seconds)
    if not found.holder:
        return found
    duration_seconds = _spec(lease).get("leaseDurationSeconds") or terms.lease_seconds
    return replace(found, held_until_seconds=now_seconds + duration_seconds)


def decide(
    seen: LeaseObservation, identity: str, now_seconds: float, leads_until_seconds: float | None
) -> Decision:
    """What to do about the lease. `leads_until_seconds` is None for a candidate."""
    if leads_until_seconds is not None and now_seconds >= leads_until_seconds:
        return Decision.STEP_DOWN
    if seen.holder == identity:
        return Decision.RENEW
    if leads_until_seconds is not None and seen.holder:
        return Decision.STEP_DOWN
    if leads_until_seconds is None and now_seconds < seen.held_until_seconds:
        return Decision.WAIT
    return Decision.CREATE if seen.lease is None else Decision.TAKE


def claimed(seen: LeaseObservation, terms: LeaseConfig, wall_time: datetime) -> Json:
    """The lease to write so as to create, take or renew it."""
    stamp = format_micro_time(wall_time)
    old = _spec(seen.lease)
    ours = seen.holder == terms.identity
    transitions = int(old.get("leaseTransitions") or 0)
    spec = {
        **old,
        "holderIdentity": terms.identity,
        "leaseDurationSeconds": terms.lease_seconds,
        "acquireTime": (old.get("acquireTime") if ours else None) or stamp,
        "renewTime": stamp,
        "leaseTransitions": transitions if ours or seen.lease is None else transitions + 1,
    }
    return {**(seen.lease or _empty(terms)), "spec": spec}


def released(lease: Json, wall_time: datetime) -> Json:
    """The lease to write so that the next candidate takes it at once, as client-go does."""
    stamp = format_micro_time(wall_time)
    spec = {
        **_spec(lease),
        "holderIdentity": "",
        "leaseDurationSeconds": 1,
        "acquireTime": stamp,
        "renewTime": stamp,
    }
    return {**lease, "spec": spec}


def _spec(lease: Json | None) -> Json:
    return (lease or {}).get("spec") or {}


def _empty(terms: LeaseConfig) -> Json:
    metadata = {"name": terms.name, "namespace": terms.namespace}
    return {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata}
