"""Commands for when something is wrong: doctor, support-bundle."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from aichat_workspace.cli.command import Output, Team, command, complete_name
from aichat_workspace.cli.doctor.finding import Finding, Severity, finding_lines, summary
from aichat_workspace.cli.errors import CliError, ExitCode
from aichat_workspace.cli.output import Format, print_document
from aichat_workspace.cli.server.kubectl import Kubectl
from aichat_workspace.cli.session import Session
from aichat_workspace.domain import names


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "doctor")(doctor)
    command(app, "support-bundle")(support_bundle)


def doctor(
    session: Session,
    cluster: Annotated[
        bool, typer.Option("--cluster", help="Check the kubeconfig's cluster, too.")
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Check everything between you and your workspaces.

    It exits with 1 if anything is to be mended.
    """
    findings = list(_findings(session, cluster=cluster))
    if output.is_document:
        print_document(session.out, output, document_of(findings))
    else:
        session.out.print(*finding_lines(findings, session.out.width))
    if any(finding.severity is Severity.PROBLEM for finding in findings):
        raise typer.Exit(ExitCode.FAILED)


def _findings(session: Session, *, cluster: bool) -> Iterator[Finding]:
    from aichat_workspace.cli.doctor import api_checks, cluster_checks

    yield from api_checks.check(session)
    if cluster:
        try:
            context = session.target.context.kube_context
        except CliError:  # the first finding says so
            context = None
        yield from cluster_checks.check(Kubectl(context))


def document_of(findings: list[Finding]) -> dict[str, object]:
    """Return findings for programs."""
    return {
        "summary": summary(findings),
        "findings": [finding.document() for finding in findings],
    }


def support_bundle(
    session: Session,
    workspaces: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Workspaces.", autocompletion=complete_name),
    ] = None,
    team: Team = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", metavar="FILE", help="The archive to write.")
    ] = None,
) -> None:
    """Write an archive for support.

    With versions, checks, and of each NAME its state, events and logs; without credentials.
    """
    from importlib import metadata

    from aichat_workspace.cli import support_bundle as archive
    from aichat_workspace.cli.doctor import api_checks

    now = datetime.now(UTC)
    path = file or Path(f"aichat-support-{now:%Y%m%d-%H%M%S}.tar.gz")
    documents = [session.api.workspace(name, team).document for name in workspaces or ()]

    def contents() -> Iterator[tuple[str, str]]:
        versions = {"client": metadata.version(names.OPERATOR), "written": now.isoformat()}
        yield "versions.json", json.dumps(versions, indent=2)
        checks = document_of(list(api_checks.check(session)))
        yield "doctor.json", json.dumps(checks, indent=2)
        yield from archive.files(session, documents)

    written = archive.write(path, contents(), int(time.time()))
    for name in written:
        session.notes.say(f"  {name}")
    session.notes.say("Look through it before you send it on: logs can hold what people wrote.")
    session.out.say(str(path))
