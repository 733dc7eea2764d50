"""What a command works with: the API, the outputs, the environment."""

import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from types import TracebackType
from typing import Self

from aichat_workspace.cli import terminal
from aichat_workspace.cli.client.api import Api
from aichat_workspace.cli.errors import CliError, usage_error
from aichat_workspace.cli.render.lines import plain
from aichat_workspace.cli.server.connection import Target, choose_target, connect
from aichat_workspace.cli.server.settings import read_configuration
from aichat_workspace.cli.terminal import Terminal


@dataclass
class Session:
    """One run of a command. Nothing is read or connected before it is needed."""

    server: str | None = None
    context: str | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._stack.close()

    @cached_property
    def target(self) -> Target:
        """The server that is asked. Raises CliError."""
        configuration = read_configuration(self.environment)
        return choose_target(self.server, self.context, configuration, self.environment)

    @cached_property
    def api(self) -> Api:
        """The API's client. Raises CliError."""
        return self._stack.enter_context(connect(self.target, self.environment))

    @cached_property
    def out(self) -> Terminal:
        """Where results go."""
        return terminal.stdout()

    @cached_property
    def notes(self) -> Terminal:
        """Where everything else goes, so that a pipe gets only results."""
        return terminal.stderr()

    @property
    def is_interactive(self) -> bool:
        """Whether a person can be asked."""
        return sys.stdin.isatty() and self.notes.is_terminal

    def confirm(self, question: str, flag: str = "--yes") -> None:
        """Ask, and raise CliError for anything but yes, or where there is no person to ask."""
        if not self.is_interactive:
            raise usage_error(f"{question} There is no terminal to ask at.", f"add {flag}")
        self.notes.write(f"{plain(question)} [y/N] ")
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise CliError("nothing was changed")
