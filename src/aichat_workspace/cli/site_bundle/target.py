"""Who logs in at the registry that a bundle is loaded into, and where it is."""

import socket
import sys
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from aichat_workspace.cli.errors import CliError, ExitCode, usage_error
from aichat_workspace.oci.credentials import Login, docker_config, read_login
from aichat_workspace.oci.errors import Cause, OciError

_CODES: Final = {
    Cause.INPUT: ExitCode.USAGE,
    Cause.ABSENT: ExitCode.NOT_FOUND,
    Cause.LOGIN: ExitCode.FORBIDDEN,
    Cause.REFUSED: ExitCode.FORBIDDEN,
    Cause.UNREACHABLE: ExitCode.UNREACHABLE,
}
_OPTIONS: Final = "name the login with --username and --password-stdin"


def choose_login(
    registry: str, username: str | None, *, password_stdin: bool, environment: Mapping[str, str]
) -> Login | None:
    """Return the login of the options, else that of `docker login`.

    Raises CliError for half a login, and OciError for a file that does not help.
    """
    if (username is not None) != password_stdin:
        raise usage_error(
            "a login has a user and a password",
            "use --username USER and --password-stdin together, or neither after `docker login`",
        )
    if username is not None:
        return Login(username, sys.stdin.readline().rstrip("\r\n"))
    return read_login(docker_config(environment, Path.home()), registry)


def private_addresses(registry: str) -> tuple[str, ...]:
    """Return a registry's private addresses, which workspaces do not reach by default."""
    host, _, port = registry.partition(":")
    try:
        entries = socket.getaddrinfo(host, int(port or 443), type=socket.SOCK_STREAM)
    except OSError:
        return ()  # an own name server of the cluster may know it
    addresses = {ip_address(str(entry[4][0]).partition("%")[0]) for entry in entries}
    return tuple(
        str(address)
        for address in sorted(addresses, key=str)
        if address.is_private and not address.is_loopback
    )


def cli_error(error: OciError) -> CliError:
    """Return an error of registries as the command line has them."""
    reasons = (error.why,) if error.why else ()
    options = _OPTIONS if error.cause is Cause.LOGIN else ""
    fix = ", or ".join(filter(None, (error.fix, options)))
    return CliError(error.what, reasons, fix, _CODES.get(error.cause, ExitCode.FAILED))
