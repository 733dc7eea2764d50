from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aichat_workspace.domain.kubernetes import quantity


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("500m", Fraction(1, 2)),
        ("2", 2),
        ("1Gi", 1024**3),
        ("1G", 10**9),
        ("1.5Ki", 1536),
        ("1Ei", 1024**6),
        ("1E", 10**18),
        ("1e9", 10**9),
        ("1E3", 1000),
        ("25e-1", Fraction(5, 2)),
        ("+.5", Fraction(1, 2)),
        ("1.", 1),
        ("7u", Fraction(7, 10**6)),
        ("7n", Fraction(7, 10**9)),
    ],
)
def test_a_quantity_is_read_exactly(text: str, amount: Fraction) -> None:
    assert quantity.parse(text) == amount


@pytest.mark.parametrize("text", ["", "much", "1Kb", "-1", "1e", "1e99999999"])
def test_a_text_that_is_no_quantity_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="500m, 2, 512Mi"):
        quantity.parse(text)


@given(st.integers(min_value=0, max_value=2**63 - 1))
def test_a_written_size_parses_to_the_same_amount(amount: int) -> None:
    assert quantity.parse(quantity.size(Fraction(amount))) == amount


@given(st.integers(min_value=0, max_value=10**9))
def test_written_cores_parse_to_the_same_amount(millis: int) -> None:
    assert quantity.parse(quantity.cores(Fraction(millis, 1000))) == Fraction(millis, 1000)


def test_quantities_are_compared_by_amount() -> None:
    assert quantity.same("2000m", "2")
    assert quantity.same("1024Mi", "1Gi")
    assert not quantity.same("1G", "1Gi")
    assert not quantity.same("", "0")
