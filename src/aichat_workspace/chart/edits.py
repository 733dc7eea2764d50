"""Turn a manifest's text into a template: edit values by their path, and keep all other text."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

import yaml

Path = tuple[str | int, ...]
_INDENT: Final = 2


@dataclass(frozen=True, slots=True)
class Edit:
    """Text for one place of a manifest."""

    path: Path
    """The keys and indexes that lead to a mapping's value."""
    place: "Callable[[str, _Field], tuple[int, int]]"
    """Returns the span that the text replaces."""
    text: Callable[[int], str]
    """Returns the text for the key's column."""


@dataclass(frozen=True, slots=True)
class _Field:
    """A key of a mapping and its value, in a manifest's text."""

    key: yaml.Node
    value: yaml.Node

    @property
    def column(self) -> int:
        return int(self.key.start_mark.column)

    @property
    def key_end(self) -> int:
        """The index after the key's colon."""
        return int(self.key.end_mark.index) + 1

    @property
    def end(self) -> int:
        return _end(self.value)


def scalar(path: Path, expression: str) -> Edit:
    """Replace a value by an expression on the key's line."""
    return Edit(path, _value, lambda _: f" {{{{ {expression} }}}}")


def block(path: Path, expression: str) -> Edit:
    """Replace a value by an expression that gives YAML, on lines of its own."""
    return Edit(
        path, _value, lambda column: f" {{{{- {expression} | nindent {column + _INDENT} }}}}"
    )


def line(path: Path, text: str) -> Edit:
    """Add a line before a key and its comment."""
    return Edit(path, _line_before, lambda column: f"{' ' * column}{text}\n")


def before(path: Path, expression: str) -> Edit:
    """Add an expression's lines before a key and its comment; none if it gives nothing."""
    return Edit(path, _line_before, lambda column: _lines(expression, column))


def after(path: Path, expression: str) -> Edit:
    """Add an expression's lines after a key's value; none if it gives nothing."""
    return Edit(path, _line_after, lambda column: _lines(expression, column))


def apply(manifest: str, edits: Iterable[Edit]) -> str:
    """Return the manifest with the edits.

    Raises:
        ValueError: the manifest has no such path.
    """
    root = yaml.compose(manifest)
    fields = [(edit, _find(root, edit.path)) for edit in edits]
    spans = [(*edit.place(manifest, field), edit.text(field.column)) for edit, field in fields]
    for start, end, replacement in sorted(spans, key=lambda span: span[0], reverse=True):
        manifest = manifest[:start] + replacement + manifest[end:]
    return manifest


def _find(root: yaml.Node | None, path: Path) -> _Field:
    key = node = root
    for step in path:
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            key = node = node.value[step]
            continue
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        key, node = next((pair for pair in pairs if pair[0].value == step), (None, None))
        if node is None:
            raise ValueError(f"the manifest has no {step!r} of {'.'.join(map(str, path))}")
    if key is None or node is None:
        raise ValueError("the manifest is empty")
    return _Field(key, node)


def _value(_: str, field: _Field) -> tuple[int, int]:
    return field.key_end, field.end


def _line_before(manifest: str, field: _Field) -> tuple[int, int]:
    start = manifest.rfind("\n", 0, field.key.start_mark.index) + 1
    lines = manifest[:start].splitlines(keepends=True)
    comments = takewhile(lambda line: line.lstrip().startswith("#"), reversed(lines))
    position = start - sum(map(len, comments))
    return position, position


def _line_after(manifest: str, field: _Field) -> tuple[int, int]:
    position = manifest.find("\n", field.end) + 1
    return position, position


def _end(node: yaml.Node) -> int:
    """Return where a value's text ends. A block's own mark is that of the following token."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _lines(expression: str, column: int) -> str:
    indent = " " * column
    lines = f"{{{{- with {expression} | trim }}}}{{{{ . | nindent {column} }}}}{{{{- end }}}}"
    return f"{indent}{lines}\n"
