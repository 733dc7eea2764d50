"""The program, by its command line."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from aichat_workspace.backup.main import main
from tests.chat_data import CREDENTIALS, WORKSPACE, read_chat, restored, write_chat


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A chat, with the program's environment."""
    write_chat(tmp_path / "data", "hello")
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    for name, value in CREDENTIALS.items():
        (credentials / name).write_text(value)
    (tmp_path / "scratch").mkdir()
    (tmp_path / "termination-log").touch()
    for name, value in {
        "BACKUP_STORE": f"file://{tmp_path}/backups",
        "BACKUP_DATA": str(tmp_path / "data"),
        "BACKUP_SCRATCH": str(tmp_path / "scratch"),
        "BACKUP_PASSPHRASE": "a passphrase of the team",
        "BACKUP_CREDENTIALS": str(credentials),
        "BACKUP_WORKSPACE": json.dumps(WORKSPACE),
        "BACKUP_OPEN_WEBUI": "open-webui:v1",
        "BACKUP_TERMINATION_LOG": str(tmp_path / "termination-log"),
    }.items():
        monkeypatch.setenv(name, value)
    # For this process that would last, with a stream that pytest closes.
    monkeypatch.setattr("aichat_workspace.backup.main.log_as_json", lambda: None)
    with capture_logs():
        yield tmp_path / "data"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    main(arguments)
    return dict(json.loads(capsys.readouterr().out))


def test_a_chat_is_backed_up_listed_verified_and_restored(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = read_chat(data)
    backup = run(capsys, "create")
    name, size = str(backup["name"]), backup["size_bytes"]
    assert run(capsys, "list") == {"backups": [{"name": name, "size_bytes": size}]}
    assert run(capsys, "verify", name)["files"] == len(restored(before))
    (data / "webui.db").unlink()
    assert run(capsys, "restore", name)["open_webui"] == "open-webui:v1"
    assert read_chat(data) == restored(before)
    assert run(capsys, "recover") == {"recovered": False}


def test_a_volume_that_is_not_mounted_is_an_error_with_its_fix(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BACKUP_DATA", str(data / "absent"))
    with pytest.raises(SystemExit):
        main(["create"])
    result = json.loads(capsys.readouterr().out)
    assert result["error"] == "System"
    assert "absent'. See that the volumes are mounted, readable and writable" in result["message"]


def test_an_error_is_in_the_pods_status_with_its_fix(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_code:
        main(["restore", "absent"])
    assert exit_code.value.code == 1
    status = json.loads((data.parent / "termination-log").read_text())
    assert status == {
        "error": "Backup",
        "message": "there is no backup 'absent'; the newest is none",
    }
    assert "hello" not in capsys.readouterr().err
