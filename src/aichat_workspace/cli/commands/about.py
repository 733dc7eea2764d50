"""Commands about the program itself: version, completion."""

from enum import StrEnum
from typing import Annotated, Final

import typer

from aichat_workspace.cli.command import Output, command
from aichat_workspace.cli.output import Format, print_document
from aichat_workspace.cli.session import Session
from aichat_workspace.domain import names

PROGRAM: Final = "aichatctl"
COMPLETE: Final = f"_{PROGRAM.upper()}_COMPLETE"
"""The variable by which a shell asks for completions."""


class Shell(StrEnum):
    """Shells that can be taught to complete."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "version")(version)
    command(app, "completion")(completion)


def version(
    session: Session,
    client: Annotated[bool, typer.Option("--client", help="Only this program's.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Show the versions of program and API."""
    from importlib import metadata

    versions = {"client": metadata.version(names.OPERATOR)}
    if not client:
        what = "the API's version was not read"
        versions["server"] = session.api.get(what, "/api/v1/platform").document["version"]
    if output.is_document:
        print_document(session.out, output, versions)
        return
    for part, number in versions.items():
        session.out.say(f"{part} {number}")


def completion(
    session: Session, shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish")]
) -> None:
    """Print a script that completes commands.

    To use it: source <(aichatctl completion bash)
    """
    from typer import completion as scripts

    make_script = scripts.get_completion_script  # type: ignore[attr-defined]  # imported there
    session.out.say(make_script(prog_name=PROGRAM, complete_var=COMPLETE, shell=str(shell)))
