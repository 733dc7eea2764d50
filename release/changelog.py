"""Read the changelog's section of a version."""

import re

from release.errors import ReleaseError


def section(changelog: str, version: str) -> str:
    """Return the text below the heading ``## VERSION - DATE``.

    Raises:
        ReleaseError: there is no such heading, or nothing below it.
    """
    for part in re.split(r"^## ", changelog, flags=re.MULTILINE)[1:]:
        heading, _, text = part.partition("\n")
        if re.fullmatch(rf"{re.escape(version)} - \d{{4}}-\d\d-\d\d", heading.strip()):
            if text.strip():
                return text.strip() + "\n"
            raise ReleaseError(
                f"CHANGELOG.md says nothing below '## {heading}': write what changed"
            )
    raise ReleaseError(
        f"CHANGELOG.md has no section of {version}: rename its '## Unreleased' to "
        f"'## {version} - YYYY-MM-DD', with the day of the release, and commit that"
    )
