"""Figures compare the operator with the null writer."""

from benchmarks.comparison.benchmark import BringUp, compared
from benchmarks.comparison.recording import Recording


def test_ratios_are_of_the_null_writer(recording: Recording) -> None:
    operator, null = BringUp(8, 10, 4, 85, 60), BringUp(7, 9, 2, 60, 50)
    figures = {figure.key: figure for figure in compared(10, operator, null, recording)}
    assert figures["efficiency"].value == 0.9
    assert figures["efficiency"].is_met is False
    assert figures["cpu_ratio"].value == 2
    assert figures["writes_each"].note == "null writer 5.0; 4 are the least"
    assert figures["memory_mib"].note == "30 objects"
