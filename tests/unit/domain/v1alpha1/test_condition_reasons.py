"""The table of reasons is the code's: what can be said is in it, and what is in it can be said."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from aichat_workspace.domain.v1alpha1.condition_reasons import REASONS

# How a sentence begins that says what to do.
DOES = re.compile(
    r"(^|[.] )(Nothing to do|Add|Change|Check|Correct|Delete|Install|Lower|Make|Mend|Name|Open|Put|"
    r"Raise|Read|Remove|Rename|Restore|Set|Wait)\b"
)
SOURCES = Path(__file__).parents[4] / "src" / "aichat_workspace"
CALLS = {"Problem": 0, "Rejection": 0, "_Finding": 1}


def said() -> Iterator[str]:
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            at = CALLS.get(node.func.id)
            if at is None or len(node.args) <= at:
                continue
            argument = node.args[at]
            if isinstance(argument, ast.Constant):
                yield str(argument.value)


def test_every_reason_in_the_code_is_explained_and_every_explained_one_occurs() -> None:
    assert {*said(), "Suspended"} == REASONS.keys()


def test_every_reason_says_what_to_do_or_that_there_is_nothing_to_do() -> None:
    assert [reason for reason, text in REASONS.items() if not DOES.search(text)] == []
