"""Ages, sizes and durations."""

from datetime import UTC, datetime

import pytest

from aichat_workspace.foundation import units


@pytest.mark.parametrize(
    ("seconds", "age", "span"),
    [
        (-5, "0s", "0 s"),
        (0.9, "0s", "0 s"),
        (59.9, "59s", "59 s"),
        (60, "1m", "1 min"),
        (7_199, "1h", "1 h"),
        (86_400 * 9, "9d", "9 d"),
    ],
)
def test_ages_and_spans_have_one_unit(seconds: float, age: str, span: str) -> None:
    assert (units.age(seconds), units.span(seconds)) == (age, span)


def test_a_time_without_fractions_is_read() -> None:
    now = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
    assert units.seconds_since("2026-01-01T00:00:00Z", now) == 60


@pytest.mark.parametrize(
    ("count_bytes", "size"),
    [
        (0, "0 B"),
        (1_023, "1023 B"),
        (1_024, "1.0 KiB"),
        (1_048_575, "1.0 MiB"),
        (1_629_518_495, "1.5 GiB"),
        (2**60, "1024.0 PiB"),
    ],
)
def test_a_size_is_binary_with_one_decimal(count_bytes: int, size: str) -> None:
    assert units.size(count_bytes) == size


@pytest.mark.parametrize(
    ("seconds", "time_left"),
    [(0, "about 1 s"), (89, "about 89 s"), (355, "about 6 min"), (9_000, "about 2 h")],
)
def test_time_left_is_rough(seconds: int, time_left: str) -> None:
    assert units.roughly(seconds) == time_left
