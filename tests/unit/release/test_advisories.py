"""What a report on vulnerabilities means."""

import json
from typing import Any

import pytest

from release.advisories import judge
from release.errors import ReleaseError

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
        judge(report(GOOD, GOOD), required=True) == "none of 2 packages has a known vulnerability"
    )


def test_each_vulnerability_is_named_with_the_version_that_mends_it() -> None:
    with pytest.raises(
        ReleaseError, match=r"(?s)PYSEC-1, mended in 1\.1\n.*PYSEC-2.*no version yet"
    ):
        judge(report(GOOD, BAD, UNKNOWN), required=False)


def test_it_is_said_where_nothing_could_be_looked_up() -> None:
    assert judge(report(UNKNOWN, UNKNOWN), required=False).startswith("NOT RUN")


@pytest.mark.parametrize(
    ("packages", "required"), [((UNKNOWN,), True), ((GOOD, UNKNOWN), False), ((), False)]
)
def test_what_was_not_looked_up_is_no_success(
    packages: tuple[dict[str, Any], ...], required: bool
) -> None:
    with pytest.raises(ReleaseError, match="no advisories of"):
        judge(report(*packages), required=required)
