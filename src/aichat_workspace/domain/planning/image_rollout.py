"""Changed images reach workspaces a few at a time, and no further when one of them fails."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

Images = tuple[str, str]
"""Of the model server and of the chat front-end."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """Where one workspace is. `running` are the images its workloads name, None before there are
    any; `proven` are those with which both were last available. It is `failing` for a reason that
    an image can have, `refused` when the API server does not take the workload with the target,
    and `well` unless a workload is not available."""

    name: str
    running: Images | None
    last_working: Images | None
    target: Images
    failing: bool
    refused: bool = False
    healthy: bool = True

    @property
    def outdated(self) -> bool:
        return self.running is not None and self.running != self.target

    @property
    def changing(self) -> bool:
        """On the way to the target, from other images."""
        return self.running == self.target and self.last_working not in (None, self.target)

    @property
    def stops_others(self) -> bool:
        return self.outdated if self.refused else self.changing and self.failing


@dataclass(frozen=True, slots=True)
class RolloutSlot:
    """Whether a workspace may change its images now; else whom it waits for."""

    now: bool
    failed: str = ""


GRANTED: Final = RolloutSlot(now=True)


def grant_slot(asks: Rollout, others: Iterable[Rollout], concurrent: int) -> RolloutSlot:
    """A workspace that is new or does not change need not wait, nor one that was refused: it has
    had its turn. Of the others, `concurrent` change at the same time; none starts while one that
    changed fails. Who asks counts even where the others do not know of it, as after a problem that
    kept it back."""
    if not asks.outdated or asks.refused:
        return GRANTED
    known = {**{each.name: each for each in others}, asks.name: asks}.values()
    failed = sorted(each.name for each in known if each.stops_others)
    if failed:
        return RolloutSlot(now=False, failed=failed[0])
    places = max(concurrent - sum(each.changing for each in known), 0)
    return RolloutSlot(now=asks.name in by_readiness(known)[:places])


def by_readiness(rollouts: Iterable[Rollout]) -> list[str]:
    """Who is to change, by name; those that are not well come last, for they prove nothing of an
    image and would hold up everybody."""
    waiting = (each for each in rollouts if each.outdated)
    return [each.name for each in sorted(waiting, key=lambda each: (not each.healthy, each.name))]
