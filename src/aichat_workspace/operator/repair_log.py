"""How often each object was put back, so that somebody who keeps changing it can be named."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from aichat_workspace.domain.kubernetes.manifest import Ref
from aichat_workspace.domain.planning.repairs import Repair
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason

_MANY: Final = 5
_UNKNOWN: Final = "somebody, perhaps a second operator"
_PAUSE: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Generations:
    """Of the specs that say how the objects of a workspace are to be."""

    workspace: int
    platform: int
    """0 where there is no AIChatPlatform."""


@dataclass(slots=True)
class _Series:
    """Repairs of one object to the same state, with pauses of less than five minutes."""

    repair: Repair
    """The last one."""
    generations: Generations
    """Another spec may have brought the object to another state meanwhile, or taken it away: to
    come back to this one is no repair."""
    count: int
    last: datetime


@dataclass(slots=True)
class RepairLog:
    """Counts the repairs of all workspaces."""

    _series: dict[str, dict[Ref, _Series]] = field(default_factory=dict)
    """By workspace; the longest ago repaired comes first."""

    def note(
        self, name: str, generations: Generations, repairs: Iterable[Repair], now: datetime
    ) -> bool:
        """Count what a plan has put back that these generations ask for. Return whether any of it
        was put back before."""
        running, is_repeated = self._running(name, now), False
        for repair in repairs:
            previous = running.get(repair.ref)
            is_same = (
                previous is not None
                and previous.generations == generations
                and previous.repair.digest == repair.digest
            )
            count = previous.count + 1 if previous and is_same else 1
            running[repair.ref] = _Series(repair, generations, count, now)
            is_repeated |= count > 1
        self._series.pop(name, None)
        if running:
            self._series[name] = running
        self._drop_ended(now)
        return is_repeated

    def problem(self, name: str) -> Problem | None:
        """Return who changes what again and again, as of the last note."""
        many = [series for series in self._series.get(name, {}).values() if series.count >= _MANY]
        if not many:
            return None
        texts = "; ".join(sorted(_text(series.repair) for series in many))
        return Problem(
            Reason.CHANGED_BY_OTHERS,
            f"{texts}; the operator puts it back each time, at most some times a minute; end what "
            "changes it, or let it leave the workspace's namespace alone",
        )

    def ends_in_seconds(self, name: str, now: datetime) -> float | None:
        """Return when a problem may be over although no event comes; None without one."""
        ends = (
            series.last + _PAUSE
            for series in self._series.get(name, {}).values()
            if series.count >= _MANY
        )
        first = min(ends, default=None)
        return None if first is None else max(0.0, (first - now).total_seconds())

    def _drop_ended(self, now: datetime) -> None:
        while self._series:
            name = next(iter(self._series))
            if self._running(name, now):
                return
            del self._series[name]

    def _running(self, name: str, now: datetime) -> dict[Ref, _Series]:
        series = self._series.get(name, {})
        return {ref: last for ref, last in series.items() if now - last.last < _PAUSE}


def _text(repair: Repair) -> str:
    who = " and ".join(map(repr, repair.managers)) or _UNKNOWN
    if repair.is_gone:
        return f"{repair.ref} is deleted again and again by {who}"
    if repair.is_extra:
        return f"{repair.ref}, which is none of the workspace, is made again and again by {who}"
    what = f" ({', '.join(repair.fields)})" if repair.fields else ""
    return f"{repair.ref}{what} is changed again and again by {who}"
