"""Changed images reach workspaces a few at a time, and no further when one of them fails."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

Images = tuple[str, str]
"""Of the model server and of the chat front-end."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """Where one workspace is. `running` are the images its workloads name, None before there are
    any; `proven` are those with which both were last available."""

    name: str
    running: Images | None
    proven: Images | None
    target: Images
    failing: bool

    @property
    def outdated(self) -> bool:
        return self.running is not None and self.running != self.target

    @property
    def changing(self) -> bool:
        """On the way to the target, from other images."""
        return self.running == self.target and self.proven not in (None, self.target)


@dataclass(frozen=True, slots=True)
class Turn:
    """Whether a workspace may change its images now; else whom it waits for."""

    now: bool
    failed: str = ""


AT_ONCE: Final = Turn(now=True)


def turn(asks: Rollout, others: Iterable[Rollout], concurrent: int) -> Turn:
    """A workspace that is new or does not change need not wait. Of the others, `concurrent` change
    at the same time, in the order of their names; none starts while one that changed fails. Who
    asks counts even where the others do not know of it, as after a problem that kept it back."""
    if not asks.outdated:
        return AT_ONCE
    known = {**{each.name: each for each in others}, asks.name: asks}
    changing = [each for each in known.values() if each.changing]
    failed = sorted(each.name for each in changing if each.failing)
    if failed:
        return Turn(now=False, failed=failed[0])
    waiting = sorted(each.name for each in known.values() if each.outdated)
    return Turn(now=asks.name in waiting[: max(concurrent - len(changing), 0)])
