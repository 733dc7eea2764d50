import pytest

from aichat_workspace.api.problems import Problem
from aichat_workspace.api.settings import Bounds
from aichat_workspace.api.throttle import Rate, Streams


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_let_through_and_then_so_many_a_second() -> None:
    clock = Clock()
    rate = Rate(2.0, 3, clock)
    for _ in range(3):
        rate.take("ann")
    with pytest.raises(Problem) as caught:
        rate.take("ann")
    assert caught.value.status == 429
    assert caught.value.retry_after_seconds == 1
    clock.now = 0.5
    rate.take("ann")
    with pytest.raises(Problem):
        rate.take("ann")


def test_whoever_waits_as_told_is_let_through() -> None:
    clock = Clock()
    rate = Rate(0.3, 1, clock)
    rate.take("ann")
    with pytest.raises(Problem) as caught:
        rate.take("ann")
    assert caught.value.retry_after_seconds is not None
    clock.now += caught.value.retry_after_seconds
    rate.take("ann")


def test_one_callers_haste_is_not_anothers() -> None:
    rate = Rate(1.0, 1, Clock())
    rate.take("ann")
    rate.take("bob")


def test_streams_are_counted_while_they_last() -> None:
    streams = Streams(Bounds(streams_per_caller=1, streams=2))
    with streams.place("ann"):
        with pytest.raises(Problem), streams.place("ann"):
            pass
        with streams.place("bob"), pytest.raises(Problem), streams.place("eve"):
            pass
    with streams.place("ann"):
        assert streams.open == 1
    assert streams.open == 0
