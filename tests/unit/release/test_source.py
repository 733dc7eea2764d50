"""What may be released: one commit, whose files agree on the version."""

import subprocess
from pathlib import Path

import pytest

from release.errors import ReleaseError
from release.source import check, export


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    return subprocess.run(
        ["git", "-C", folder, *identity, *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (folder / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.3 - 2026-11-30\n\n- A thing.\n")
    (folder / ".gitignore").write_text("*.log\n")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "first")
    return folder


def test_the_current_commit_is_released_with_its_time_and_notes(project: Path) -> None:
    source = check(project, "1.2.3")
    assert source.commit == git(project, "rev-parse", "HEAD")
    assert source.time == int(git(project, "log", "-1", "--format=%ct"))
    assert source.notes == "- A thing.\n"


@pytest.mark.parametrize("version", ["v1.2.3", "1.2", "01.2.3", "1.2.3-rc.1", "", "1.2.3\n"])
def test_what_is_no_version_is_refused(project: Path, version: str) -> None:
    with pytest.raises(ReleaseError, match=r"VERSION=1\.2\.3"):
        check(project, version)


def test_another_version_than_the_projects_names_the_file_to_change(project: Path) -> None:
    with pytest.raises(
        ReleaseError, match=r"pyproject\.toml says 1\.2\.3: change project\.version"
    ):
        check(project, "1.2.4")


def test_changes_that_no_commit_has_are_listed(project: Path) -> None:
    for number in range(7):
        (project / f"new-{number}").touch()
    with pytest.raises(ReleaseError, match=r"(?s)commit or remove.*new-0.*and 2 more"):
        check(project, "1.2.3")


def test_what_is_not_yet_in_the_changelog_is_not_released(project: Path) -> None:
    (project / "pyproject.toml").write_text('[project]\nversion = "1.3.0"\n')
    git(project, "commit", "--quiet", "--all", "--message", "second")
    with pytest.raises(ReleaseError, match="rename its '## Unreleased'"):
        check(project, "1.3.0")


def test_a_folder_without_a_repository_is_an_error_with_gits_words(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="git status failed"):
        check(tmp_path, "1.2.3")


def test_what_git_ignores_is_not_in_a_release(project: Path, tmp_path: Path) -> None:
    (project / "secret.log").touch()
    tree = export(check(project, "1.2.3"), tmp_path / "tree")
    assert {path.name for path in tree.iterdir()} == {
        *("pyproject.toml", "CHANGELOG.md", ".gitignore")
    }
