"""When clocks of a time zone are put forward or back."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

_DAY: Final = timedelta(days=1)
_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ClockChange:
    """Clocks are put forward or back, at one moment."""

    before: datetime
    """What clocks show at that moment by the time before, without a zone."""
    shift: timedelta
    """How far they are put forward; less than nothing where they are put back."""

    @property
    def skipped_hours(self) -> frozenset[int]:
        """The hours of the day of which something is skipped; none where clocks are put back."""
        hour = self.before.replace(minute=0)
        hours = []
        while hour < self.before + self.shift:
            hours.append(hour.hour)
            hour += _HOUR
        return frozenset(hours)


def clock_changes(zone: ZoneInfo, since: datetime, length: timedelta) -> tuple[ClockChange, ...]:
    """Return the changes from `since` on, for that long."""
    return tuple(_changes(zone, since.astimezone(UTC), since.astimezone(UTC) + length))


def _changes(zone: ZoneInfo, begin: datetime, end: datetime) -> Iterator[ClockChange]:
    """No zone changes twice in a day."""
    while begin < end:
        until = min(begin + _DAY, end)
        offset, shift = _offset(zone, begin), _offset(zone, until) - _offset(zone, begin)
        if shift:
            moment = _change_between(zone, begin, until)
            yield ClockChange((moment + offset).replace(tzinfo=None), shift)
        begin = until


def _change_between(zone: ZoneInfo, begin: datetime, end: datetime) -> datetime:
    """Return the first minute with the offset of the end."""
    while end - begin > _MINUTE:
        middle = begin + (end - begin) / 2
        if _offset(zone, middle) == _offset(zone, begin):
            begin = middle
        else:
            end = middle
    return (end + _MINUTE / 2).replace(second=0, microsecond=0)


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()
