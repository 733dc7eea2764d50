"""How often Python looks for cycles of objects that nothing refers to."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# Objects made since the last look. A watch event makes a hundred, and none of them in a cycle.
_THRESHOLD: Final = 50_000
# A decoded page of a list has a quarter of a million, which are gone again before the next one.
_THRESHOLD_WHILE_LISTING: Final = 1_000_000


def collect_rarely() -> None:
    """Look for cycles seldom, and never among what was imported.

    Call it once, after the imports. With Python's own threshold of 700 such looks took a sixth of
    the operator's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_THRESHOLD, 10, 10)


@contextmanager
def listing() -> Iterator[None]:
    """Look for cycles even less while everything is listed, and never among what is kept of that.

    Otherwise these looks take a third of the time of the lists.
    """
    before = gc.get_threshold()
    gc.set_threshold(_THRESHOLD_WHILE_LISTING, *before[1:])
    try:
        yield
        gc.collect()
        gc.freeze()
    finally:
        gc.set_threshold(*before)
