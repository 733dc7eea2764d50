"""Whether a model fits, and what to raise."""

import pytest

from aichat_workspace.domain.models.capacity import MEMORY_FIELD, STORAGE_FIELD
from aichat_workspace.domain.models.fit import Room, fit

GIB = 2**30
MODEL = "some:8b"


@pytest.mark.parametrize(
    ("size", "room", "fits", "raised"),
    [
        pytest.param(4 * GIB, Room(8 * GIB, 20 * GIB), True, {}, id="enough of both"),
        pytest.param(4 * GIB, Room(), True, {}, id="nothing known"),
        pytest.param(
            4 * GIB, Room(4 * GIB, 20 * GIB), False, {MEMORY_FIELD: "6Gi"}, id="too large"
        ),
        pytest.param(
            4 * GIB, Room(5 * GIB, 20 * GIB), True, {MEMORY_FIELD: "6Gi"}, id="little memory"
        ),
        pytest.param(4 * GIB, Room(0, 4 * GIB), False, {STORAGE_FIELD: "5Gi"}, id="full volume"),
        pytest.param(
            9 * GIB,
            Room(8 * GIB, 20 * GIB, occupied_bytes=12 * GIB),
            False,
            {MEMORY_FIELD: "11Gi", STORAGE_FIELD: "23Gi"},
            id="neither",
        ),
        pytest.param(
            9 * GIB,
            Room(0, 10 * GIB, 9 * GIB, {MODEL: 9 * GIB}),
            True,
            {},
            id="what is there already needs no space",
        ),
        pytest.param(
            9 * GIB,
            Room(0, 10 * GIB, 4 * GIB, {MODEL: 4 * GIB}),
            True,
            {},
            id="what was downloaded in part needs the rest",
        ),
    ],
)
def test_a_model_fits_or_says_what_to_raise(
    size: int, room: Room, fits: bool, raised: dict[str, str]
) -> None:
    result = fit(MODEL, size, room)
    assert (result.fits, {change.field: change.to for change in result.raises}) == (fits, raised)
    for change in result.raises:
        assert change.field in change.message


@pytest.mark.parametrize("size", [1, GIB, 3 * GIB, 40 * GIB])
def test_what_it_says_to_raise_to_is_enough(size: int) -> None:
    """A model fits, without further advice, where both are as it says."""
    narrow = Room(1, 1, occupied_bytes=7)
    values = {change.field: change.to for change in fit(MODEL, size, narrow).raises}
    memory, storage = (
        int(values[field].removesuffix("Gi")) * GIB for field in (MEMORY_FIELD, STORAGE_FIELD)
    )
    result = fit(MODEL, size, Room(memory, storage, occupied_bytes=7))
    assert (result.fits, result.raises) == (True, ())
