"""Judge pip-audit's report: it succeeds, too, where it could look nothing up."""

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from localcluster.paths import PROJECT
from release.errors import ReleaseError

ACCEPTED: Final = PROJECT / "requirements" / "advisories.toml"
_Key = tuple[str, str]  # the name of a package, and an advisory
_FIELDS: Final = {"package": str, "reason": str, "until": date}


@dataclass(frozen=True)
class Acceptance:
    """An advisory that a review has accepted for a time."""

    advisory: str
    package: str
    reason: str
    until: date
    """The last day on which it is accepted."""

    @property
    def key(self) -> _Key:
        """Return what it is about."""
        return self.package, self.advisory


def read_accepted(file: Path) -> tuple[Acceptance, ...]:
    """Return the accepted advisories of a TOML file, one table each.

    Raises:
        ReleaseError: a table has other fields than these, or one of another type or without text.
    """
    tables = tomllib.loads(file.read_text())
    for advisory, fields in tables.items():
        types = {name: type(value) for name, value in fields.items()}
        if types != _FIELDS or not all(map(str.strip, (fields["package"], fields["reason"]))):
            raise ReleaseError(
                f"{file.name}: [{advisory}] needs a package, a reason (texts) and until (a date), "
                "and nothing else"
            )
    return tuple(Acceptance(advisory, **fields) for advisory, fields in tables.items())


def judge(report: str, accepted: Sequence[Acceptance], today: date, *, required: bool) -> str:
    """Return what is said of the packages of a report.

    Raises:
        ReleaseError: a package has a vulnerability that is not accepted today, or one is accepted
            that no package has, or there are no advisories of a package although they are
            required, or although there are some of others.
    """
    packages = json.loads(report)["dependencies"]
    vulnerable = dict(_vulnerabilities(packages))
    valid = {entry.key for entry in accepted if today <= entry.until}
    if refused := [line for key, line in vulnerable.items() if key not in valid]:
        raise ReleaseError(
            "\n".join(refused)
            + f"\nupdate them (make lock), or let {ACCEPTED.name} in requirements/ say why they do "
            "no harm, and until when"
        )
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    if not packages or (unknown and (required or len(unknown) < len(packages))):
        raise ReleaseError(f"there are no advisories of {', '.join(unknown) or 'any package'}")
    if unknown:
        return "NOT RUN: the package index here has no advisories"
    if needless := [entry.advisory for entry in accepted if entry.key not in vulnerable]:
        raise ReleaseError(f"no package has {', '.join(needless)}: remove it from {ACCEPTED.name}")
    return "\n".join(
        [
            f"none of {len(packages)} packages has a known vulnerability"
            + (" that is not accepted" if accepted else ""),
            *(
                f"accepted until {entry.until}: {entry.advisory} of {entry.package}, {entry.reason}"
                for entry in accepted
            ),
        ]
    )


def _vulnerabilities(packages: Iterable[Mapping[str, Any]]) -> Iterable[tuple[_Key, str]]:
    """Yield each vulnerability with a line about it."""
    for package in packages:
        for advisory in package.get("vulns", ()):
            fixed = ", ".join(advisory["fix_versions"]) or "no version yet"
            line = f"{package['name']} {package['version']}: {advisory['id']}, mended in {fixed}"
            yield (package["name"], advisory["id"]), line
