"""Generate the page of the command line's commands from the program itself."""

from typing import Final

import typer
from typer.cli import get_docs_for_click
from typer.main import get_command

from aichat_workspace.cli.main import build
from aichat_workspace.documentation.markdown import GENERATED

_INTRODUCTION: Final = """# aichatctl: commands

Every command with its arguments and options. [The command line](aichatctl.md) says how to begin,
and what codes and forms mean."""


def page() -> str:
    """Return the page as Markdown."""
    program = get_command(build())
    text = get_docs_for_click(obj=program, ctx=typer.Context(program), name="aichatctl")
    _, _, commands = text.partition("\n")
    return f"{GENERATED}\n{_INTRODUCTION}\n{commands.rstrip()}\n"
