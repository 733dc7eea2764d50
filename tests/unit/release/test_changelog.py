"""The changelog's section of a version."""

import pytest

from release.changelog import section
from release.errors import ReleaseError

CHANGELOG = """\
# Changelog

## Unreleased

- Something new.

## 1.10.0 - 2026-11-30

- A thing
  of two lines.

### Upgrade

- Nothing.

## 1.1.0 - 2026-10-01

"""


def test_the_section_ends_where_the_next_version_begins() -> None:
    assert (
        section(CHANGELOG, "1.10.0") == "- A thing\n  of two lines.\n\n### Upgrade\n\n- Nothing.\n"
    )


@pytest.mark.parametrize(
    ("version", "fix"),
    [
        ("1.1.0", "write what changed"),
        ("1.2.0", "## 1.2.0 - YYYY-MM-DD"),
        ("1.10.00", "## 1.10.00 - "),
        ("Unreleased", "Unreleased - "),
    ],
)
def test_a_section_that_is_missing_or_empty_is_an_error_with_its_fix(
    version: str, fix: str
) -> None:
    with pytest.raises(ReleaseError, match=fix):
        section(CHANGELOG, version)
