"""The API server's clock, as the Date headers of its responses tell it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime


@dataclass(slots=True)
class ServerClock:
    """What time it is on the API server. It costs no request of its own.

    A header tells whole seconds, and a response takes time: differences of some seconds mean
    nothing.
    """

    wall_time: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    """Counts seconds, whatever is done to the wall clock."""
    _text: str = ""
    _told: datetime | None = None
    _noted_seconds: float = 0.0

    def note(self, date: str) -> None:
        """Take the Date header of a response; empty for none."""
        if not date or date == self._text:  # parsed once a second, however many responses there are
            return
        self._text = date
        try:
            self._told = parsedate_to_datetime(date).astimezone(UTC)
        except ValueError:
            return
        self._noted_seconds = self.monotonic()

    @property
    def ahead(self) -> timedelta | None:
        """How far this machine's clock is ahead of the API server's; negative when it is behind,
        None when no response has told the time yet."""
        if self._told is None:
            return None
        elapsed = timedelta(seconds=self.monotonic() - self._noted_seconds)
        return self.wall_time() - (self._told + elapsed)
