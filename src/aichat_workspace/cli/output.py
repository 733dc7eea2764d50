"""The forms in which results are printed: tables for people, documents for programs."""

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from aichat_workspace.cli.render.lines import Line
from aichat_workspace.cli.terminal import Terminal


class Format(StrEnum):
    """The form of a result."""

    TABLE = "table"
    WIDE = "wide"
    NAME = "name"
    JSON = "json"
    YAML = "yaml"

    @property
    def is_document(self) -> bool:
        """Whether programs read it; its schema is published."""
        return self in (Format.JSON, Format.YAML)


def print_document(out: Terminal, form: Format, document: Any) -> None:
    """Print a document as JSON or YAML, whole and never cut."""
    if form is Format.JSON:
        # Escaped on a terminal, where some characters are commands.
        out.say(json.dumps(document, indent=2, ensure_ascii=out.is_terminal))
        return
    import yaml

    out.write(yaml.safe_dump(document, sort_keys=False, allow_unicode=not out.is_terminal))


def print_result(
    out: Terminal, form: Format, document: Any, lines: Sequence[Line], names: Sequence[str]
) -> None:
    """Print a result in its form: `lines` for people, `names` one a line."""
    if form.is_document:
        print_document(out, form, document)
    elif form is Format.NAME:
        for name in names:
            out.say(name)
    else:
        out.print(*lines)
