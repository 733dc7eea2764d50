"""The program: `aichatctl`, also `kubectl aichat`."""

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Final

import typer

from aichat_workspace.cli.commands import (
    about,
    acting,
    backups,
    bundles,
    changing,
    chatting,
    following,
    models,
    patterns,
    people,
    reading,
    signing_in,
    size_classes,
    supporting,
    upgrades,
)

_HELP: Final = "Private AI chats for teams: make them, look after them, ask them."
_EPILOG: Final = (
    "Exit codes: 1 failed, 2 usage, 3 not found, 4 forbidden, 5 timed out, 6 unreachable."
)


def build(*, completes: bool = False) -> typer.Typer:
    """Assemble the commands; `completes` for a shell that asks what could come next."""
    app = typer.Typer(
        help=_HELP,
        epilog=_EPILOG,
        no_args_is_help=True,
        add_completion=completes,
        rich_markup_mode=None,  # Rich would double the time that --help takes
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for group in (
        changing,
        acting,
        backups,
        reading,
        size_classes,
        following,
        chatting,
        models,
        patterns,
        people,
        upgrades,
        signing_in,
        supporting,
        bundles,
        about,
    ):
        group.register(app)
    return app


def main() -> None:
    """Run the command of the process's arguments."""
    program = Path(sys.argv[0]).name
    name = "kubectl aichat" if program.startswith("kubectl-") else about.PROGRAM
    for number in (signal.SIGTERM, signal.SIGHUP):  # so that a forwarded port ends, too
        signal.signal(number, _end)
    # Typer's pydantic would look for plugins in every installed package, at each start.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    for stream in (sys.stdout, sys.stderr):  # a terminal without UTF-8 shows question marks
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    build(completes=about.COMPLETE in os.environ)(prog_name=name)


def _end(number: int, _: FrameType | None) -> None:
    """End as after the signal, but with all that is open closed."""
    raise SystemExit(128 + number)
