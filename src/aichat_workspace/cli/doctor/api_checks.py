"""Checks of this machine, the way to the API, and what the caller may do there."""

import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from importlib import metadata
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from aichat_workspace.cli.client.api import Json, workspace_path
from aichat_workspace.cli.doctor import backup_checks, capacity_checks
from aichat_workspace.cli.doctor.finding import Category, Finding, Severity
from aichat_workspace.cli.errors import CliError, ExitCode
from aichat_workspace.cli.render.description import finding_text
from aichat_workspace.cli.render.workspaces import phase_of
from aichat_workspace.cli.server import settings
from aichat_workspace.cli.server.connection import dialled_host, tls_context
from aichat_workspace.cli.session import Session
from aichat_workspace.domain import names
from aichat_workspace.foundation.tokens import expiry
from aichat_workspace.foundation.units import age

_SEVERITIES: Final = {"Waiting": Severity.GOOD, "Warning": Severity.NOTE}
_SOON_SECONDS: Final = 14 * 86_400
_CONNECT_SECONDS: Final = 10
_CLOCK_SECONDS: Final = 60
"""What Kubernetes' API servers allow the times of a token to differ."""
_WRITE: Final = ("create", "patch", "delete")
_HELPFUL: Final = {
    "get aichatworkspaces/log": "read logs",
    "create aichatworkspaces/prompt": "ask models",
    "get aichatworkspaces/credentials": "read credentials",
}


def check(session: Session) -> Iterator[Finding]:
    """Yield the findings, until one makes the others impossible."""
    try:
        target = session.target
    except CliError as error:
        yield _failure("AC101", Category.MACHINE, error)
        return
    yield _configured(session)
    server = target.context.server
    if server and server.startswith("https:") and not _goes_through_proxy(server):
        yield certificate(server, target.context.ca_file, time.time())
    began = time.monotonic()
    try:
        answer = session.api.get("the API did not say who you are", "/api/v1/me")
    except CliError as error:
        code = "AC202" if error.code is ExitCode.FORBIDDEN else "AC201"
        yield _failure(code, Category.REACHING, error)
        return
    milliseconds = (time.monotonic() - began) * 1_000
    text = f"{session.api.url} answers ({milliseconds:.0f} ms)"
    yield Finding("AC201", Category.REACHING, Severity.GOOD, text)
    if date := answer.headers.get("date"):
        yield clock(date, time.time())
    identity = answer.document
    yield from _version(session)
    yield token(identity, target.token, time.time())
    yield from rights(identity, session.api.rights)
    yield from _workspaces(session)
    yield from _platform(session)
    yield from backup_checks.platform(session)


def clock(date: str, now: float) -> Finding:
    """Return whether this machine's clock agrees with the one that an answer was dated by."""
    ahead = now - parsedate_to_datetime(date).timestamp()
    if abs(ahead) < _CLOCK_SECONDS:
        text = "this machine's clock agrees with the API's"
        return Finding("AC207", Category.MACHINE, Severity.GOOD, text)
    way = "ahead of" if ahead > 0 else "behind"
    text = f"this machine's clock is {age(abs(ahead))} {way} the API's, so tokens seem to be over"
    fix = "set the clock by the network: timedatectl set-ntp true"
    return Finding("AC207", Category.MACHINE, Severity.PROBLEM, text, fix)


def _failure(code: str, category: Category, error: CliError) -> Finding:
    text = f"{error.what}: {'; '.join(error.why)}" if error.why else error.what
    return Finding(code, category, Severity.PROBLEM, text, error.fix)


def _configured(session: Session) -> Finding:
    context = session.target.context
    path = settings.config_path(session.environment)
    source = f"context {context.name} of {path}" if context.name else "no context"
    where = context.server or "the kubeconfig's cluster"
    return Finding("AC101", Category.MACHINE, Severity.GOOD, f"{source}: {where}")


def certificate(server: str, ca_file: str | None, now: float) -> Finding:
    """Return whether the server's certificate is good, and for how long."""
    host, port = urlsplit(server).hostname or "", urlsplit(server).port or 443
    try:
        with (
            socket.create_connection((dialled_host(host), port), _CONNECT_SECONDS) as connection,
            tls_context(ca_file).wrap_socket(connection, server_hostname=host) as secure,
        ):
            parts = secure.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        return Finding(
            "AC203",
            Category.REACHING,
            Severity.PROBLEM,
            f"the certificate of {host} is not trusted: {error.verify_message}",
            f"aichatctl login {server} --ca-file FILE, with the authority that has signed it",
        )
    except OSError as error:
        text = f"{host}:{port} can't be connected to: {error.strerror or error}"
        fix = "check the address, your network and the proxy (HTTPS_PROXY)"
        return Finding("AC201", Category.REACHING, Severity.PROBLEM, text, fix)
    seconds = ssl.cert_time_to_seconds(str(parts["notAfter"])) - now
    text = f"the certificate of {host} is good for {age(seconds)}"
    if seconds < _SOON_SECONDS:
        fix = "tell the platform team to renew it"
        return Finding("AC204", Category.REACHING, Severity.NOTE, text, fix)
    return Finding("AC203", Category.REACHING, Severity.GOOD, text)


def _goes_through_proxy(server: str) -> bool:
    """Whether the environment names a proxy; then only the request itself can try the way."""
    host = urlsplit(server).hostname or ""
    return "https" in getproxies() and not proxy_bypass(host)


def _version(session: Session) -> Iterator[Finding]:
    try:
        platform = session.api.get("its version was not read", "/api/v1/platform").document
    except CliError as error:
        yield _failure("AC205", Category.REACHING, error)
        return
    yield versions(metadata.version(names.OPERATOR), str(platform["version"]))


def versions(client: str, server: str) -> Finding:
    """Return whether the program and the API fit: they have the same first two numbers."""
    text = f"this program is {client}, the API {server}"
    if client.split(".")[:2] == server.split(".")[:2]:
        return Finding("AC205", Category.REACHING, Severity.GOOD, text)
    fix = f"install version {server} of aichatctl"
    return Finding("AC205", Category.REACHING, Severity.NOTE, text, fix)


def token(identity: Mapping[str, Any], bearer: str | None, now: float) -> Finding:
    """Return who the caller is, and for how long."""
    text = f"you are {identity['username']}"
    if bearer is None:
        text += "; tokens are requested from the cluster"
        return Finding("AC202", Category.REACHING, Severity.GOOD, text)
    end = expiry(bearer)
    if end is None:
        return Finding("AC202", Category.REACHING, Severity.GOOD, text)
    text += f"; the token is good for {age(end - now)}"
    if end - now < 3_600:
        return Finding("AC206", Category.REACHING, Severity.NOTE, text, "aichatctl login")
    return Finding("AC202", Category.REACHING, Severity.GOOD, text)


def rights(identity: Mapping[str, Any], rights_in: Callable[[str], set[str]]) -> Iterator[Finding]:
    """Yield what the caller may do, by team."""
    everywhere = set(identity["everywhere"])
    if everywhere:
        yield _team_rights("every team", everywhere)
    for team in identity["teams"] if not everywhere >= {*_WRITE, *_HELPFUL} else ():
        yield _team_rights(str(team), rights_in(str(team)))
    if not everywhere and not identity["teams"]:
        yield Finding(
            "AC301",
            Category.RIGHTS,
            Severity.PROBLEM,
            "you may see no workspaces in any team",
            "ask an administrator of your team's namespace for the role edit there",
        )


def _team_rights(team: str, verbs: set[str]) -> Finding:
    missing = [verb for verb in _WRITE if verb not in verbs]
    missing += [words for verb, words in _HELPFUL.items() if verb not in verbs]
    if not missing:
        return Finding("AC301", Category.RIGHTS, Severity.GOOD, f"everything in {team}")
    return Finding(
        "AC302",
        Category.RIGHTS,
        Severity.NOTE,
        f"in {team} you may not: {', '.join(missing)}",
        "ask an administrator of the team's namespace for the role edit or admin",
    )


def _workspaces(session: Session) -> Iterator[Finding]:
    try:
        documents = session.api.workspaces()
    except CliError as error:
        yield _failure("AC401", Category.WORKSPACES, error)
        return
    troubled = [document for document in documents if phase_of(document) == "Degraded"]
    text = f"{len(documents) - len(troubled)} of {len(documents)} need nothing"
    if documents:
        yield Finding("AC401", Category.WORKSPACES, Severity.GOOD, text)
    for document in troubled:
        yield from _diagnosis(session, document)
    yield from backup_checks.workspaces(documents)
    yield from capacity_checks.quotas(documents)
    yield from capacity_checks.models(session, documents)
    urls = [str((document.get("status") or {}).get("url") or "") for document in documents]
    if host := next(filter(None, (urlsplit(url).hostname for url in urls)), None):
        yield dns(host)


def dns(host: str) -> Finding:
    """Return whether a chat's host name has an address here; all of a platform have one domain."""
    try:
        socket.getaddrinfo(dialled_host(host), None)
    except (OSError, UnicodeError) as error:  # a label may be too long for the system
        text = f"{host} has no address here: {getattr(error, 'strerror', None) or error}"
        fix = "ask the platform team for a DNS record of all names below the platform's domain"
        return Finding("AC404", Category.WORKSPACES, Severity.NOTE, text, fix)
    return Finding("AC404", Category.WORKSPACES, Severity.GOOD, f"{host} has an address")


def _diagnosis(session: Session, document: Json) -> Iterator[Finding]:
    name, query = str(document["name"]), {"team": document["team"]}
    path = workspace_path(name, "/diagnosis")
    try:
        diagnosis = session.api.get(f"{name} was not diagnosed", path, query).document
    except CliError as error:
        yield _failure("AC402", Category.WORKSPACES, error)
        return
    for entry in diagnosis["findings"]:
        severity = _SEVERITIES.get(str(entry["severity"]), Severity.PROBLEM)
        if severity is not Severity.GOOD:
            fix = f"{entry['advice']} See: aichatctl describe {name}".strip()
            yield Finding(
                str(entry["code"]) or "AC402",
                Category.WORKSPACES,
                severity,
                f"{name}: {finding_text(entry)}",
                fix,
                str(entry["reference"]),
            )


def _platform(session: Session) -> Iterator[Finding]:
    """Yield what the platform lacks, for those who may know: the platform team."""
    try:
        path = "/api/v1/platform/diagnosis"
        diagnosis = session.api.get("the platform was not diagnosed", path).document
    except CliError as error:
        if error.code is not ExitCode.FORBIDDEN:
            yield _failure("AC601", Category.PLATFORM, error)
        return
    findings, summary = diagnosis["findings"], str(diagnosis["summary"])
    if not findings:
        severity = Severity.GOOD if diagnosis["isKnown"] else Severity.NOTE
        fix = "" if diagnosis["isKnown"] else "kubectl get aichatplatform"
        yield Finding("AC601", Category.PLATFORM, severity, summary, fix)
    for entry in findings:
        severity = Severity.PROBLEM if entry["severity"] == "Error" else Severity.NOTE
        yield Finding(
            str(entry["code"]) or "AC601",
            Category.PLATFORM,
            severity,
            f"{entry['condition']}: {entry['message']}",
            str(entry["advice"]),
            str(entry["reference"]),
        )
