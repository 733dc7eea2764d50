"""The commit that a release is built from."""

import re
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from release import changelog
from release.errors import ReleaseError

# The pattern of https://semver.org without pre-releases, which Python and Helm write differently.
_VERSION: Final = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
_MANY: Final = 5


@dataclass(frozen=True)
class Source:
    """A commit that may be released."""

    folder: Path
    """The work tree."""
    version: str
    commit: str
    """Its full hash."""
    time: int
    """When it was committed, in seconds since 1970."""
    notes: str
    """The changelog's section of the version."""


def check(folder: Path, version: str) -> Source:
    """Return what is released: the current commit of the work tree.

    Raises:
        ReleaseError: the version is no SemVer, is not the project's or not in the changelog, or the
            work tree has changes that no commit has.
    """
    if not _VERSION.fullmatch(version):
        raise ReleaseError(
            f"VERSION is {version!r}: write MAJOR.MINOR.PATCH without a v, as VERSION=1.2.3"
        )
    if changes := _git(folder, "status", "--porcelain").splitlines():
        listed = "\n".join(f"    {line}" for line in changes[:_MANY])
        more = f"\n    and {len(changes) - _MANY} more" if len(changes) > _MANY else ""
        raise ReleaseError(
            f"the work tree has changes: commit or remove them, since a release is one commit\n"
            f"{listed}{more}"
        )
    stated = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["version"]
    if stated != version:
        raise ReleaseError(
            f"VERSION is {version} and pyproject.toml says {stated}: change project.version there, "
            "run `make generate`, which changes all other files, and commit them"
        )
    notes = changelog.section((folder / "CHANGELOG.md").read_text(), version)
    commit, time = _git(folder, "log", "-1", "--format=%H %ct").split()
    return Source(folder, version, commit, int(time), notes)


def is_tagged(folder: Path, version: str) -> bool:
    """Return whether a commit has the tag of a version, by which it is out."""
    return bool(_git(folder, "tag", "--list", f"v{version}"))


def export(source: Source, target: Path) -> Path:
    """Write the commit's files to ``target``: nothing that git ignores gets into a release."""
    target.mkdir(parents=True)
    archive = subprocess.run(
        ["git", "-C", source.folder, "archive", source.commit], capture_output=True, check=True
    )
    subprocess.run(["tar", "-x", "-C", target], input=archive.stdout, check=True)
    return target


def _git(folder: Path, *arguments: str) -> str:
    result = subprocess.run(
        ["git", "-C", folder, *arguments], capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise ReleaseError(f"git {arguments[0]} failed in {folder}: {result.stderr.strip()}")
    return result.stdout.strip()
