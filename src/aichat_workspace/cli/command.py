"""Make a function a command: with the options that all have, a session, and exit codes."""

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

import typer

from aichat_workspace.cli.errors import CliError, ExitCode
from aichat_workspace.cli.output import Format
from aichat_workspace.cli.render.lines import Line, Span, Style, paragraph, plain
from aichat_workspace.cli.session import Session
from aichat_workspace.cli.terminal import stderr

Server = Annotated[str | None, typer.Option("--server", metavar="URL", help="The API's address.")]
ContextName = Annotated[
    str | None, typer.Option("--context", metavar="NAME", help="A context of the configuration.")
]
Team = Annotated[
    str | None, typer.Option("--team", "-t", metavar="TEAM", help="The team: its namespace.")
]
Output = Annotated[
    Format, typer.Option("--output", "-o", help="The form of the result.", show_default=False)
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything, and change nothing.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until it is done, and show how.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Timeout = Annotated[
    str, typer.Option("--timeout", metavar="TIME", help="How long to wait, as 90s, 15m or 2h.")
]


def complete_name(incomplete: str) -> list[str]:
    """Return the workspaces whose names begin so; none where the API does not answer."""
    try:
        with Session() as session:
            documents = session.api.workspaces({"fields": "name"})
    except CliError:
        return []
    names = (str(document["name"]) for document in documents)
    return [name for name in names if name.startswith(incomplete)]


Name = Annotated[
    str, typer.Argument(metavar="NAME", help="The workspace.", autocompletion=complete_name)
]
_COMMON: Final = (
    inspect.Parameter("server", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Server),
    inspect.Parameter(
        "context", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=ContextName
    ),
)
_INVOCATION: Final = inspect.Parameter(
    "invocation", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context
)


def command(
    app: typer.Typer, name: str | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as a command; its first parameter is the session."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        app.command(name)(_with_session(function))
        return function

    return register


def default_command(group: typer.Typer) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as what a group does without a command of its own."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        run = _with_session(function)

        @functools.wraps(run)
        def run_alone(invocation: typer.Context, **arguments: Any) -> None:
            if invocation.invoked_subcommand is None:
                run(**arguments)

        _set_parameters(run_alone, [_INVOCATION, *inspect.signature(run).parameters.values()])
        group.callback(invoke_without_command=True)(run_alone)
        return function

    return register


def _with_session(function: Callable[..., None]) -> Callable[..., None]:
    """Return the function with the options that all have in place of the session."""
    signature = inspect.signature(function, eval_str=True)
    _, *own = signature.parameters.values()

    @functools.wraps(function)
    def run(server: str | None, context: str | None, **arguments: Any) -> None:
        with handled_errors(), Session(server, context) as session:
            function(session, **arguments)

    keywords = [entry.replace(kind=inspect.Parameter.KEYWORD_ONLY) for entry in own]
    _set_parameters(run, [*keywords, *_COMMON])
    return run


def _set_parameters(run: Callable[..., None], parameters: list[inspect.Parameter]) -> None:
    """Let Typer see these parameters instead of the function's own."""
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {entry.name: entry.annotation for entry in parameters}
    del run.__wrapped__  # type: ignore[attr-defined]


@contextmanager
def handled_errors() -> Iterator[None]:
    """Turn errors into messages on standard error and exit codes."""
    try:
        yield
    except CliError as error:
        terminal = stderr()
        terminal.print(*error_lines(error, terminal.width))
        raise typer.Exit(error.code) from None
    except KeyboardInterrupt:
        stderr().say("")
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def error_lines(error: CliError, width: int | None) -> list[Line]:
    """Return what happened, why, and what to type next."""
    lines = paragraph(plain(error.what), width, first=(Span("error: ", Style.BAD),), indent=7)
    for reason in error.why:
        lines += paragraph(plain(reason), width, first=(Span("  "),), indent=2)
    if error.fix:
        lines += paragraph(plain(error.fix), width, first=(Span("  try: "),), indent=7)
    return lines


def seconds_of(text: str) -> float:
    """Return a duration's seconds, as of 90s, 15m or 2h. Raises CliError."""
    units = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
    number, unit = (text[:-1], text[-1:]) if text[-1:] in units else (text, "s")
    try:
        seconds = float(number) * units[unit]
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise CliError(
            f"{text!r} is no duration", fix="write it as 90s, 15m or 2h", code=ExitCode.USAGE
        )
    return seconds
