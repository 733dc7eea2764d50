"""The table of reasons has exactly the reasons that the code uses."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from aichat_workspace.domain.reasons import Reason, Severity

# The first words of sentences that say what to do.
INSTRUCTION = re.compile(
    r"(Nothing to do|Add|Change|Check|Correct|Delete|Install|Lower|Make|Mend|Name|Open|Put|Raise|"
    r"Read|Remove|Rename|Restore|Set|Wait)\b"
)
SOURCES = Path(__file__).parents[3] / "src" / "aichat_workspace"


def reasons_in_code() -> Iterator[str]:
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Attribute(ast.Name("Reason"), name) if name.isupper():
                    yield name


def test_every_reason_is_given_by_some_code() -> None:
    assert {*reasons_in_code()} == {reason.name for reason in Reason}


def test_every_reason_says_what_to_do_or_that_there_is_nothing_to_do() -> None:
    assert [reason for reason in Reason if not INSTRUCTION.match(reason.fix)] == []
    assert [reason for reason in Reason if not reason.problem.endswith(".")] == []


def test_a_code_is_one_reasons_and_names_its_kind() -> None:
    codes = [reason.code for reason in Reason]
    assert len({*codes}) == len(codes)
    assert all(re.fullmatch(r"AI0[1-4][0-9]{2}", code) for code in codes)


@pytest.mark.parametrize("reason", [Reason.READY, Reason.SYNCED, Reason.SERVED])
def test_what_is_well_is_good(reason: Reason) -> None:
    assert reason.severity is Severity.GOOD


def test_a_reason_is_its_word() -> None:
    assert Reason.known("ModelNotFound") is Reason.MODEL_NOT_FOUND
    assert Reason.known("OfANewerOperator") is None
    assert f"{Reason.MODEL_NOT_FOUND}" == "ModelNotFound"
