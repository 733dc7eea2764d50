"""The program, by its command line."""

import base64
import errno
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from aichat_workspace.backup.durable import sync_folder
from aichat_workspace.backup.errors import BackupError
from aichat_workspace.backup.main import main
from aichat_workspace.backup.manifest import without_status
from aichat_workspace.domain import names
from aichat_workspace.domain.planning.run_ends import REASONS
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
    name, size = str(backup["name"]), backup["sizeBytes"]
    assert run(capsys, "list") == {"backups": [{"name": name, "sizeBytes": size}]}
    assert run(capsys, "verify", name)["files"] == len(restored(before))
    (data / "webui.db").unlink()
    assert run(capsys, "restore", name)["openWebUI"] == "open-webui:v1"
    assert read_chat(data) == restored(before)
    assert run(capsys, "recover") == {"recovered": False}


def termination(data: Path) -> dict[str, object]:
    return dict(json.loads((data.parent / "termination-log").read_text()))


def test_the_pods_status_has_the_newest_backups_and_the_length_of_other_lists(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The kubelet cuts it at 4096 bytes."""
    store = data.parent / "backups"
    store.mkdir()
    (store / "team-lime.lime.workspace").touch()
    for number in range(100):
        (store / f"20250101T000000Z-{number:08x}.tar").touch()
    assert len(run(capsys, "list")["backups"]) == 100  # type: ignore[arg-type]
    listed = termination(data)["backups"]
    assert listed == [
        {"name": f"20250101T000000Z-{number:08x}", "sizeBytes": 0} for number in range(99, 79, -1)
    ]
    assert (data.parent / "termination-log").stat().st_size <= 4096
    backup = run(capsys, "create")
    assert len(backup["pruned"]) == 94  # type: ignore[arg-type]
    shown = termination(data)
    assert shown["pruned"] == 94
    new = {key: backup[key] for key in ("name", "sizeBytes")}
    assert shown["backups"] == [new, *listed[:6]]
    assert shown["openWebUI"] == "open-webui:v1"


def test_a_restore_that_left_neither_the_old_nor_the_new_data_has_an_exit_code_of_its_own(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same command ends it, so a Job tries again."""
    name, before = str(run(capsys, "create")["name"]), read_chat(data)

    def fail(*_: object) -> None:
        raise OSError("Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr("aichat_workspace.backup.swap.sync_folder", fail)
        with pytest.raises(SystemExit) as exit_code:
            main(["restore", name])
    assert exit_code.value.code == 3
    assert termination(data)["error"] == "volume-failed"
    with pytest.raises(SystemExit) as refusal:
        main(["create"])
    assert refusal.value.code == 1, "a backup has nothing to end"
    capsys.readouterr()
    run(capsys, "restore", name)
    assert read_chat(data) == restored(before)


def kill_after_verifying(data: Path, name: str) -> None:
    """Leave a restore of that backup as a kill does once its data is verified."""
    staging = data / names.RESTORE_STAGING
    write_chat(staging / "verified", "of the backup")
    (staging / "name").write_text(name)


def test_a_restore_that_was_killed_when_verified_ends_well_without_its_backup(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "20261130T030000Z-00000001"
    kill_after_verifying(data, name)
    assert run(capsys, "restore", name) == {"name": name}
    assert read_chat(data)["uploads/3f2a_report.pdf"] == b"of the backup"


def write_message(data: Path) -> None:
    """People go on, after a restore."""
    (data / "uploads" / "3f2a_report.pdf").write_bytes(b"newer")


def document_of(data: Path) -> object:
    return read_chat(data)["uploads/3f2a_report.pdf"]


def test_a_restore_that_is_done_is_done_once_also_where_nobody_else_remembers_it(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = str(run(capsys, "create")["name"])
    restore = ("restore", name, "--once")
    assert "again" not in run(capsys, *restore, "lime-restore-1")
    write_message(data)
    assert run(capsys, *restore, "lime-restore-1") == {"name": name, "again": True}
    assert document_of(data) == b"newer"
    assert run(capsys, *restore, "lime-restore-2")["openWebUI"] == "open-webui:v1"
    assert document_of(data) == b"hello", "another restore of the same backup is carried out"
    write_message(data)
    assert run(capsys, "recover", "--forget", "lime-restore-1") == {"recovered": False}
    assert run(capsys, *restore, "lime-restore-2")["again"] is True
    run(capsys, "recover", "--forget", "lime-restore-2")
    run(capsys, *restore, "lime-restore-2")
    assert document_of(data) == b"hello", "one that was given up is carried out again"


@pytest.mark.usefixtures("data")
def test_a_backup_does_not_say_which_restore_its_data_came_from(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = str(run(capsys, "create")["name"])
    run(capsys, "restore", first, "--once", "lime-restore-1")
    second = str(run(capsys, "create")["name"])
    run(capsys, "restore", second)
    assert "again" not in run(capsys, "restore", first, "--once", "lime-restore-1")


def test_a_restore_whose_swap_was_ended_by_a_later_try_is_done(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = str(run(capsys, "create")["name"])
    write_message(data)

    def fail_in_the_swap(folder: Path) -> None:
        if folder == data:
            raise OSError("Input/output error")
        sync_folder(folder)

    with monkeypatch.context() as broken:
        broken.setattr("aichat_workspace.backup.swap.sync_folder", fail_in_the_swap)
        with pytest.raises(SystemExit):
            main(["restore", name, "--once", "lime-restore-1"])
    capsys.readouterr()
    assert run(capsys, "restore", name, "--once", "lime-restore-1") == {"name": name}
    assert document_of(data) == b"hello"


def test_a_restore_that_fails_says_which_other_backup_it_has_put_in_place(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = "20261130T030000Z-00000002"
    kill_after_verifying(data, other)
    with pytest.raises(SystemExit) as exit_code:
        main(["restore", "absent"])
    assert exit_code.value.code == 1
    assert termination(data)["replaced"] == other
    capsys.readouterr()
    kill_after_verifying(data, other)
    assert run(capsys, "recover") == {"recovered": True, "replaced": other}


def test_a_long_message_is_cut_in_the_pods_status(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["restore", "absent" * 10_000])
    assert len(json.loads(capsys.readouterr().out)["message"]) > 10_000
    assert "there is no backup" in str(termination(data)["message"])
    assert (data.parent / "termination-log").stat().st_size <= 4096


def test_every_error_has_a_code_that_the_page_explains() -> None:
    page = (Path(__file__).parents[3] / "docs" / "backup.md").read_text()
    kinds: list[type[BackupError]] = [BackupError, *_kinds_of(BackupError)]
    codes = [*(error.code for error in kinds), "volume-failed"]
    assert len({*codes}) == len(codes) == 11
    assert [code for code in codes if f"| `{code}` |" not in page] == []
    assert {*codes} == {*REASONS}, "the operator has a reason for each"


def _kinds_of(error: type[BackupError]) -> Iterator[type[BackupError]]:
    for kind in error.__subclasses__():
        yield kind
        yield from _kinds_of(kind)


def test_a_volume_without_room_has_a_code_of_its_own(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = str(run(capsys, "create")["name"])

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("aichat_workspace.backup.swap.sync_tree", fail)
    with pytest.raises(SystemExit):
        main(["restore", name])
    assert termination(data)["error"] == "no-room"


def test_the_resource_and_the_credentials_come_out_of_a_backup(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, file = str(run(capsys, "create")["name"]), data.parent / "secret.json"
    assert run(capsys, "extract", name) == without_status(WORKSPACE)
    assert not file.exists()
    main(["extract", name, "--credentials", str(file)])
    output = capsys.readouterr().out
    secret = json.loads(file.read_text())
    assert file.stat().st_mode & 0o777 == 0o600
    assert secret["metadata"] == {
        "name": names.credentials("lime"),
        "namespace": names.SYSTEM_NAMESPACE,
    }
    decoded = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
    assert decoded == CREDENTIALS
    shown = output + (data.parent / "termination-log").read_text()
    assert not [value for value in secret["data"].values() if value in shown]
    assert not [value for value in CREDENTIALS.values() if value in shown]


def test_credentials_are_written_to_no_file_that_is_there(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, file = str(run(capsys, "create")["name"]), data.parent / "secret.json"
    file.write_text("of somebody else")
    with pytest.raises(SystemExit):
        main(["extract", name, "--credentials", str(file)])
    assert "File exists" in json.loads(capsys.readouterr().out)["message"]
    assert file.read_text() == "of somebody else"


def test_a_volume_that_is_not_mounted_is_an_error_with_its_fix(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BACKUP_DATA", str(data / "absent"))
    with pytest.raises(SystemExit):
        main(["create"])
    result = json.loads(capsys.readouterr().out)
    assert result["error"] == "volume-failed"
    assert "absent'. See that the volumes are mounted, readable and writable" in result["message"]


def test_an_error_is_in_the_pods_status_with_its_fix(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_code:
        main(["restore", "absent"])
    assert exit_code.value.code == 1
    assert termination(data) == {
        "error": "backup-not-found",
        "message": "there is no backup 'absent'; the newest is none",
    }
    assert "hello" not in capsys.readouterr().err


def test_a_check_and_a_restore_from_a_folder_need_no_store(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable in ("BACKUP_STORE", "BACKUP_PASSPHRASE", "BACKUP_CREDENTIALS"):
        monkeypatch.delenv(variable)
    assert run(capsys, "check") == {"checked": 2}
    snapshot = data.parent / "snapshot"
    shutil.copytree(data, snapshot)
    before = read_chat(data)
    (data / "webui.db").unlink()
    name = "20261130T023000Z-0a1b2c3d"
    restore = ("restore", name, "--folder", str(snapshot), "--once", "lime-restore-1")
    assert run(capsys, *restore) == {"name": name, "files": len(restored(before))}
    assert read_chat(data) == {**restored(before), names.RESTORE_MARK: b"lime-restore-1"}
    write_message(data)
    assert run(capsys, *restore) == {"name": name, "again": True}
    assert document_of(data) == b"newer"
