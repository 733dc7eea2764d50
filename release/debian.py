"""The Debian packages of the image: which, in which versions, and where they come from.

``requirements/debian.toml`` says which and why; ``requirements/debian.lock.json``, written by
`lock`, has the version and hash for each architecture. apt downloads them from the sources that
this machine has for Debian and checks Debian's signature; the lock's hash is checked here, each
time, because a file in the cache may have been changed.
"""

import json
import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from localcluster.build.images import cache
from localcluster.build.images.base import index_targets, sources
from localcluster.build.images.oci import digest_file
from localcluster.paths import PROJECT, cache_dir
from localcluster.processes import foreground, locks
from localcluster.progress import Report
from release.errors import ReleaseError

ARCHITECTURES: Final = ("amd64", "arm64")
WANTED: Final = PROJECT / "requirements" / "debian.toml"
LOCK: Final = PROJECT / "requirements" / "debian.lock.json"


@dataclass(frozen=True)
class Package:
    """A locked package of one architecture."""

    name: str
    version: str
    architecture: str
    """Debian's; ``all`` for a package that is the same on all."""
    sha256: str

    @property
    def purl(self) -> str:
        """Return its address: https://github.com/package-url/purl-spec"""
        version = self.version.replace("+", "%2B").replace(":", "%3A")
        return f"pkg:deb/debian/{self.name}@{version}?arch={self.architecture}&distro=debian-12"


def wanted() -> dict[str, dict[str, str]]:
    """Return the packages of the image with their use and licence."""
    packages: dict[str, dict[str, str]] = tomllib.loads(WANTED.read_text())
    return packages


def locked(architecture: str) -> tuple[Package, ...]:
    """Return the locked packages of an architecture, in the order of their names.

    Raises:
        ReleaseError: the lock is not of the wanted packages.
    """
    packages = tuple(Package(**entry) for entry in json.loads(LOCK.read_text())[architecture])
    if [package.name for package in packages] != sorted(wanted()):
        raise ReleaseError(f"{LOCK.name} is not of {WANTED.name}: run `make lock-debian`")
    return packages


def lock(report: Report) -> None:
    """Write the lock: the newest versions that Debian has now.

    Raises:
        ReleaseError: Debian has no such package.
        CommandFailedError: Debian can't be reached; a retry may help.
    """
    with _apt(report) as apt:
        newest = {
            architecture: [asdict(_newest(apt, name, architecture)) for name in sorted(wanted())]
            for architecture in ARCHITECTURES
        }
    LOCK.write_text(json.dumps(newest, indent=1) + "\n")


def download(architecture: str, report: Report) -> tuple[Path, ...]:
    """Return the locked packages' files; those that the cache lacks are downloaded.

    Raises:
        ReleaseError: Debian has withdrawn a version, or a file is not the locked one.
        CommandFailedError: Debian can't be reached; a retry may help.
    """
    packages = locked(architecture)
    missing = [package for package in packages if not _cached(package).exists()]
    if missing:
        with _apt(report) as apt:
            for package in missing:
                report("Debian", f"downloading {package.name} for {architecture}")
                _download(apt, package)
    for package in packages:
        check_hash(package, _cached(package))
        locks.note_use(_cached(package))
    return tuple(_cached(package) for package in packages)


def _cached(package: Package) -> Path:
    return cache_dir() / "packages" / f"{package.name}-{package.sha256}.deb"


@dataclass(frozen=True)
class _Apt:
    """apt with indices of its own: this machine's are of its own architecture only."""

    folder: Path

    def command(self, program: str, *arguments: str) -> list[str]:
        """Return a command of apt that neither reads nor changes what is installed here."""
        options = {
            "Dir::State": self.folder,
            "Dir::State::status": self.folder / "status",
            "Dir::Cache": self.folder,
            "Dir::Etc::sourcelist": self.folder / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "APT::Architectures": ",".join(ARCHITECTURES),
            "APT::Sandbox::User": "root",
        }
        return [program, *(f"-o{name}={value}" for name, value in options.items()), *arguments]


@contextmanager
def _apt(report: Report) -> Iterator[_Apt]:
    lines = sources(index_targets())
    if not lines:
        raise ReleaseError(
            "this machine has no apt sources of Debian 12: build releases on Debian 12, or in a "
            "container of it"
        )
    with cache.scratch() as folder:
        for name in ("lists/partial", "archives/partial"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()
        (folder / "sources.list").write_text("\n".join(lines) + "\n")
        apt = _Apt(folder)
        report("Debian", "reading the lists of packages")
        foreground.run_or_raise(
            apt.command("apt-get", "update", "-qq", "--error-on=any"), "apt-get update failed"
        )
        yield apt


def _newest(apt: _Apt, name: str, architecture: str) -> Package:
    for qualified in (f"{name}:{architecture}", name):
        shown = foreground.run(apt.command("apt-cache", "show", qualified))
        if shown.stdout:
            package = first_record(name, shown.stdout)
            if package.architecture in (architecture, "all"):
                return package
    raise ReleaseError(f"Debian has no {name} for {architecture}: correct {WANTED.name}")


def first_record(name: str, records: str) -> Package:
    """Return the first package that `apt-cache show` prints, which is the newest."""
    record, *_ = records.split("\n\n")
    fields = dict(re.findall(r"^(Version|Architecture|SHA256): (\S+)$", record, re.MULTILINE))
    return Package(name, fields["Version"], fields["Architecture"], fields["SHA256"])


def _download(apt: _Apt, package: Package) -> None:
    target = _cached(package)
    target.parent.mkdir(parents=True, exist_ok=True)
    qualifier = "" if package.architecture == "all" else f":{package.architecture}"
    name = f"{package.name}{qualifier}={package.version}"
    folder = apt.folder / "files" / package.architecture
    folder.mkdir(parents=True, exist_ok=True)
    result = foreground.run(apt.command("apt-get", "download", "-qq", name), cwd=folder)
    if result.returncode:
        raise ReleaseError(
            f"Debian gives no {name} ({result.stderr.strip()[-300:]}): if it was withdrawn for a "
            "newer one, run `make lock-debian`, and commit the lock"
        )
    (file,) = folder.glob(f"{package.name}_*.deb")
    check_hash(package, file)
    file.rename(target)


def check_hash(package: Package, file: Path) -> None:
    """Raise a ReleaseError if a file is not the locked package."""
    if (digest := digest_file(file).removeprefix("sha256:")) != package.sha256:
        raise ReleaseError(
            f"{file} is not the locked {package.name} {package.version}: its hash is {digest} "
            f"instead of {package.sha256}. Find out why before you remove it"
        )
