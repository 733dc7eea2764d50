"""Findings as lines, and the page that explains them."""

import re
from pathlib import Path

from aichat_workspace.cli.doctor.finding import (
    PAGE,
    Category,
    Finding,
    Severity,
    finding_lines,
    fix_of,
    summary,
)
from aichat_workspace.cli.errors import CliError, ExitCode
from aichat_workspace.cli.render.lines import text_of

ROOT = Path(__file__).parents[4]
DOCTOR = ROOT / "src" / "aichat_workspace" / "cli" / "doctor"
GOOD = Finding("AC201", Category.REACHING, Severity.GOOD, "it answers")
BAD = Finding("AC506", Category.CLUSTER, Severity.PROBLEM, "there is none", "install one")


def test_findings_stand_below_their_categories_with_fix_and_link() -> None:
    assert [text_of(spans) for spans in finding_lines([BAD, GOOD], 80)] == [
        "Reaching the API",
        "  ✓ it answers",
        "The cluster",
        "  ✗ there is none",
        "    try: install one",
        "    AC506: docs/aichatctl.md#ac506",
        "",
        "2 checks: 1 good, 1 to mend",
    ]


def test_a_summary_counts_what_there_is() -> None:
    assert summary([GOOD]) == "1 check: 1 good"


def test_every_code_has_a_section_on_the_page() -> None:
    text = "".join(module.read_text() for module in DOCTOR.glob("*.py"))
    codes = set(re.findall(r'"(AC\d{3})"', text))
    assert len(codes) > 10
    assert codes == set(re.findall(r"^### (AC\d{3})$", (ROOT / PAGE).read_text(), re.MULTILINE))


def test_who_was_refused_is_told_to_ask_for_a_role_and_others_what_else_helps() -> None:
    refused = CliError("not read", code=ExitCode.FORBIDDEN)
    assert "ask for a role" in fix_of(refused, "kubectl cluster-info")
    assert fix_of(CliError("not read"), "kubectl cluster-info") == "kubectl cluster-info"
    assert fix_of(CliError("not read", fix="install kubectl"), "other") == "install kubectl"
