"""A variable is the noun of its thing: a short list of other words stays out of the code."""

import ast
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
WORDS: Final = frozenset(
    {"asked", "at", "chosen", "each", "every", "found", "held", "kept", "left", "made"}
    | {"mine", "of", "one", "said", "sought", "there", "told", "wanted"}
)


def poetic_names(text: str) -> set[str]:
    """The forbidden words that a module uses as variables or parameters."""
    nodes = [*ast.walk(ast.parse(text))]
    variables = {
        node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    return {*WORDS} & (variables | {node.arg for node in nodes if isinstance(node, ast.arg)})


def test_variables_and_parameters_are_found() -> None:
    text = "def f(told, *, pod):\n    held = [each for each in pod]\n    found: int = 1\n"
    assert poetic_names(text) == {"told", "held", "each", "found"}
    assert poetic_names("def f(pod):\n    return {'each': pod.found, f(told=1): pod}\n") == set()


@pytest.mark.parametrize(
    "folder",
    [
        "src",
        "localcluster",
        "benchmarks",
        "deploy",
        "docsite",
        "release",
        "hack",
        "examples",
        "tests",
    ],
)
def test_variables_are_nouns(folder: str) -> None:
    modules = [*(ROOT / folder).rglob("*.py")]
    assert modules
    names = {
        str(module.relative_to(ROOT)): sorted(poetic)
        for module in modules
        if (poetic := poetic_names(module.read_text()))
    }
    assert names == {}, "use the noun of the thing: CONTRIBUTING.md, Style"
