"""Where lines are written: a terminal has a width and colours, a pipe has neither."""

import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from aichat_workspace.cli.errors import CliError
from aichat_workspace.cli.render.lines import Line, fit, text_of

if TYPE_CHECKING:
    from rich.text import Text


@dataclass(frozen=True, slots=True)
class Terminal:
    """An output stream."""

    stream: TextIO
    width: int | None
    """Cells in a row; None where it is no terminal, so that nothing is cut."""
    has_colour: bool
    """Whether states are coloured."""
    is_dumb: bool = False
    """Whether the cursor can't be moved, so that nothing is written over."""

    @classmethod
    def of_stream(cls, stream: TextIO, environment: Mapping[str, str] = os.environ) -> "Terminal":
        """Look what a stream is. NO_COLOR (https://no-color.org) turns colours off."""
        if not stream.isatty():
            return cls(stream, None, has_colour=False)
        width = shutil.get_terminal_size().columns
        is_dumb = environment.get("TERM") == "dumb"
        has_colour = not environment.get("NO_COLOR") and not is_dumb
        return cls(stream, width, has_colour=has_colour, is_dumb=is_dumb)

    @property
    def is_terminal(self) -> bool:
        """Whether a person looks at it."""
        return self.width is not None

    @property
    def is_live(self) -> bool:
        """Whether a view can be written over and over."""
        return self.is_terminal and not self.is_dumb

    def print(self, *lines: Line) -> None:
        """Write lines, cut to the width. Raises CliError as `write` does."""
        for spans in lines:
            fitted = fit(spans, self.width)
            self._put(f"{_coloured(fitted) if self.has_colour else text_of(fitted)}\n")
        self._put("", flush=True)

    def write(self, text: str) -> None:
        """Write text as it is. Raises CliError where it can't be written, as on a full disk."""
        self._put(text, flush=True)

    def _put(self, text: str, *, flush: bool = False) -> None:
        try:
            self.stream.write(text)
            if flush:
                self.stream.flush()
        except BrokenPipeError:
            raise  # who reads has had enough; the program ends without a word
        except OSError as error:
            with suppress(OSError):  # what is left would be written again at the end
                self.stream.close()
            raise CliError("the result was not written", (error.strerror or str(error),)) from None

    def say(self, text: str) -> None:
        """Write a sentence, which may take more than one row."""
        self.write(f"{text}\n")


_SGR = {"green": "32", "yellow": "33", "red": "31", "dim": "2", "bold": "1"}


def _coloured(spans: Line) -> str:
    return "".join(
        f"\x1b[{_SGR[span.style]}m{span.text}\x1b[0m" if span.style else span.text for span in spans
    )


def rich_text(lines: Iterable[Line]) -> "Text":
    """Return lines for a live view of Rich's."""
    from rich.text import Text

    text = Text(no_wrap=True, overflow="ellipsis", end="")
    for spans in lines:
        for span in spans:
            text.append(span.text, span.style or None)
        text.append("\n")
    text.rstrip()
    return text


def stdout() -> Terminal:
    """Return the standard output."""
    return Terminal.of_stream(sys.stdout)


def stderr() -> Terminal:
    """Return the standard error."""
    return Terminal.of_stream(sys.stderr)
