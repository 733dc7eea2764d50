"""What a report on vulnerabilities means."""

import json
import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from release.advisories import ACCEPTED, Acceptance, judge, read_accepted
from release.errors import ReleaseError

TODAY = date(2026, 11, 30)
GOOD: dict[str, Any] = {"name": "good", "version": "1", "vulns": []}
UNKNOWN: dict[str, Any] = {"name": "unknown", "skip_reason": "not found"}
BAD: dict[str, Any] = {
    "name": "bad",
    "version": "1",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}, {"id": "PYSEC-2", "fix_versions": []}],
}


def report(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": packages})


def test_packages_without_vulnerabilities_are_counted() -> None:
    assert (
        judge(report(GOOD, GOOD), (), TODAY, required=True)
        == "none of 2 packages has a known vulnerability"
    )


def test_each_vulnerability_is_named_with_the_version_that_mends_it() -> None:
    with pytest.raises(
        ReleaseError, match=r"(?s)PYSEC-1, mended in 1\.1\n.*PYSEC-2.*no version yet"
    ):
        judge(report(GOOD, BAD, UNKNOWN), (), TODAY, required=False)


def test_it_is_said_where_nothing_could_be_looked_up() -> None:
    assert judge(report(UNKNOWN, UNKNOWN), (), TODAY, required=False).startswith("NOT RUN")


@pytest.mark.parametrize(
    ("packages", "required"), [((UNKNOWN,), True), ((GOOD, UNKNOWN), False), ((), False)]
)
def test_what_was_not_looked_up_is_no_success(
    packages: tuple[dict[str, Any], ...], required: bool
) -> None:
    with pytest.raises(ReleaseError, match="no advisories of"):
        judge(report(*packages), (), TODAY, required=required)


def acceptance(advisory: str, package: str = "bad", until: date = TODAY) -> Acceptance:
    return Acceptance(advisory, package, "nothing here does that", until)


def test_an_accepted_vulnerability_passes_until_its_last_day_and_is_said() -> None:
    accepted = [acceptance("PYSEC-1"), acceptance("PYSEC-2")]
    answer = judge(report(GOOD, BAD), accepted, TODAY, required=True)
    assert answer.splitlines() == [
        "none of 2 packages has a known vulnerability that is not accepted",
        "accepted until 2026-11-30: PYSEC-1 of bad, nothing here does that",
        "accepted until 2026-11-30: PYSEC-2 of bad, nothing here does that",
    ]
    with pytest.raises(ReleaseError, match="PYSEC-1"):
        judge(report(GOOD, BAD), accepted, TODAY + timedelta(days=1), required=True)


@pytest.mark.parametrize("other", [acceptance("PYSEC-3"), acceptance("PYSEC-2", "good")])
def test_only_the_accepted_vulnerability_of_that_package_passes(other: Acceptance) -> None:
    with pytest.raises(ReleaseError, match="PYSEC-2") as refused:
        judge(report(GOOD, BAD), [acceptance("PYSEC-1"), other], TODAY, required=True)
    assert "PYSEC-1" not in str(refused.value)


def test_an_acceptance_of_what_no_package_has_is_to_be_removed() -> None:
    with pytest.raises(ReleaseError, match="no package has PYSEC-1: remove it"):
        judge(report(GOOD), [acceptance("PYSEC-1")], TODAY, required=True)


def test_the_accepted_vulnerabilities_are_read_with_their_example(tmp_path: Path) -> None:
    read_accepted(ACCEPTED)
    example = re.sub("^# ?", "", ACCEPTED.read_text().partition("#\n")[2], flags=re.MULTILINE)
    (tmp_path / "a.toml").write_text(example)
    (entry,) = read_accepted(tmp_path / "a.toml")
    assert (entry.advisory, entry.package) == ("PYSEC-2026-1", "thing")
    assert entry.until == date(2026, 12, 31)


@pytest.mark.parametrize(
    "fields",
    [
        'package = "a"\nreason = "b"',
        'package = "a"\nreason = " "\nuntil = 2026-12-31',
        'package = "a"\nreason = "b"\nuntil = "2026-12-31"',
        'package = "a"\nreason = "b"\nuntil = 2026-12-31\nmore = 1',
    ],
)
def test_an_acceptance_needs_a_package_a_reason_and_a_day(tmp_path: Path, fields: str) -> None:
    (tmp_path / "a.toml").write_text(f"[PYSEC-1]\n{fields}\n")
    with pytest.raises(ReleaseError, match=r"a.toml: \[PYSEC-1\] needs a package, a reason"):
        read_accepted(tmp_path / "a.toml")
