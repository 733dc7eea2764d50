"""Commands for servers and tokens: login, logout, context."""

import getpass
import re
import sys
import time
import webbrowser
from functools import partial
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer

from aichat_workspace.cli.client.api import Json
from aichat_workspace.cli.command import Team, Yes, command
from aichat_workspace.cli.errors import CliError, ExitCode, usage_error
from aichat_workspace.cli.render.lines import Span, plain
from aichat_workspace.cli.render.tables import Column, table
from aichat_workspace.cli.server import settings
from aichat_workspace.cli.server.connection import (
    Target,
    check_address,
    connect,
    sign_in_of,
    tls_context,
)
from aichat_workspace.cli.server.kubectl import AUDIENCE, Kubectl
from aichat_workspace.cli.server.provider import Client, Tokens, open_provider
from aichat_workspace.cli.server.settings import Context, read_configuration
from aichat_workspace.cli.server.tokens import write_private
from aichat_workspace.cli.session import Session
from aichat_workspace.foundation import units
from aichat_workspace.foundation.tokens import expiry

_TOKEN_COMMAND: Final = f"kubectl -n TEAM create token NAME --audience={AUDIENCE}"
_ROLE: Final = "aichatworkspace-editor"  # workspaces and nothing else of the namespace


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "login")(login)
    command(app, "logout")(logout)
    group = typer.Typer(help="Choose among servers.", no_args_is_help=True, rich_markup_mode=None)
    command(group, "list")(list_contexts)
    command(group, "use")(use_context)
    command(group, "remove")(remove_context)
    app.add_typer(group, name="context")


def login(
    session: Session,
    address: Annotated[
        str | None, typer.Argument(metavar="URL", help="The API's address, https://…")
    ] = None,
    browser: Annotated[
        bool, typer.Option("--browser", help="With the identity provider, in this browser.")
    ] = False,
    device: Annotated[
        bool, typer.Option("--device", help="The same in any browser, by a code.")
    ] = False,
    with_token: Annotated[
        bool, typer.Option("--token", help="With a token, which is asked for or read.")
    ] = False,
    kubeconfig: Annotated[
        bool, typer.Option("--kubeconfig", help="Through the kubeconfig's cluster instead.")
    ] = False,
    kube_context: Annotated[
        str | None, typer.Option("--kube-context", metavar="NAME", help="Its context there.")
    ] = None,
    service_account: Annotated[
        str | None,
        typer.Option(
            "--service-account", metavar="TEAM/NAME", help="Request tokens for this account."
        ),
    ] = None,
    team: Team = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="What to call the context.")
    ] = None,
    ca_file: Annotated[
        str | None, typer.Option("--ca-file", metavar="FILE", help="Further authorities to trust.")
    ] = None,
    yes: Yes = False,
) -> None:
    """Sign in to a server.

    On a terminal with the identity provider, where the server has one that takes the command line;
    else with a token, which is asked for or read from standard input; or through the kubeconfig.
    """
    is_cluster = bool(kubeconfig or kube_context or service_account)
    if browser + device + with_token + is_cluster > 1:
        raise usage_error("choose one way to sign in", "aichatctl login --help")
    if is_cluster:
        context = _cluster_context(session, kube_context, service_account, team, name, yes=yes)
        tokens, client = None, None
    else:
        context = _server_context(address, name, ca_file)
        client = None if with_token else _client(session, context, is_required=browser or device)
        tokens = _server_tokens(
            session, context, client, by_device=device, by_browser=browser, yes=yes
        )
    token = tokens.id_token if tokens else None
    identity = _identity(session, Target(context, token))
    _store(session, context, tokens, client)
    session.out.say(f"you are {plain(str(identity['username']))} at {_where(context)}")
    session.out.say(f"{_rights(identity)}; token {_validity(token)}")


def _server_context(address: str | None, name: str | None, ca_file: str | None) -> Context:
    """Return a context of a server's address. Raises CliError for an option that can't be used."""
    if not address:
        raise usage_error("URL is missing", "aichatctl login https://HOST, or --kubeconfig")
    server = check_address(address)
    tls_context(ca_file)
    chosen_name = settings.check_name(name or urlsplit(server).netloc)
    return Context(chosen_name, server, str(Path(ca_file).resolve()) if ca_file else None)


def _where(context: Context) -> str:
    return context.server or f"the cluster of {context.kube_context or 'the kubeconfig'}"


def _rights(identity: Json) -> str:
    if identity["everywhere"]:
        return f"everywhere you may {', '.join(identity['everywhere'][:3])}, …"
    teams = [str(team) for team in identity["teams"]]
    return f"teams: {', '.join(teams) or 'none yet'}"


def _validity(token: str | None) -> str:
    if token is None:
        return "is requested again whenever it has expired"
    end = expiry(token)
    return "without an end" if end is None else f"good for {units.age(end - time.time())}"


def _client(session: Session, context: Context, *, is_required: bool) -> Client | None:
    """Return who the command line is at the server's provider; None to use a token.

    Without a terminal, or with AICHAT_TOKEN, a token is meant. Raises CliError where a provider is
    required and there is none.
    """
    is_token_given = session.environment.get(settings.TOKEN) or not sys.stdin.isatty()
    if is_token_given and not is_required:
        return None
    try:
        with connect(Target(context), session.environment) as api:
            document = api.get("you are not signed in", "/api/v1/session/provider").document
    except CliError as error:
        if is_required or error.code is not ExitCode.NOT_FOUND:
            raise
        return None
    return Client.from_document(document)


def _server_tokens(
    session: Session,
    context: Context,
    client: Client | None,
    *,
    by_device: bool,
    by_browser: bool,
    yes: bool,
) -> Tokens:
    """Return the provider's tokens, or a token that is asked for. Raises CliError."""
    if client is None:
        return Tokens(_ask_token(session), None)
    _confirm_provider(session, context, client, yes=yes)
    return _provider_tokens(session, context, client, by_device=by_device, by_browser=by_browser)


def _confirm_provider(session: Session, context: Context, client: Client, *, yes: bool) -> None:
    """Say who will get whose token, and ask, where the server has none of this person's yet.

    A server names the provider, so one that looks like another can name that one's and wait for the
    token. Raises CliError for a no, and where there is no terminal to ask at.
    """
    contexts = read_configuration(session.environment).contexts.values()
    if context.server in {known.server for known in contexts}:
        return
    issuer, client_id = (plain(text)[:200] for text in (client.issuer, client.client_id))
    server = plain(str(context.server))
    consequence = f"{server} will get a token of {issuer} for {client_id!r}."
    if yes:
        session.notes.say(consequence)
    else:
        session.confirm(f"{consequence} You have not signed in there before. Do you trust it?")


def _provider_tokens(
    session: Session, context: Context, client: Client, *, by_device: bool, by_browser: bool
) -> Tokens:
    """Let the person sign in at the provider. Raises CliError."""
    from aichat_workspace.cli.server import browser, device

    with open_provider(client, tls_context(context.ca_file)) as provider:
        has_device = provider.endpoint("device_authorization") is not None
        if by_device or (not by_browser and has_device and not browser.can_open()):
            return device.sign_in(provider, partial(_show_code, session))
        return browser.sign_in(provider, partial(_open_page, session))


def _show_code(session: Session, address: str, code: str, complete: str | None) -> None:
    session.notes.say(f"Open {plain(address)} in any browser, and enter the code {plain(code)}")
    if complete:
        session.notes.say(f"or open {plain(complete)}")


def _open_page(session: Session, address: str) -> None:
    session.notes.say(f"Sign in with your browser, which opens: {plain(address)}")
    if not webbrowser.open(address):
        session.notes.say("no browser was opened; open this address on this machine")


def _ask_token(session: Session) -> str:
    """Return a token from the environment, standard input or a hidden prompt. Raises CliError."""
    token = session.environment.get(settings.TOKEN, "").strip()
    if not token and not sys.stdin.isatty():
        token = sys.stdin.read().strip()
    elif not token:
        session.notes.say(f"A token comes from: {_TOKEN_COMMAND}")
        token = getpass.getpass("Token: ").strip()
    if not re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", token):
        raise usage_error("that is no token", _TOKEN_COMMAND)
    end = expiry(token)
    if end is not None and end < time.time():
        why = (f"the token has expired {units.age(time.time() - end)} ago",)
        raise CliError("you are not signed in", why, _TOKEN_COMMAND, ExitCode.FORBIDDEN)
    return token


def _identity(session: Session, target: Target) -> Json:
    with connect(target, session.environment) as api:
        return api.get("you are not signed in", "/api/v1/me").document


def _store(
    session: Session, context: Context, tokens: Tokens | None, client: Client | None
) -> None:
    """Write the token before the context that needs it, so that neither is there by half."""
    sign_in = sign_in_of(context, session.environment)
    sign_in.renewal_path.unlink(missing_ok=True)  # it would renew the token of an earlier sign-in
    if tokens is not None and client is not None:
        sign_in.store(client, tokens)
    elif tokens is not None:
        write_private(sign_in.token_path, tokens.id_token)
    read_configuration(session.environment).with_context(context).save()


def _cluster_context(
    session: Session,
    kube_context: str | None,
    service_account: str | None,
    team: str | None,
    name: str | None,
    *,
    yes: bool,
) -> Context:
    """Return a context of the kubeconfig, with an account to request tokens for."""
    kubectl = Kubectl(kube_context)
    what = "you are not signed in"
    current = kube_context or kubectl.run(what, "config", "current-context").strip()
    kubectl = Kubectl(current)
    account = service_account or kubectl.own_account()
    if account is None:
        account = _make_account(session, kubectl, team, yes=yes)
    if account.count("/") != 1:
        raise usage_error(f"{account!r} is no service account", "--service-account TEAM/NAME")
    chosen_name = settings.check_name(name or re.sub(r"[^A-Za-z0-9._@:-]", "-", current)[:100])
    return Context(chosen_name, kube_context=current, service_account=account)


def _make_account(session: Session, kubectl: Kubectl, team: str | None, *, yes: bool) -> str:
    """Make a service account for a person in a team, once and with their consent."""
    username = kubectl.username()
    if team is None:
        raise usage_error(
            f"{username} is no service account, and only those get tokens for the API",
            "aichatctl login --kubeconfig --team TEAM, or --service-account TEAM/NAME",
        )
    account = account_name(username)
    if not yes:
        session.confirm(
            f"Make the service account {account} in {team}, with the role {_ROLE} there, and "
            "request tokens for it?"
        )
    what = f"the service account {team}/{account} was not made"
    manifest = kubectl.run(
        what, "create", "serviceaccount", account, "-n", team, "--dry-run=client", "-o", "yaml"
    )
    binding = kubectl.run(
        what,
        *("create", "rolebinding", account, "-n", team, f"--clusterrole={_ROLE}"),
        *(f"--serviceaccount={team}:{account}", "--dry-run=client", "-o", "yaml"),
    )
    kubectl.run(what, "apply", "-f", "-", stdin=f"{manifest}---\n{binding}")
    return f"{team}/{account}"


def account_name(username: str) -> str:
    """Return the name of the service account that stands for a person."""
    name = re.sub(r"[^a-z0-9]+", "-", username.lower()).strip("-")[:40].rstrip("-")
    return f"aichatctl-{name}" if name else "aichatctl"


def logout(session: Session) -> None:
    """Forget the token of the context."""
    configuration = read_configuration(session.environment)
    name = session.context or configuration.current
    if not name:
        raise usage_error("there is no context to leave", "aichatctl context list")
    sign_in_of(configuration.context(name), session.environment).end()
    session.out.say(
        f"the token of {name} is removed from this machine; it stays valid until its end"
    )


def list_contexts(session: Session) -> None:
    """List the servers that you have signed in to."""
    configuration = read_configuration(session.environment)
    rows = [
        (
            Span("*" if name == configuration.current else " "),
            Span(name),
            Span(_where(context)),
        )
        for name, context in configuration.contexts.items()
    ]
    if not rows:
        session.out.say("no contexts; aichatctl login https://HOST makes one")
        return
    columns = (Column(" "), Column("CONTEXT"), Column("SERVER", min_width=20))
    session.out.print(*table(columns, rows, session.out.width))


ContextArgument = Annotated[str, typer.Argument(metavar="NAME", help="The context.")]


def use_context(session: Session, name: ContextArgument) -> None:
    """Make a context the current one."""
    configuration = read_configuration(session.environment)
    configuration.with_context(configuration.context(name)).save()
    session.out.say(f"{name} is the current context")


def remove_context(session: Session, name: ContextArgument) -> None:
    """Remove a context and its token."""
    configuration = read_configuration(session.environment)
    sign_in_of(configuration.context(name), session.environment).end()
    configuration.without(name).save()
    session.out.say(f"{name} is removed")
