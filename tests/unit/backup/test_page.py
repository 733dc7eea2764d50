"""The commands of docs/backup.md, with a kubectl that only records."""

import os
from pathlib import Path

import pytest

from tests.examples import examples, run

ROOT = Path(__file__).parents[3]
SECRETS = {
    "access_key": "an access key",
    "secret_key": "a secret key",
    "passphrase": "a 'passphrase' with $HOME and \"quotes\"",
}
SETTINGS = (
    *("team", "resource", "workspace", "keep"),
    *("endpoint", "address", "port", "bucket", "prefix", "region"),
)
KUBECTL = """#!/bin/sh
echo "$@" >> "$RECORD/arguments"
case "$*" in
  *"get job"*) echo Complete ;;
  *"get aiws"*) echo '{"kind": "AIChatWorkspace"}' ;;
  *apply*|*/dev/stdin*) tee -a "$RECORD/input" ;;
esac
"""


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """The folder where `arguments` and `input` of all kubectl are, once blocks have run."""
    program = tmp_path / "bin" / "kubectl"
    program.parent.mkdir()
    program.write_text(KUBECTL)
    program.chmod(0o755)
    return tmp_path


def run_page(record: Path, *marks: str, **variables: str) -> None:
    page = examples(ROOT / "docs" / "backup.md")
    blocks = [example for mark in marks for example in page if example.mark == mark]
    environment = {
        **os.environ,
        **{name: f"the-{name}" for name in SETTINGS},
        **SECRETS,
        **variables,
        "RECORD": str(record),
        "PATH": f"{record / 'bin'}:{os.environ['PATH']}",
    }
    run(blocks, environment, record, 60)


def test_no_secret_is_in_the_arguments_of_a_process(record: Path) -> None:
    run_page(record, "prepare", "functions", "backup")
    arguments, text = ((record / name).read_text() for name in ("arguments", "input"))
    assert [value for value in SECRETS.values() if value in arguments] == []
    assert [value for value in SECRETS.values() if value not in text] == []


def test_the_resource_and_the_image_are_those_of_the_time_of_each_run(record: Path) -> None:
    run_page(record, "prepare")
    assert "BACKUP_WORKSPACE" not in (record / "input").read_text()
    assert "BACKUP_WORKSPACE" not in (record / "arguments").read_text()
    run_page(record, "functions", "backup")
    arguments = (record / "arguments").read_text()
    assert 'BACKUP_WORKSPACE={"kind": "AIChatWorkspace"}' in arguments
    assert "BACKUP_OPEN_WEBUI=" in arguments
    assert "configMapRef: {name: backup}" in (record / "input").read_text()


@pytest.mark.parametrize(
    ("prefix", "folder"),
    [("production", "the-bucket/production/the-team"), ("", "the-bucket/the-team")],
)
def test_a_run_by_hand_has_the_folder_of_spec_backup_and_prunes_no_more(
    record: Path, prefix: str, folder: str
) -> None:
    run_page(record, "prepare", prefix=prefix)
    lines = (record / "input").read_text().splitlines()
    assert f"BACKUP_STORE=s3://{folder}/the-workspace" in lines
    assert "BACKUP_KEEP=the-keep" in lines


def test_only_a_clone_takes_another_workspaces_backup(record: Path) -> None:
    run_page(record, "functions", "restore", name="a-backup")
    assert 'args: ["restore","a-backup",]' in (record / "input").read_text()
    run_page(record, "functions", "clone", name="a-backup")
    expected = 'args: ["restore","a-backup","--from-another-workspace",]'
    assert expected in (record / "input").read_text()


def test_what_is_prepared_is_cleaned_up(record: Path) -> None:
    run_page(record, "clean")
    assert "delete job,secret,configmap,networkpolicy backup" in (record / "arguments").read_text()
