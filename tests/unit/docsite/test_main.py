"""The commands of the documentation site."""

import signal
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from docsite import __main__ as program


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A built site of one page in place of the project's."""
    monkeypatch.setattr(program, "FOLDER", tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# Page\n")
    (tmp_path / "mkdocs.yml").write_text("nav: [index.md]\n")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("<h1>Page</h1>")
    return tmp_path


def test_a_good_site_passes(folder: Path) -> None:
    assert folder.exists()
    result = CliRunner().invoke(program.app, ["check"])
    assert (result.exit_code, result.output) == (0, "")


def test_a_bad_site_fails_with_a_line_for_each_problem(folder: Path) -> None:
    (folder / "docs" / "new.md").write_text("# New\n")
    (folder / "site" / "index.html").write_text('<a href="none.html">x</a>')
    result = CliRunner().invoke(program.app, ["check"])
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "new.md is in no section: add it to `nav` in mkdocs.yml, where people look for it",
        "index.html: none.html is not there",
    ]


def test_a_site_that_was_not_built_is_a_problem(folder: Path) -> None:
    (folder / "site" / "index.html").unlink()
    result = CliRunner().invoke(program.app, ["check"])
    assert result.exit_code == 1
    assert "there is no page in" in result.output


def test_pages_are_written_beside_their_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "FOLDER", tmp_path)
    assert CliRunner().invoke(program.app, ["pages"]).exit_code == 0
    assert (tmp_path / "docs" / "changelog.md").exists()
    assert "decisions/0001-" in (tmp_path / "mkdocs.yml").read_text()


def test_the_site_is_served_from_the_folder_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    default, named = tmp_path / "default", tmp_path / "named"
    monkeypatch.setattr(program, "FOLDER", default)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    server = tmp_path / "zensical"
    server.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\n')
    server.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    result = CliRunner().invoke(program.app, ["serve", "--folder", str(named)])
    assert result.exit_code == 0, result.output
    assert (named / "docs" / "changelog.md").exists()
    assert f"--config-file {named}/mkdocs.yml" in (tmp_path / "arguments").read_text()
    assert not default.exists()
