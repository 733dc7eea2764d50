"""Room for downloads beside what is on the volume and what comes."""

import pytest

from aichat_workspace.domain.models.capacity import PresentModel
from aichat_workspace.operator.models.errors import InsufficientSpaceError, ModelTooLargeError
from aichat_workspace.operator.models.volume_space import VolumeSpace

GIB = 2**30


def space_with(present_bytes: int, *removable: str) -> VolumeSpace:
    space = VolumeSpace(10 * GIB)
    space.present = (PresentModel("old:1", "d1", present_bytes),)
    space.removable = frozenset(removable)
    return space


def test_downloads_have_room_together_or_the_last_one_is_refused() -> None:
    space = space_with(GIB)
    space.require("a:1", 4 * GIB)
    with pytest.raises(ModelTooLargeError, match=r"raise spec\.storage\.ollama\.size"):
        space.require("b:1", 6 * GIB)
    space.end_download("b:1")
    space.require("a:1", 4 * GIB)


def test_an_ended_download_counts_no_more_as_one_that_comes() -> None:
    space = space_with(GIB)
    space.require("a:1", 4 * GIB)
    space.end_download("a:1")
    space.require("b:1", 6 * GIB)
    space.clear_downloads()
    space.require("c:1", 6 * GIB)


def test_a_model_that_can_go_makes_room_before_one_is_refused() -> None:
    space = space_with(6 * GIB, "old:1")
    with pytest.raises(InsufficientSpaceError, match="old:1 is removed first"):
        space.require("a:1", 6 * GIB)
    with pytest.raises(ModelTooLargeError):
        space.require("a:1", 12 * GIB)


def test_nothing_is_refused_while_the_capacity_is_unknown() -> None:
    VolumeSpace(0).require("a:1", 100 * GIB)
