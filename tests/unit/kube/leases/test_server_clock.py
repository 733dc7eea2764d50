"""The API server's clock, beside a clock of our own that is set."""

from datetime import UTC, datetime, timedelta

import pytest

from aichat_workspace.kube.leases.server_clock import ServerClock

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DATE = "Mon, 23 Nov 2026 12:00:00 GMT"


class Machine:
    """A wall clock that can be set, and a monotonic one that can't."""

    def __init__(self) -> None:
        self.wall_time = NOW
        self.seconds = 100.0
        self.server = ServerClock(lambda: self.wall_time, lambda: self.seconds)

    def passes(self, seconds: float) -> None:
        self.seconds += seconds
        self.wall_time += timedelta(seconds=seconds)


def test_a_clock_is_unknown_before_the_first_response() -> None:
    machine = Machine()
    assert machine.server.ahead is None
    machine.server.note("")
    machine.server.note("half past eight")
    assert machine.server.ahead is None


@pytest.mark.parametrize("ahead", [timedelta(), timedelta(days=30), timedelta(minutes=-6)])
def test_a_response_tells_how_far_our_clock_is_ahead(ahead: timedelta) -> None:
    machine = Machine()
    machine.wall_time += ahead
    machine.server.note(DATE)
    assert machine.server.ahead == ahead
    machine.passes(3600)
    machine.server.note(DATE)  # a repeated text tells nothing new
    assert machine.server.ahead == ahead


def test_a_clock_that_jumps_is_noticed_without_another_response() -> None:
    machine = Machine()
    machine.server.note(DATE)
    machine.passes(10)
    machine.wall_time += timedelta(days=30)
    assert machine.server.ahead == timedelta(days=30)
    machine.server.note("Mon, 23 Nov 2026 12:00:10 GMT")
    assert machine.server.ahead == timedelta(days=30)
