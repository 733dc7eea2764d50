"""docs/reliability.md names exactly the tests that show each row of faults."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "reliability.md"
ROWS: Final = tuple(f"F{number}" for number in range(1, 16))
_ROW: Final = re.compile(r"\bF\d+\b")
_ENTRY: Final = re.compile(r"^- (F\d+): `(tests/\S+\.py)::(test_\w+)`$", re.MULTILINE)

Entry = tuple[str, str, str]


@cache
def named_in_tests() -> set[Entry]:
    """Each row, file and test by the tests' own docstrings."""
    return {entry for file in (ROOT / "tests").rglob("test_*.py") for entry in _named_in(file)}


def _named_in(file: Path) -> Iterator[Entry]:
    path, text = file.relative_to(ROOT).as_posix(), file.read_text()
    if not _ROW.search(text):
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(
            "test"
        ):
            for row in _ROW.findall(ast.get_docstring(node) or ""):
                yield row, path, node.name


def named_on_the_page() -> set[Entry]:
    return {(row, path, name) for row, path, name in _ENTRY.findall(PAGE.read_text())}


def test_the_page_names_exactly_the_tests_of_each_row() -> None:
    on_page, in_tests = named_on_the_page(), named_in_tests()
    missing = [f"- {row}: `{path}::{name}`" for row, path, name in sorted(in_tests - on_page)]
    assert missing == [], "write these lines"
    assert on_page - in_tests == set(), "no such tests"


def test_every_row_is_shown_by_a_test_and_has_an_outcome_on_the_page() -> None:
    assert {row for row, _, _ in named_in_tests()} == {*ROWS}
    outcomes = re.findall(r"^\| (F\d+) \|", PAGE.read_text(), re.MULTILINE)
    assert tuple(outcomes) == ROWS
