"""What of the data folder is copied, while people chat."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from aichat_workspace.backup.data_folder import snapshot
from aichat_workspace.backup.errors import DataChangedError, NoRoomError
from aichat_workspace.domain import names
from tests.chat_data import (
    DOCUMENT,
    INDEX,
    read_chat,
    read_rows,
    restored,
    write_chat,
    write_file,
    write_rows,
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_chat(tmp_path / "data", "hello")
    return tmp_path / "data"


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.fixture
def chat(data: Path) -> Iterator[sqlite3.Connection]:
    """A chat that runs: its last writes are in the database's log and not in the database."""
    with closing(sqlite3.connect(data / "webui.db")) as connection:
        connection.execute("INSERT INTO chat (message) VALUES ('in the log')")
        connection.commit()
        yield connection


def copy(data: Path, scratch: Path, target: Path) -> None:
    for file in snapshot(data, scratch):
        path = target / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content.read())


def copy_while(data: Path, scratch: Path, path: str, act: Callable[[], object]) -> None:
    """Act while that file is copied."""
    for file in snapshot(data, scratch):
        if file.path == path:
            act()


def paths(data: Path, scratch: Path) -> list[str]:
    return [file.path for file in snapshot(data, scratch)]


def test_chats_users_documents_and_the_index_are_copied(
    data: Path, scratch: Path, tmp_path: Path
) -> None:
    copy(data, scratch, tmp_path / "copy")
    assert read_chat(tmp_path / "copy") == restored(read_chat(data))
    assert [*scratch.iterdir()] == []


@pytest.mark.usefixtures("chat")
def test_what_is_only_in_the_log_of_writes_is_copied(
    data: Path, scratch: Path, tmp_path: Path
) -> None:
    assert (data / "webui.db-wal").stat().st_size > 0
    copy(data, scratch, tmp_path)
    assert read_rows(tmp_path / "webui.db")[-1] == "in the log"
    assert not (tmp_path / "webui.db-wal").exists()


def test_what_is_not_committed_is_not_copied(
    data: Path, scratch: Path, tmp_path: Path, chat: sqlite3.Connection
) -> None:
    chat.execute("INSERT INTO chat (message) VALUES ('half')")
    copy(data, scratch, tmp_path)
    assert read_rows(tmp_path / "webui.db")[-1] == "in the log"


def test_people_chat_while_it_is_copied(
    data: Path, scratch: Path, chat: sqlite3.Connection
) -> None:
    for file in snapshot(data, scratch):
        if file.path == "webui.db":
            chat.execute("INSERT INTO chat (message) VALUES ('meanwhile')")
            chat.commit()
    assert read_rows(data / "webui.db")[-1] == "meanwhile"


def test_databases_come_before_the_files_that_they_name(data: Path, scratch: Path) -> None:
    copied = paths(data, scratch)
    assert copied.index("webui.db") < copied.index(DOCUMENT)
    assert copied.index("vector_db/chroma.sqlite3") < copied.index(INDEX)


def test_downloads_and_what_a_restore_left_are_not_copied(data: Path, scratch: Path) -> None:
    write_file(data / names.RESTORE_STAGING / "old" / "webui.db", "old")
    write_file(data / names.RESTORE_LEFTOVERS / "0" / "webui.db", "old")
    write_file(data / ".cache" / "huggingface" / "model", "downloaded again")
    write_file(data / "lost+found" / "1", "")
    copied = paths(data, scratch)
    assert not [
        path for path in copied if path.startswith((names.RESTORE_STAGING, ".cache", "lost"))
    ]
    assert "cache/image/generations/a.png" in copied
    assert "cache/embedding/model.bin" not in copied


def test_links_are_not_followed(data: Path, scratch: Path, tmp_path: Path) -> None:
    write_file(tmp_path / "secret", "of somebody else")
    (data / "uploads" / "link").symlink_to(tmp_path / "secret")
    (data / "uploads" / "folder").symlink_to(tmp_path)
    assert [path for path in paths(data, scratch) if path.startswith("uploads")] == [DOCUMENT]


@pytest.mark.parametrize(
    "path", ["uploads/theirs.db", "cache/audio/transcriptions/theirs.db", "theirs/webui.db"]
)
def test_a_database_that_a_person_uploaded_is_copied_byte_for_byte(
    data: Path, scratch: Path, tmp_path: Path, path: str
) -> None:
    write_rows(data / path, "theirs")
    copy(data, scratch, tmp_path)
    assert (tmp_path / path).read_bytes() == (data / path).read_bytes()


@pytest.mark.parametrize("folder", ["uploads", "cache/audio/transcriptions"])
def test_an_upload_that_only_begins_like_a_database_stops_no_backup(
    data: Path, scratch: Path, folder: str
) -> None:
    upload = f"{folder}/7c1e.wav"
    write_file(data / upload, "SQLite format 3\0 and no database")
    assert upload in paths(data, scratch)


def test_a_database_whose_beginning_is_damaged_is_no_plain_file(data: Path, scratch: Path) -> None:
    (data / "webui.db").write_bytes(b"\0" * 8192)
    with pytest.raises(DataChangedError, match=r"webui\.db can't be copied: "):
        paths(data, scratch)


def test_a_document_that_is_deleted_meanwhile_is_left_out(data: Path, scratch: Path) -> None:
    files = snapshot(data, scratch)
    first = next(files)
    (data / DOCUMENT).unlink()
    assert DOCUMENT not in [first.path, *(file.path for file in files)]


def test_a_folder_that_is_deleted_meanwhile_is_left_out(
    data: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the list of its parent and its own."""
    scandir = os.scandir

    def scan(folder: Path) -> object:
        if folder.name == "uploads":
            folder.rename(folder.with_name("gone"))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", scan)
    assert DOCUMENT not in paths(data, scratch)


def test_a_database_that_is_deleted_meanwhile_is_an_error(data: Path, scratch: Path) -> None:
    with pytest.raises(
        DataChangedError, match=r"vector_db/chroma\.sqlite3 can't be copied: unable"
    ):
        copy_while(data, scratch, DOCUMENT, (data / "vector_db" / "chroma.sqlite3").unlink)


def test_a_document_that_changes_meanwhile_is_an_error(data: Path, scratch: Path) -> None:
    with pytest.raises(DataChangedError, match=f"{DOCUMENT} changed while it was copied"):
        copy_while(data, scratch, DOCUMENT, lambda: write_file(data / DOCUMENT, "longer than that"))


@pytest.mark.parametrize("last", ["vector_db/chroma.sqlite3", INDEX])
def test_an_index_that_grows_meanwhile_is_an_error(data: Path, scratch: Path, last: str) -> None:
    def grow() -> None:
        with closing(sqlite3.connect(data / "vector_db" / "chroma.sqlite3")) as index, index:
            index.execute("INSERT INTO chat (message) VALUES ('a document')")

    with pytest.raises(DataChangedError, match=r"vector_db/chroma\.sqlite3 changed"):
        copy_while(data, scratch, last, grow)


def test_an_index_file_that_is_gone_meanwhile_is_an_error(data: Path, scratch: Path) -> None:
    with pytest.raises(DataChangedError, match=f"{INDEX} changed"):
        copy_while(data, scratch, "vector_db/chroma.sqlite3", (data / INDEX).unlink)


def test_a_damaged_database_is_no_backup(data: Path, scratch: Path) -> None:
    database = data / "webui.db"
    content = bytearray(database.read_bytes())
    content[4096:4200] = b"\xff" * 104
    database.write_bytes(content)
    with pytest.raises(DataChangedError, match=r"webui\.db can't be copied: "):
        paths(data, scratch)
    assert [*scratch.iterdir()] == []


def test_scratch_space_that_is_full_is_no_damage(
    data: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def connect_to_full_disk(database: str | Path, **options: Any) -> sqlite3.Connection:
        connection = connect(database, **options)
        if scratch in Path(database).parents:
            connection.execute("PRAGMA max_page_count = 1")
        return connection

    monkeypatch.setattr("aichat_workspace.backup.data_folder.sqlite3.connect", connect_to_full_disk)
    with pytest.raises(NoRoomError, match=r"is full\. Give BACKUP_SCRATCH more room"):
        [file.path for file in snapshot(data, scratch)]
