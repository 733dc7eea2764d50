"""How often Python looks for cycles: seldom, and less while everything is listed."""

import gc
from collections.abc import Iterator

import pytest

from aichat_workspace.runtime.garbage import collect_rarely, listing


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.set_threshold(*threshold)
    gc.unfreeze()


def test_what_is_listed_is_never_looked_at_again() -> None:
    collect_rarely()
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    with listing():
        assert gc.get_threshold()[0] > before[0]
        objects = [[number] for number in range(1_000)]
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() >= frozen + len(objects)


def test_a_list_that_failed_leaves_the_threshold_as_it_was() -> None:
    before = gc.get_threshold()
    with pytest.raises(OSError, match="torn"), listing():
        raise OSError("torn")
    assert gc.get_threshold() == before
