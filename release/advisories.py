"""Judge pip-audit's report: it succeeds, too, where it could look nothing up."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from release.errors import ReleaseError


def judge(report: str, *, required: bool) -> str:
    """Return one line on the packages of a report.

    Raises:
        ReleaseError: a package has a vulnerability, or there are no advisories of it although they
            are required, or although there are some of others.
    """
    packages = json.loads(report)["dependencies"]
    if vulnerable := [*_vulnerable(packages)]:
        raise ReleaseError(
            "\n".join(vulnerable)
            + "\nupdate them (make lock), or write in docs/security.md why they do no harm"
        )
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    if not packages or (unknown and (required or len(unknown) < len(packages))):
        raise ReleaseError(f"there are no advisories of {', '.join(unknown) or 'any package'}")
    if unknown:
        return "NOT RUN: the package index here has no advisories"
    return f"none of {len(packages)} packages has a known vulnerability"


def _vulnerable(packages: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for package in packages:
        for advisory in package.get("vulns", ()):
            fixed = ", ".join(advisory["fix_versions"]) or "no version yet"
            yield f"{package['name']} {package['version']}: {advisory['id']}, mended in {fixed}"
