"""Commands for when something is wrong; the checks have tests of their own."""

import json
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from aichat_workspace.cli.support_bundle import write
from tests.unit.cli.world import TOKEN, World


def test_a_bundle_holds_state_and_logs_and_no_secret(world: World, tmp_path: Path) -> None:
    connection = {"name": "openai", "url": "https://private.example.org/v1"}
    world.put(spec={"models": ["gemma2:2b"], "connections": [connection]})
    file = tmp_path / "support.tar.gz"
    result = world.run("support-bundle", "red-chat", "--file", str(file))
    assert (result.code, result.out) == (0, f"{file}\n"), result.err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with tarfile.open(file) as archive:
        texts = {
            member.name.removeprefix("aichat-support/"): archive.extractfile(member).read().decode()  # type: ignore[union-attr]
            for member in archive
        }
    folder = "workspaces/red-chat"
    names = ("workspace.json", "diagnosis.json", "events.json", "models.json")
    logs = ("ollama.log", "openwebui.log")
    assert {*texts} == {
        *("versions.json", "doctor.json"),
        *(f"{folder}/{name}" for name in (*names, *logs)),
    }
    assert texts[f"{folder}/ollama.log"] == "a line\n"
    assert json.loads(texts[f"{folder}/workspace.json"])["spec"]["connections"] == "removed"
    for secret in (TOKEN, "correct-horse", "private.example.org"):
        assert all(secret not in text for text in texts.values())


def test_what_can_not_be_had_is_in_the_bundle_as_an_error(world: World, tmp_path: Path) -> None:
    world.put(status={})
    file = tmp_path / "support.tar.gz"
    assert world.run("support-bundle", "red-chat", "--file", str(file)).code == 0
    with tarfile.open(file) as archive:
        log = archive.extractfile("aichat-support/workspaces/red-chat/ollama.log")
        assert log is not None
        assert b"has no namespace yet" in log.read()


def test_no_file_is_overwritten(world: World, tmp_path: Path) -> None:
    file = tmp_path / "support.tar.gz"
    file.write_text("mine")
    assert world.run("support-bundle", "--file", str(file)).code == 2
    assert file.read_text() == "mine"


def test_an_interrupted_bundle_leaves_no_file(tmp_path: Path) -> None:
    def interrupted() -> Iterator[tuple[str, str]]:
        yield "first", "text"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "support.tar.gz", interrupted(), 0)
    assert not [*tmp_path.iterdir()]
