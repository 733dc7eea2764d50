"""The report about one workspace."""

from datetime import UTC, datetime
from typing import Any

from aichat_workspace.cli.render import description
from aichat_workspace.cli.render.lines import text_of
from aichat_workspace.domain.reasons import Reason
from tests.unit.cli.world import READY_STATUS

NOW = datetime(2026, 1, 2, tzinfo=UTC)
DOCUMENT = {
    "name": "red-chat",
    "team": "red",
    "created": "2026-01-01T00:00:00Z",
    "requestedBy": "ann",
    "generation": 1,
    "spec": {},
    "status": READY_STATUS,
}


def report(
    findings: list[dict[str, str]],
    width: int | None = 80,
    history: list[dict[str, Any]] | None = None,
) -> list[str]:
    diagnosis = {"summary": "People can chat.", "findings": findings}
    lines = description.describe(DOCUMENT, diagnosis, [], history or [], NOW, width)
    return [text_of(spans) for spans in lines]


def test_a_ready_workspace_is_reported_in_a_few_lines() -> None:
    assert report([]) == [
        "red-chat  team red  ● Ready for 1d",
        "  Why          People can chat.",
        "  Next         aichatctl open red-chat",
        "",
        "  URL          https://red-chat.ai.example.org",
        "  Server       runs",
        "  Chat         runs",
        "  Last used    not known",
        "  Asked by     ann",
        "",
        "MODEL      STATE    SIZE",
        "gemma2:2b  ● ready  1.5 GiB",
    ]


def test_each_finding_has_its_fix_and_what_to_type() -> None:
    finding = {
        "condition": "ModelsReady",
        "reason": "ModelsVolumeFull",
        "code": "AI0299",
        "severity": "Error",
        "message": "it is full",
        "advice": "Make room.",
    }
    lines = report([finding, {**finding, "severity": "Warning", "reason": "Other", "code": ""}])
    assert lines[1:7] == [
        "  Why          ModelsReady: it is full [AI0299]",
        "  Fix          Make room.",
        "  Try          aichatctl edit red-chat --models-volume SIZE",
        "  or           aichatctl models remove red-chat MODEL",
        "  Note         ModelsReady: it is full [Other]",
        "  Fix          Make room.",
    ]


def test_commands_are_for_reasons_that_there_are() -> None:
    assert set(description._COMMANDS) <= {str(reason) for reason in Reason}


def test_no_line_is_wider_than_the_terminal() -> None:
    finding = {
        "condition": "ModelsReady",
        "reason": "Any",
        "severity": "Error",
        "message": "a long message " * 20,
        "advice": "",
    }
    assert max(map(len, report([finding], 60))) <= 60


def test_the_last_changes_are_the_newest_ones() -> None:
    changes = [
        {
            "time": f"2026-01-01T{23 - hours:02}:00:00Z",
            "action": "edit",
            "user": "ann",
            "manager": None,
            "changed": ["spec.models"],
            "added": [f"model:{hours}"],
            "removed": [],
        }
        for hours in range(7)
    ]
    lines = report([], history=changes)
    begin = lines.index("Last changes")
    assert lines[begin + 1].split() == ["AGE", "WHO", "WHAT"]
    assert [line.split() for line in lines[begin + 2 :]] == [
        [f"{hours + 1}h", "ann", "added", f"model:{hours}"] for hours in range(5)
    ]
