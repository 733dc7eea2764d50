"""What a check has found."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from aichat_workspace.cli.errors import CliError, ExitCode
from aichat_workspace.cli.render.lines import BLANK, Line, Span, Style, line, paragraph, plain
from aichat_workspace.cli.render.words import count

PAGE: Final = "docs/aichatctl.md"


class Severity(StrEnum):
    """How much a finding matters."""

    GOOD = "good"
    NOTE = "note"
    PROBLEM = "problem"


class Category(StrEnum):
    """What a check is about."""

    MACHINE = "This machine"
    REACHING = "Reaching the API"
    RIGHTS = "What you may do"
    WORKSPACES = "Your workspaces"
    PLATFORM = "The platform"
    CLUSTER = "The cluster"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    code: str
    """A stable code, with a section of its own on the page of the command line."""
    category: Category
    severity: Severity
    text: str
    """What is so."""
    fix: str = ""
    """What to type or whom to ask; empty where all is good."""
    reference: str = ""
    """Where the code is explained, if not on the page of the command line."""

    @property
    def link(self) -> str:
        """Where to read more."""
        return self.reference or f"{PAGE}#{self.code.lower()}"

    def document(self) -> dict[str, Any]:
        """Return the finding for programs."""
        return {
            "code": self.code,
            "category": str(self.category),
            "severity": str(self.severity),
            "text": self.text,
            "fix": self.fix,
            "link": self.link,
        }


def fix_of(error: CliError, fix: str) -> str:
    """Return what helps where kubectl has failed: a role if it was refused, else `fix`."""
    may_not = "ask for a role that may read it, or use the kubeconfig of who has installed it"
    return error.fix or (may_not if error.code is ExitCode.FORBIDDEN else fix)


_SIGNS: Final = {
    Severity.GOOD: Span("✓", Style.GOOD),
    Severity.NOTE: Span("!", Style.WORKING),
    Severity.PROBLEM: Span("✗", Style.BAD),
}


def finding_lines(findings: Iterable[Finding], width: int | None) -> list[Line]:
    """Return findings below their categories, and how many there are of each kind."""
    lines: list[Line] = []
    findings = list(findings)
    for category in Category:
        members = [finding for finding in findings if finding.category is category]
        if members:
            lines.append(line(str(category), Style.TITLE))
        for finding in members:
            lines += _finding(finding, width)
    return [*lines, BLANK, line(summary(findings))]


def _finding(finding: Finding, width: int | None) -> list[Line]:
    first = (Span("  "), _SIGNS[finding.severity], Span(" "))
    lines = paragraph(plain(finding.text), width, first=first, indent=4)
    if finding.fix:
        lines += paragraph(plain(finding.fix), width, first=(Span("    try: "),), indent=9)
    if finding.severity is not Severity.GOOD:
        lines.append(line(f"    {finding.code}: {finding.link}", Style.FAINT))
    return lines


def summary(findings: Iterable[Finding]) -> str:
    """Return how many checks there were, and how many are good, to know and to mend."""
    severities = [finding.severity for finding in findings]
    parts = [
        f"{severities.count(severity)} {words}"
        for severity, words in (
            (Severity.GOOD, "good"),
            (Severity.NOTE, "to know"),
            (Severity.PROBLEM, "to mend"),
        )
        if severities.count(severity)
    ]
    return f"{count(len(severities), 'check')}: {', '.join(parts)}"
