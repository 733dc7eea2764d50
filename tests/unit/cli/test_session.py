"""What a command works with."""

import io
import sys

import pytest

from aichat_workspace.cli.errors import CliError
from aichat_workspace.cli.session import Session
from aichat_workspace.cli.terminal import Terminal


class _Typed(io.StringIO):
    """What a person types at a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_question_obeys_no_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    session = Session()
    session.notes = Terminal(stream, 80, has_colour=False)
    monkeypatch.setattr(sys, "stdin", _Typed("n\n"))
    with pytest.raises(CliError, match="nothing was changed"):
        session.confirm("Delete \x1b]0;x\x07 \u202e?")
    assert "Delete" in stream.getvalue()
    assert not set("\x1b\x07\u202e") & set(stream.getvalue())
