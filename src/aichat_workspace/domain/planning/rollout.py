"""Changed pod templates reach workspaces a few at a time, and no further when too many fail.

What takes a turn is a pod template that the platform changed: by an image, a default, a domain or a
new release of the operator. What the workspace's own spec or Secrets change goes at once.
"""

import hashlib
from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from itertools import islice
from typing import Final

from aichat_workspace.domain.v1alpha1.platform_spec import Upgrades
from aichat_workspace.domain.v1alpha1.workspace_status import TurnState

DEFAULT_ORDER: Final = 100
"""Of a workspace without the platform's label."""
_BLOCKED_BY_LENGTH: Final = 3


class Stage(StrEnum):
    """Where a workspace is on its way to the pod templates that the platform has now."""

    WAITING = "waiting"
    CHANGING = "changing"
    FAILED = "failed"
    """Its turn has ended without success, and the change may be why."""
    STUCK = "stuck"
    """Its turn has ended without success, for a reason of its own."""
    SKIPPED = "skipped"
    DONE = "done"


STAGES: Final = {
    TurnState.CHANGING: Stage.CHANGING,
    TurnState.FAILED: Stage.FAILED,
    TurnState.STUCK: Stage.STUCK,
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a workspace stands in the order of turns."""

    name: str
    healthy: bool = True
    """Unhealthy ones come last: they prove nothing, and would hold up all others."""
    order: int = DEFAULT_ORDER
    """What the platform's label says."""
    salt: str = ""
    """Another with each change of the platform, so that no workspace is always the first."""

    @property
    def key(self) -> tuple[bool, int, str, str]:
        digest = hashlib.sha256(f"{self.salt} {self.name}".encode()).hexdigest()
        return not self.healthy, self.order, digest, self.name


@dataclass(frozen=True, slots=True)
class Rollout:
    """One workspace on the board."""

    place: Place
    stage: Stage

    @property
    def name(self) -> str:
        return self.place.name


class Refusal(Enum):
    """Why a workspace has no slot now."""

    WAITING = auto()
    STOPPED = auto()
    """Too many have failed."""
    PAUSED = auto()
    SKIPPED = auto()


@dataclass(frozen=True, slots=True)
class RolloutSlot:
    """Whether a workspace may change its pods now."""

    refusal: Refusal | None = None
    """None where it may."""
    blocked_by: tuple[str, ...] = ()
    """Some of the workspaces that it waits for, or that failed."""

    @property
    def granted(self) -> bool:
        return self.refusal is None


GRANTED: Final = RolloutSlot()


@dataclass(slots=True)
class RolloutBoard:
    """All rollouts of the fleet. No question goes through all of them."""

    changed: int = 0
    """How many workspaces have changed with success since the rollout began."""
    _rollouts: dict[str, Rollout] = field(default_factory=dict)
    _names: dict[Stage, dict[str, None]] = field(
        default_factory=lambda: {stage: {} for stage in Stage}
    )
    _waiting: list[tuple[bool, int, str, str]] = field(default_factory=list)
    _unseen: set[str] = field(default_factory=set)
    _offered: set[str] = field(default_factory=set)

    def begin(self, workspaces: Iterable[str]) -> None:
        """Grant no slot until each of these workspaces was seen: only then the order is known."""
        self._unseen = set(workspaces)
        self._offered.clear()

    def see(self, name: str) -> None:
        """A workspace is being looked at."""
        self._unseen.discard(name)

    def put(self, name: str, rollout: Rollout | None) -> None:
        """Record a workspace's rollout, or that it has none."""
        previous = self._rollouts.pop(name, None)
        if previous is not None:
            self._remove(previous)
        if rollout is not None:
            self._add(rollout)
        was_in_turn = previous is not None and previous.stage in STAGES.values()
        if was_in_turn and rollout is not None and rollout.stage is Stage.DONE:
            self.changed += 1
        if not self._waiting and not self._names[Stage.CHANGING]:
            self.changed = 0

    def slot(self, place: Place, upgrades: Upgrades, *, is_paused: bool = False) -> RolloutSlot:
        """Decide whether a workspace may change its pods. It need not be on the board."""
        if is_paused:
            return RolloutSlot(Refusal.PAUSED)
        if self.is_stopped(upgrades):
            return RolloutSlot(Refusal.STOPPED, self._some(Stage.FAILED))
        ahead = bisect_left(self._waiting, place.key)
        if self._unseen or ahead >= self._free(upgrades):
            return RolloutSlot(Refusal.WAITING, self._some(Stage.CHANGING))
        return GRANTED

    def take_offers(self, upgrades: Upgrades, *, is_paused: bool = False) -> list[str]:
        """Return the workspaces that have a slot, have not changed yet and were not returned
        before."""
        if is_paused or self._unseen or self.is_stopped(upgrades):
            self._offered.clear()
            return []
        names = [name for *_, name in self._waiting[: self._free(upgrades)]]
        offers = [name for name in names if name not in self._offered]
        self._offered = set(names)
        return offers

    def withdraw_offer(self, name: str) -> None:
        """Let `take_offers` return a workspace again if it still waits."""
        self._offered.discard(name)

    def is_stopped(self, upgrades: Upgrades) -> bool:
        """Whether more workspaces failed than the platform tolerates."""
        failures = len(self._names[Stage.FAILED])
        return failures > upgrades.tolerated_failures(failures + self.changed)

    def counts(self) -> Mapping[str, int]:
        """The number of workspaces in each stage."""
        return {str(stage): len(workspaces) for stage, workspaces in self._names.items()}

    def stage(self, name: str) -> Stage | None:
        rollout = self._rollouts.get(name)
        return rollout.stage if rollout else None

    @property
    def waiting(self) -> Sequence[str]:
        """All workspaces that are to change, in the order of their turns."""
        return [name for *_, name in self._waiting]

    def _free(self, upgrades: Upgrades) -> int:
        return max(upgrades.concurrent - len(self._names[Stage.CHANGING]), 0)

    def _some(self, stage: Stage) -> tuple[str, ...]:
        return tuple(islice(self._names[stage], _BLOCKED_BY_LENGTH))

    def _add(self, rollout: Rollout) -> None:
        self._rollouts[rollout.name] = rollout
        self._names[rollout.stage][rollout.name] = None
        if rollout.stage is Stage.WAITING:
            insort(self._waiting, rollout.place.key)

    def _remove(self, rollout: Rollout) -> None:
        self._names[rollout.stage].pop(rollout.name)
        if rollout.stage is Stage.WAITING:
            del self._waiting[bisect_left(self._waiting, rollout.place.key)]
