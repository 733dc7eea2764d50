"""How long to wait before a workspace's servers are asked again."""

import random
from typing import Final

_FIRST_SECONDS: Final = 2.0
_MAX_SECONDS: Final = 300.0


def retry_seconds(failures: int) -> float:
    """After the first failure 2 s, doubled by each further one up to 5 min, with jitter."""
    return jittered(min(_FIRST_SECONDS * 2.0 ** min(failures - 1, 10), _MAX_SECONDS))


def jittered(seconds: float) -> float:
    """A tenth more or less, so that workspaces do not ask all at once."""
    return seconds * random.uniform(0.9, 1.1)  # noqa: S311  (jitter, not a secret)
