"""Commands for the chat itself: open, credentials, prompt, port-forward."""

import sys
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any, Final

import typer

from aichat_workspace.cli.client import problems
from aichat_workspace.cli.client.api import workspace_path
from aichat_workspace.cli.command import Name, Output, Team, Yes, command
from aichat_workspace.cli.conversation import Turn, as_prompt
from aichat_workspace.cli.errors import CliError, ExitCode, usage_error
from aichat_workspace.cli.output import Format, print_document
from aichat_workspace.cli.render.lines import plain
from aichat_workspace.cli.render.people import sign_in_lines
from aichat_workspace.cli.server.kubectl import Kubectl
from aichat_workspace.cli.session import Session
from aichat_workspace.domain import names

_CHAT_PORT: Final = "http"


class Part(StrEnum):
    """What a port is forwarded to."""

    CHAT = "chat"
    MODELS = "models"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "open")(open_chat)
    command(app, "credentials")(credentials)
    command(app, "prompt")(prompt)
    command(app, "port-forward")(port_forward)


def open_chat(
    session: Session,
    name: Name,
    team: Team = None,
    only_print: Annotated[bool, typer.Option("--print", help="Only print the address.")] = False,
) -> None:
    """Open a workspace's chat in the browser."""
    document = session.api.workspace(name, team).document
    url = str((document.get("status") or {}).get("url") or "")
    # The address comes from a resource: a browser is given nothing but a page of the web.
    if not url.startswith(("http://", "https://")):
        raise CliError(
            f"{name} was not opened", ("it has no address yet",), f"aichatctl wait {name}"
        )
    session.out.say(plain(url))
    if not only_print:
        import webbrowser

        webbrowser.open(url)


def credentials(
    session: Session,
    name: Name,
    team: Team = None,
    reset: Annotated[
        bool, typer.Option("--reset", help="Give the first administrator a new password.")
    ] = False,
    yes: Yes = False,
    output: Output = Format.TABLE,
) -> None:
    """Show how the first administrator signs in, or reset it.

    Each reading is recorded. A new password is there once the workspace is ready again; the first
    administrator is signed out everywhere.
    """
    if reset:
        if output is not Format.TABLE:
            raise usage_error("--reset prints no credentials, so it takes no -o", "leave -o out")
        _reset_password(session, name, team, yes=yes)
        return
    path = workspace_path(name, "/credentials")
    what = f"the credentials of {name} were not read"
    document = session.api.get(what, path, {"team": team}).document
    if output.is_document:
        print_document(session.out, output, document)
        return
    for line in sign_in_lines(document):
        session.out.say(line)


def _reset_password(session: Session, name: str, team: str | None, *, yes: bool) -> None:
    if not yes:
        session.confirm(f"Sign the first administrator of {name} out, and set a new password?")
    what = f"{name} got no new password"
    session.api.send(what, "POST", workspace_path(name, ":resetPassword"), query={"team": team})
    session.notes.say(f"{name} gets a new password, and its chat starts again; then read it:")
    session.notes.say(f"aichatctl wait {name} && aichatctl credentials {name}")


def prompt(
    session: Session,
    name: Name,
    text: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", help="The question; - for standard input."),
    ] = None,
    team: Team = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="MODEL", help="A model or pattern of it."),
    ] = None,
    system: Annotated[
        str | None, typer.Option("--system", metavar="TEXT", help="A system prompt.")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option("--temperature", min=0, max=2, help="0 for the likeliest words.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="The same seed gives the same reply.")
    ] = None,
) -> None:
    """Ask a workspace's model.

    Without TEXT, on a terminal, it is a conversation.
    """
    settings = {"model": model, "system": system, "temperature": temperature, "seed": seed}
    body = {key: value for key, value in settings.items() if value is not None}
    question = " ".join(text or ())
    if question == "-" or (not question and not sys.stdin.isatty()):
        question = sys.stdin.read().strip()
        if not question:
            raise usage_error("the question is empty", f"aichatctl prompt {name} 'Good morning'")
    if question:
        _answer(session, name, team, {**body, "prompt": question})
        return
    _converse(session, name, team, body)


def _converse(session: Session, name: str, team: str | None, body: dict[str, Any]) -> None:
    """Ask and answer until the end of the input. The conversation is sent with each question."""
    session.notes.say(f"A conversation with {name}; Ctrl-D ends it.")
    turns: list[Turn] = []
    while True:
        session.notes.write("> ")
        question = sys.stdin.readline()
        if not question:
            session.notes.say("")
            return
        if not question.strip():
            continue
        sent = as_prompt(turns, question.strip())
        reply = _answer(session, name, team, {**body, "prompt": sent})
        turns.append(Turn(question.strip(), reply))


def _answer(session: Session, name: str, team: str | None, body: dict[str, Any]) -> str:
    """Print the reply as it comes, and return it."""
    reply: list[str] = []
    for piece in _pieces(session, name, team, body):
        reply.append(piece)
        session.out.write(piece if not session.out.is_terminal else _shown(piece))
    session.out.write("\n")
    return "".join(reply)


def _shown(piece: str) -> str:
    """Return a piece of a reply for a terminal: lines stay, commands of the terminal do not."""
    return "\n".join(plain(text) for text in piece.split("\n"))


def _pieces(session: Session, name: str, team: str | None, body: dict[str, Any]) -> Iterator[str]:
    """Yield the reply's pieces. Raises CliError for one that breaks off."""
    what, path = f"{name} did not answer", workspace_path(name, ":prompt")
    is_whole = False
    query, sent = {"team": team}, {**body, "stream": True}
    for event in session.api.events(what, path, query=query, body=sent):
        if event.kind == "token":
            yield str(event.data.get("text", ""))
        elif event.kind == "error":
            status = int(event.data.get("status", 502))
            raise problems.from_problem(what, status, event.data, name)
        elif event.kind == "done":
            is_whole = True
    if not is_whole:
        raise CliError(
            f"the reply of {name} is not whole",
            ("the connection has ended before the reply did",),
            "ask again",
            ExitCode.UNREACHABLE,
        )


def port_forward(
    session: Session,
    name: Name,
    part: Annotated[Part, typer.Argument(metavar="chat|models", help="To what.")] = Part.CHAT,
    team: Team = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65_535, help="The local port; 0 for a free one.")
    ] = 0,
) -> None:
    """Reach a workspace through the cluster.

    Its chat or its model server, with the kubeconfig.
    """
    import subprocess

    document = session.api.workspace(name, team).document
    namespace = ((document.get("status") or {}).get("namespace") or {}).get("name")
    if not namespace:
        why = ("it has no namespace yet",)
        raise CliError(f"{name} was not reached", why, f"aichatctl wait {name} --for created")
    service = names.openwebui(name) if part is Part.CHAT else names.ollama(name)
    kubectl = Kubectl(session.target.context.kube_context)
    command_line = kubectl.port_forward_command(
        f"{name} was not reached", f"service/{service}", _CHAT_PORT, str(namespace), port
    )
    code = subprocess.call(command_line)  # noqa: S603  (a program of the caller's own)
    if code != 0:
        raise CliError(f"{name} was not reached", (f"kubectl has ended with {code}",))
