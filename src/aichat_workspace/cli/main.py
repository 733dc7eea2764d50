"""The program: `aichatctl`, also `kubectl aichat`."""

import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Final

import typer

from aichat_workspace.cli.commands import about

_MODULES: Final = {
    "changing": ("create", "apply", "edit"),
    "acting": ("suspend", "resume", "restart", "delete"),
    "backups": ("backup", "backups", "restore", "clone"),
    "reading": ("list", "get", "describe", "events", "history", "usage"),
    "size_classes": ("classes",),
    "following": ("wait", "watch", "logs"),
    "chatting": ("open", "credentials", "prompt", "port-forward"),
    "models": ("models",),
    "patterns": ("patterns",),
    "people": ("members", "invite", "invite-to-chat", "tokens"),
    "upgrades": ("upgrades",),
    "signing_in": ("login", "logout", "context"),
    "supporting": ("doctor", "support-bundle"),
    "bundles": ("bundle",),
    "about": ("version", "completion"),
}
"""The commands and groups of each module, which is imported only where one of them is needed."""
_HELP: Final = "Private AI chats for teams: make them, look after them, ask them."
_EPILOG: Final = (
    "Exit codes: 1 failed, 2 usage, 3 not found, 4 forbidden, 5 timed out, 6 unreachable."
)


def build(name: str | None = None, *, completes: bool = False) -> typer.Typer:
    """Assemble the commands: all of them or, which is quicker, those beside the one of this name.

    `completes` is for a shell that asks what could come next.
    """
    app = typer.Typer(
        help=_HELP,
        epilog=_EPILOG,
        no_args_is_help=True,
        add_completion=completes,
        rich_markup_mode=None,  # Rich would double the time that --help takes
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_take_no_options)  # a single command stays one of a group, too
    modules = [module for module, commands in _MODULES.items() if name in commands]
    for module in modules or _MODULES:
        import_module(f"aichat_workspace.cli.commands.{module}").register(app)
    return app


def main() -> None:
    """Run the command of the process's arguments."""
    program = Path(sys.argv[0]).name
    name = "kubectl aichat" if program.startswith("kubectl-") else about.PROGRAM
    for number in (signal.SIGTERM, signal.SIGHUP):  # so that a forwarded port ends, too
        signal.signal(number, _end)
    # Typer's pydantic would look for plugins in every installed package, at each start.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # A shell may close them, as `>&-` does.
    sys.stdout, sys.stderr = (
        stream or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  (until the end)
        for stream in (sys.stdout, sys.stderr)
    )
    for stream in (sys.stdout, sys.stderr):  # a terminal without UTF-8 shows question marks
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    completes = about.COMPLETE in os.environ
    command = None if completes else next(iter(sys.argv[1:]), None)
    build(command, completes=completes)(prog_name=name)


def _take_no_options() -> None:
    """Run before each command."""


def _end(number: int, _: FrameType | None) -> None:
    """End as after the signal, but with all that is open closed."""
    raise SystemExit(128 + number)
