"""The table of reasons has exactly the reasons that the code uses."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from aichat_workspace.domain.v1alpha1.condition_reasons import REASONS

# The first words of sentences that say what to do.
INSTRUCTION = re.compile(
    r"(^|[.] )(Nothing to do|Add|Change|Check|Correct|Delete|Install|Lower|Make|Mend|Name|Open|Put|"
    r"Raise|Read|Remove|Rename|Restore|Set|Wait)\b"
)
SOURCES = Path(__file__).parents[4] / "src" / "aichat_workspace"
CALLS = {"Problem": 0, "Rejection": 0, "_Finding": 1}


def reasons_in_code() -> Iterator[str]:
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            position = CALLS.get(node.func.id)
            if position is None or len(node.args) <= position:
                continue
            argument = node.args[position]
            if isinstance(argument, ast.Constant):
                yield str(argument.value)


def test_the_table_has_exactly_the_reasons_in_the_code() -> None:
    assert {*reasons_in_code(), "Suspended"} == REASONS.keys()


def test_every_reason_says_what_to_do_or_that_there_is_nothing_to_do() -> None:
    assert [reason for reason, text in REASONS.items() if not INSTRUCTION.search(text)] == []
