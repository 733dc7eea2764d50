"""Ages, sizes and durations."""

import pytest

from aichat_workspace.cli.render import words


@pytest.mark.parametrize(
    ("seconds", "age"), [(-1, "0s"), (59.9, "59s"), (60, "1m"), (7_199, "1h"), (86_400 * 9, "9d")]
)
def test_an_age_has_one_unit(seconds: float, age: str) -> None:
    assert words.age(seconds) == age


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
    assert words.size(count_bytes) == size


@pytest.mark.parametrize(
    ("seconds", "time_left"),
    [(0, "about 1 s"), (89, "about 89 s"), (355, "about 6 min"), (9_000, "about 2 h")],
)
def test_time_left_is_rough(seconds: int, time_left: str) -> None:
    assert words.roughly(seconds) == time_left


def test_a_count_agrees_with_its_noun() -> None:
    assert [words.count(number, "model") for number in (0, 1, 2)] == [
        *("0 models", "1 model", "2 models")
    ]
