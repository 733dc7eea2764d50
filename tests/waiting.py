"""Waiting for a condition, and a record of what each test waited for."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple


class Wait(NamedTuple):
    what: str
    seconds: float


_recorded: Final[list[Wait]] = []
_inside: Final = threading.local()


@contextmanager
def recorded(what: str) -> Iterator[None]:
    """Record how long the block took as a wait of the test that runs; a wait inside another one is
    part of that one."""
    if getattr(_inside, "wait", False):
        yield
        return
    _inside.wait, started = True, time.monotonic()
    try:
        yield
    finally:
        _inside.wait = False
        _recorded.append(Wait(what, time.monotonic() - started))


def take_recorded() -> list[Wait]:
    """The waits since the last call."""
    waits = _recorded.copy()
    _recorded.clear()
    return waits


def let_pass(seconds: float, why: str) -> None:
    """Let time pass in which something must not happen: nothing tells that it never will."""
    with recorded(why):
        time.sleep(seconds)


def eventually(
    holds: Callable[[], object],
    what: str,
    seconds: float = 120,
    story: Callable[[], str] = lambda: "",
) -> None:
    """Wait until something is so.

    Raises:
        AssertionError: it was not, after so many seconds; with the story, which is what a person
            would look at.
    """
    started = time.monotonic()
    with recorded(what):
        while not holds():
            if (waited := time.monotonic() - started) > seconds:
                raise AssertionError(f"after {seconds:.0f} s still not so: {what}\n{story()}")
            # What takes long is looked at less often: each look is work for the API server, too.
            time.sleep(min(0.1 + waited / 20, 0.3))
