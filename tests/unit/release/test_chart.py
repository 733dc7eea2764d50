"""The chart's package."""

import tarfile
from pathlib import Path

import pytest

from release.chart import package, set_image
from release.errors import ReleaseError

VALUES = """\
image:
  # Registry and name.
  repository: "thing"
  # Its digest.
  digest: ""
api:
  digest: ""
"""


def chart(tmp_path: Path) -> Path:
    folder = tmp_path / "chart"
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("name: chart\n")
    (folder / "templates" / "a.yaml").write_text("kind: A\n")
    return folder


def test_the_same_files_give_the_same_bytes_whenever_and_by_whomever(tmp_path: Path) -> None:
    folder = chart(tmp_path)
    first = package(folder, tmp_path / "first.tgz", 1_700_000_000)
    (folder / "Chart.yaml").chmod(0o600)
    (folder / "templates" / "a.yaml").touch()
    second = package(folder, tmp_path / "second.tgz", 1_700_000_000)
    assert first.read_bytes() == second.read_bytes()


def test_a_package_has_all_files_in_the_charts_folder(tmp_path: Path) -> None:
    with tarfile.open(package(chart(tmp_path), tmp_path / "chart.tgz", 7)) as archive:
        members = archive.getmembers()
        file = archive.extractfile("chart/templates/a.yaml")
        assert file
        assert file.read() == b"kind: A\n"
    assert [(member.name, member.mtime, member.mode, member.uname) for member in members] == [
        ("chart/Chart.yaml", 7, 0o644, ""),
        ("chart/templates/a.yaml", 7, 0o644, ""),
    ]


def test_the_image_becomes_the_default_of_the_values(tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(VALUES)
    set_image(values, "registry.example.org/a/thing", "sha256:12")
    assert values.read_text() == VALUES.replace(
        '"thing"', '"registry.example.org/a/thing"'
    ).replace('digest: ""', 'digest: "sha256:12"', 1)


def test_values_without_an_image_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("api: {}\n")
    with pytest.raises(ReleaseError, match=r"no image\.repository"):
        set_image(tmp_path / "values.yaml", "a", "b")
