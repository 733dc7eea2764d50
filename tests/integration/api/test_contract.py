"""The running API answers as its OpenAPI document says, to good requests and bad ones."""

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest

from tests.integration.api.served import Person, Served

_CONFIGURATION = Path(__file__).parent / "schemathesis.toml"
_CREATE: Final = ("POST", 201)
# It computes all the time: minutes on a machine that is at work on other tests.
_SECONDS: Final = 900
pytestmark = pytest.mark.timeout(_SECONDS + 100)


def test_generated_requests_get_documented_answers_and_never_an_error_of_ours(
    api: Served, boss: Person, tmp_path: Path
) -> None:
    report = tmp_path / "report.ndjson"
    ran = subprocess.run(
        [
            "schemathesis",
            f"--config-file={_CONFIGURATION}",
            "run",
            f"{api.url}/openapi.json",
            f"--header=Authorization: Bearer {boss.token}",
            f"--report-ndjson-path={report}",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-20_000:]
    went_on = _went_on(report)
    assert went_on.total() >= 1, went_on


def _went_on(report: Path) -> Counter[str]:
    """Methods of the requests that followed a link from a workspace which was made (201), and did
    what they were to."""
    methods: Counter[str] = Counter()
    for line in report.read_text().splitlines():
        scenario = json.loads(line).get("ScenarioFinished", {})
        if scenario.get("phase") != "stateful":
            continue
        recorder = scenario["recorder"]
        answers = {
            name: _answer(interaction)
            for name, interaction in recorder.get("interactions", {}).items()
        }
        for name, case in recorder.get("cases", {}).items():
            before = answers.get(case.get("parent_id"))
            method, status = answers.get(name, ("", 0))
            if "transition" in case and before == _CREATE and 200 <= status < 300:
                methods[method] += 1
    return methods


def _answer(interaction: dict[str, Any]) -> tuple[str, int]:
    response = interaction.get("response") or {}
    return interaction["request"]["method"], response.get("status_code", 0)
