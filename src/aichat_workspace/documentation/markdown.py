"""Pieces of a page in Markdown."""

from collections.abc import Iterable, Iterator, Sequence

GENERATED = "<!-- Generated from the code by `make generate`; edit that instead. -->"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Write a table; cells may have any text."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(escape(cell) for cell in row)} |"


def escape(text: str) -> str:
    """Escape what a table's cell can't have: a bar ends it, and angle brackets are a tag."""
    return text.replace("|", r"\|").replace("<", "&lt;")
