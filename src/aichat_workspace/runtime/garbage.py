"""How often Python looks for cycles of objects that nothing refers to."""

import gc
from typing import Final

# Objects made since the last look. A watch event makes a hundred, and none of them in a cycle.
_THRESHOLD: Final = 50_000


def collect_rarely() -> None:
    """Look for cycles seldom, and never among what was imported.

    Call it once, after the imports. With Python's own threshold of 700 such looks took a sixth of
    the operator's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_THRESHOLD, 10, 10)
