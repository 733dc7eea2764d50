"""Errors of the API as errors of the command line."""

from collections.abc import Mapping
from typing import Any, Final

from aichat_workspace.cli.errors import CliError, ExitCode
from aichat_workspace.cli.render.lines import plain

_EXIT_CODES: Final = {
    401: ExitCode.FORBIDDEN,
    403: ExitCode.FORBIDDEN,
    404: ExitCode.NOT_FOUND,
    408: ExitCode.TIMED_OUT,
    502: ExitCode.UNREACHABLE,
    503: ExitCode.UNREACHABLE,
    504: ExitCode.TIMED_OUT,
}
_FIXES: Final = {
    "unauthenticated": "aichatctl login",
    "workspace-not-found": "aichatctl list",
    "no-identity-provider": "aichatctl login --help",
    "suspended": "aichatctl resume NAME",
    "not-provisioned": "aichatctl describe NAME",
    "not-running": "aichatctl describe NAME",
    "forbidden": "aichatctl doctor",
    "no-backup": "aichatctl backup NAME --wait",
    "no-backup-destination": "aichatctl doctor",
    "no-backup-passphrase": "aichatctl doctor",
    "backup-out-of-reach": "aichatctl edit NAME --set backup.destination=DESTINATION",
    "backup-not-listed": "aichatctl backups NAME",
    "no-such-model": "aichatctl models list NAME",
    "no-such-pattern": "aichatctl get NAME -o yaml",
    "member-not-found": "aichatctl members list --team TEAM",
    "token-not-found": "aichatctl tokens list --team TEAM",
    "token-exists": "aichatctl tokens list --team TEAM",
    "too-many-tokens": "aichatctl tokens list --team TEAM",
}


def from_problem(
    what: str, status: int, document: Mapping[str, Any], name: str = "", team: str = ""
) -> CliError:
    """Return the error for a problem document (RFC 9457); `name` is the workspace's."""
    code = str(document.get("code", ""))
    errors = document.get("errors") or ()
    why = [
        plain(f"{error.get('field')}: {error.get('message')}".removeprefix(": "))
        for error in errors
        if isinstance(error, Mapping)
    ] or [plain(str(document.get("detail") or f"the API answers {status}"))]
    fix = _FIXES.get(code, "").replace("NAME", name or "NAME").replace("TEAM", team or "TEAM")
    return CliError(what, tuple(why), fix, _EXIT_CODES.get(status, ExitCode.FAILED))


def not_an_api(what: str, status: int, url: str) -> CliError:
    """Return the error for an answer that is no document of the API's."""
    return CliError(
        what,
        (f"{url} answers {status}, and not as the API of AIChat workspaces does",),
        "aichatctl doctor",
        ExitCode.UNREACHABLE if status >= 500 else ExitCode.FAILED,
    )


def unreachable(what: str, url: str, reason: str) -> CliError:
    """Return the error for a server that does not answer."""
    return CliError(
        what, (f"{url} does not answer: {plain(reason)}",), "aichatctl doctor", ExitCode.UNREACHABLE
    )
