from datetime import UTC, datetime

import pytest

from aichat_workspace.console import units


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (0.9, "0 s"), (59, "59 s"), (60, "1 min"), (7_199, "1 h"), (200_000, "2 d")],
)
def test_a_span_is_told_in_its_largest_unit(seconds: float, text: str) -> None:
    assert units.span(seconds) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_717_986_918, "1.6 GiB")],
)
def test_a_size_is_told_in_its_largest_binary_unit(size_bytes: int, text: str) -> None:
    assert units.size(size_bytes) == text


def test_an_age_is_the_time_since_a_moment() -> None:
    moment, now = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC)
    assert units.age(moment, now) == "2 d"
