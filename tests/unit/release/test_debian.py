"""The locked Debian packages."""

import hashlib
import json
from pathlib import Path

import pytest

from localcluster.progress import silent
from release import debian
from release.debian import ARCHITECTURES, Package, check_hash, first_record, locked, wanted
from release.errors import ReleaseError

RECORDS = """\
Package: libssl3
Version: 3.0.22-1~deb12u2
Architecture: arm64
Description: Version: none
SHA256: 3d04

Package: libssl3
Version: 3.0.20-1~deb12u2
Architecture: arm64
SHA256: 89be
"""


def test_the_newest_version_is_the_first_that_apt_shows() -> None:
    package = first_record("libssl3", RECORDS)
    assert package == Package("libssl3", "3.0.22-1~deb12u2", "arm64", "3d04")


def test_a_packages_address_escapes_what_a_version_may_have() -> None:
    package = Package("zlib1g", "1:1.2.13.dfsg-1+b1", "amd64", "")
    assert package.purl == (
        "pkg:deb/debian/zlib1g@1%3A1.2.13.dfsg-1%2Bb1?arch=amd64&distro=debian-12"
    )


def test_all_architectures_are_locked_at_the_same_versions() -> None:
    first, *others = (
        [(package.name, package.version) for package in locked(architecture)]
        for architecture in ARCHITECTURES
    )
    assert all(other == first for other in others)
    for architecture in ARCHITECTURES:
        assert {package.architecture for package in locked(architecture)} == {architecture, "all"}


def test_each_package_has_a_use_and_a_licence() -> None:
    assert all({*entry} == {"use", "licence"} for entry in wanted().values())


def test_a_lock_of_other_packages_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lock.json").write_text(json.dumps({"amd64": []}))
    monkeypatch.setattr(debian, "LOCK", tmp_path / "lock.json")
    with pytest.raises(ReleaseError, match="make lock-debian"):
        locked("amd64")


def test_a_file_that_is_not_the_locked_one_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "thing.deb"
    file.write_bytes(b"thing")
    check_hash(Package("thing", "1", "all", hashlib.sha256(b"thing").hexdigest()), file)
    with pytest.raises(ReleaseError, match="Find out why"):
        check_hash(Package("thing", "1", "all", "0" * 64), file)


def test_a_cached_package_that_was_changed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name in the cache has the locked hash, whatever its content is."""
    entry = {"name": "thing", "version": "1", "architecture": "all"}
    package = Package(**entry, sha256=hashlib.sha256(b"thing").hexdigest())
    (tmp_path / "lock.json").write_text(json.dumps({"amd64": [{**vars(package)}]}))
    (tmp_path / "wanted.toml").write_text("[thing]\n")
    for name, value in (("LOCK", "lock.json"), ("WANTED", "wanted.toml")):
        monkeypatch.setattr(debian, name, tmp_path / value)
    monkeypatch.setattr(debian, "cache_dir", lambda: tmp_path)
    file = tmp_path / "packages" / f"thing-{package.sha256}.deb"
    file.parent.mkdir()
    file.write_bytes(b"thing")
    assert debian.download("amd64", silent) == (file,)
    file.write_bytes(b"another thing")
    with pytest.raises(ReleaseError, match="is not the locked thing 1"):
        debian.download("amd64", silent)
