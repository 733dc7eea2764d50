"""Find the server and the token: a flag, the environment, the configuration, or the kubeconfig."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from aichat_workspace.cli.client.api import Api
from aichat_workspace.cli.errors import CliError, ExitCode, usage_error
from aichat_workspace.cli.server import settings
from aichat_workspace.cli.server.kubectl import Kubectl
from aichat_workspace.cli.server.renewal import SignIn
from aichat_workspace.cli.server.settings import Configuration, Context
from aichat_workspace.cli.server.tokens import read_token, write_private
from aichat_workspace.domain import names
from aichat_workspace.foundation.tokens import expiry

if TYPE_CHECKING:
    import ssl

SERVICE: Final = f"service/{names.API}"
_PORT: Final = "http"
_RENEW_SECONDS: Final = 120
_CONNECT_SECONDS: Final = 10.0
_READ_SECONDS: Final = 60.0
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_BELOW_LOCALHOST: Final = ".localhost"
_IN_CLUSTER: Final = (".svc", ".cluster.local")


@dataclass(frozen=True, slots=True)
class Target:
    """A server, how to reach it, and as who."""

    context: Context
    token: str | None = None
    """None where it is requested from the cluster, or where there is none."""
    is_stored: bool = False
    """Whether the token is that of the context's file, which may be renewed."""


def choose_target(
    server: str | None,
    context: str | None,
    configuration: Configuration,
    environment: Mapping[str, str],
) -> Target:
    """Choose the server: flags first, then the environment, the configuration, the kubeconfig.

    Raises CliError for an unknown context, a wrong address or a token that others can read.
    """
    server = server or (None if context else environment.get(settings.SERVER)) or None
    name = context or environment.get(settings.CONTEXT) or configuration.current
    if server:
        chosen_context = _context_of(check_address(server), configuration)
    elif name:
        chosen_context = configuration.context(name)
    else:
        chosen_context = Context("")
    if ca_file := environment.get(settings.CA_FILE):
        chosen_context = replace(chosen_context, ca_file=ca_file)
    if token := environment.get(settings.TOKEN):
        return Target(chosen_context, token)
    if not chosen_context.name:
        return Target(chosen_context)
    stored = read_token(settings.token_path(chosen_context.name, environment))
    return Target(chosen_context, stored, is_stored=stored is not None)


def _context_of(server: str, configuration: Configuration) -> Context:
    """Return the context with this address, for its token; a nameless one where none has it."""
    contexts = configuration.contexts.values()
    return next((context for context in contexts if context.server == server), Context("", server))


def check_address(server: str) -> str:
    """Return a server's address without what follows its host. Raises CliError."""
    address = server if "://" in server else f"https://{server}"
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise usage_error(f"{server!r} is no address; write https://HOST", "aichatctl login --help")
    host = parts.hostname
    if parts.scheme == "http" and not _is_private(host):
        raise usage_error(
            f"a token is not sent to {address}: without TLS everyone on the way could read it",
            f"use https://{parts.netloc}",
        )
    path = parts.path.rstrip("/").removesuffix("/api/v1")
    return f"{parts.scheme}://{parts.netloc}{path}"


def _is_private(host: str) -> bool:
    """Return whether a host is this machine or a name of a cluster or a private network."""
    with suppress(ValueError):
        address = ip_address(host)
        return address.is_loopback
    is_name = not host.isdecimal()  # 134744072 is an address, too
    return is_name and (is_here(host) or host.endswith(_IN_CLUSTER) or "." not in host)


def is_here(host: str) -> bool:
    """Return whether a host is this machine, as all names below localhost are (RFC 6761 6.3)."""
    return host in _LOOPBACK or host.endswith(_BELOW_LOCALHOST)


def dialled_host(host: str) -> str:
    """Return where to connect to for a host: not every system looks up names below localhost."""
    return "127.0.0.1" if host.endswith(_BELOW_LOCALHOST) else host


@contextmanager
def connect(target: Target, environment: Mapping[str, str]) -> Iterator[Api]:
    """Open a client of the API, until the block ends. Raises CliError.

    Through a kubeconfig it forwards a port, and requests a token where none is valid any more.
    """
    context = target.context
    if context.server:
        with _client(context.server, _tokens(target, environment), context.ca_file) as api:
            yield api
        return
    kubectl = Kubectl(context.kube_context)
    token = cluster_token(kubectl, target, environment)
    with kubectl.port_forward(SERVICE, _PORT, names.SYSTEM_NAMESPACE) as port:  # noqa: SIM117
        with _client(f"http://127.0.0.1:{port}", lambda: token, None) as api:
            yield api


def sign_in_of(context: Context, environment: Mapping[str, str]) -> SignIn:
    """Return where a context's sign-in is stored."""
    return SignIn(
        settings.token_path(context.name, environment),
        settings.renewal_path(context.name, environment),
        lambda: tls_context(context.ca_file),
    )


def _tokens(target: Target, environment: Mapping[str, str]) -> Callable[[], str | None]:
    """Return the function that each request gets its token from, renewed where that can be."""
    token = target.token
    if token is None or not target.is_stored:
        return lambda: token
    return partial(sign_in_of(target.context, environment).token, token)


def cluster_token(kubectl: Kubectl, target: Target, environment: Mapping[str, str]) -> str:
    """Return a valid token of the target's service account; a new one where none is stored."""
    if target.token:
        end = expiry(target.token)
        if end is None or end > time.time() + _RENEW_SECONDS:
            return target.token
    account = target.context.service_account or kubectl.own_account()
    if account is None:
        raise CliError(
            "the API was not asked",
            (
                "there is no server in the flags, the environment or the configuration,",
                f"and the kubeconfig's user {kubectl.username()} is no service account",
            ),
            "aichatctl login https://HOST, or aichatctl login --kubeconfig --team TEAM",
            ExitCode.FORBIDDEN,
        )
    token = kubectl.token(account)
    if target.context.name:
        write_private(settings.token_path(target.context.name, environment), token)
    return token


@contextmanager
def _client(
    server: str, newest_token: Callable[[], str | None], ca_file: str | None
) -> Iterator[Api]:
    import ssl

    import httpx2

    def authenticate(request: httpx2.Request) -> httpx2.Request:
        if token := newest_token():
            request.headers["Authorization"] = f"Bearer {token}"
        host = request.url.host
        if (address := dialled_host(host)) != host:  # the Host header and TLS have its name
            request.extensions["sni_hostname"] = host
            request.url = request.url.copy_with(host=address)
        return request

    is_https = server.startswith("https:")
    with httpx2.Client(
        base_url=server,
        headers={"User-Agent": "aichatctl"},
        auth=authenticate,
        timeout=httpx2.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS),
        # Without TLS nothing has to be trusted, and the system's authorities take time to read.
        verify=tls_context(ca_file) if is_https else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        trust_env=not is_here(urlsplit(server).hostname or ""),
    ) as http:
        yield Api(http)


def tls_context(ca_file: str | None) -> "ssl.SSLContext":
    """Return what verifies certificates: the system's authorities, and those of a file.

    Raises CliError for a file that can't be read.
    """
    import ssl

    verifier = ssl.create_default_context()
    if ca_file:
        try:
            verifier.load_verify_locations(Path(ca_file).expanduser())
        except OSError as error:
            raise CliError(
                "the certificate authorities were not read",
                (f"{ca_file}: {error.strerror or error}",),
                f"correct --ca-file, {settings.CA_FILE} or ca-file in the configuration",
            ) from None
    return verifier
