"""The chart's package."""

import shutil
import tarfile
from pathlib import Path
from typing import Final

import pytest
import yaml

from release.chart import annotate, changes, package, set_image
from release.errors import ReleaseError

ROOT: Final = Path(__file__).parents[3]
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


def test_what_changed_is_a_list_of_lines_without_addresses() -> None:
    section = """\
- Size classes: `spec.sizeClasses` of
  the platform ([how](docs/teams.md#size-classes)).
- A fix.

Thanks to all.
"""
    assert changes(section)[0] == "Size classes: `spec.sizeClasses` of the platform (how)."
    assert changes(section)[1:] == ["A fix."]
    assert changes("") == []


def test_artifact_hub_shows_a_releases_changes_and_image(tmp_path: Path) -> None:
    metadata = tmp_path / "Chart.yaml"
    shutil.copy(ROOT / "charts" / "aichat-workspace-operator" / "Chart.yaml", metadata)
    before = yaml.safe_load(metadata.read_text())
    annotate(metadata, ["A: fix", "B"], "registry.example.org/operator@sha256:12")
    chart = yaml.safe_load(metadata.read_text())
    annotations = chart["annotations"]
    assert yaml.safe_load(annotations["artifacthub.io/changes"]) == ["A: fix", "B"]
    own, *others = yaml.safe_load(annotations["artifacthub.io/images"])
    assert own["image"] == "registry.example.org/operator@sha256:12"
    assert others == yaml.safe_load(before["annotations"]["artifacthub.io/images"])[1:]
    assert {**chart, "annotations": {}} == {**before, "annotations": {}}
    assert metadata.read_text().startswith("# Generated from the models")


def test_metadata_without_the_images_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "Chart.yaml").write_text("# Generated\nname: chart\n")
    with pytest.raises(ReleaseError, match=r"no artifacthub\.io/images"):
        annotate(tmp_path / "Chart.yaml", [], "a")
