"""The init container's program, run against a database like Open WebUI's."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest

from aichat_workspace.backup import swap
from aichat_workspace.domain import names
from aichat_workspace.domain.render.chat_preparation import SCRIPT
from tests.killing import count_steps, kill_at

# The image has the real library; the tests only need to see which password was set.
BCRYPT = """
def gensalt(): return b""
def hashpw(password, salt): return b"hash of " + password
"""
OLD, NEW, NEWER, ELSEWHERE = "chat:1", "chat:2", "chat:3", "chat:elsewhere"
REVISIONS: Final = {OLD: ("a1",), NEW: ("a1", "b2"), NEWER: ("a1", "b2", "c3"), ELSEWHERE: ()}
"""What the migrations of each image know."""
COPY: Final = names.UPGRADE_COPY
Run = Callable[[str, str], str]


class Chat:
    """A chat's data folder, and the images that start on it."""

    def __init__(self, folder: Path) -> None:
        self.data, self._images = folder / "data", folder / "images"
        self.data.mkdir()
        for image, revisions in REVISIONS.items():
            versions = self._images / image / "open_webui" / "migrations" / "versions"
            versions.mkdir(parents=True)
            (self._images / image / "bcrypt.py").write_text(BCRYPT)
            for number, revision in enumerate(revisions):
                line = f"revision: str = '{revision}'" if number else f'revision = "{revision}"'
                former = f"'{revisions[number - 1]}'" if number else None
                text = f"# of {image}\n{line}\ndown_revision: str | None = {former}\n"
                (versions / f"{revision}_a.py").write_text(text)

    def prepare(
        self,
        image: str = OLD,
        email: str = "first@x",
        password: str = "old",  # noqa: S107
    ) -> subprocess.CompletedProcess[str]:
        """Run the program as in a pod of this image."""
        return subprocess.run(  # noqa: S603  (this Python)
            [sys.executable, "-c", SCRIPT],
            env=self._variables(image, email, password),
            cwd=self._images / image,
            capture_output=True,
            text=True,
            check=False,
        )

    def prepare_here(self, image: str) -> None:
        """Run the program in this process, which ends with it."""
        os.chdir(self._images / image)
        os.environ.update(self._variables(image, "first@x", "old"))
        sys.path.insert(0, "")
        exec(compile(SCRIPT, "prepare_chat.py", "exec"), {"__name__": "__main__"})  # noqa: S102

    def _variables(self, image: str, email: str, password: str) -> dict[str, str]:
        return {
            **os.environ,
            "DATA_DIR": str(self.data),
            "CHAT_IMAGE": image,
            "RESTORE_STAGING": names.RESTORE_STAGING,
            "UPGRADE_COPY": COPY,
            "WEBUI_ADMIN_EMAIL": email,
            "WEBUI_ADMIN_PASSWORD": password,
        }

    def start(self, image: str, *, writes: str | None = None) -> str:
        """Prepare, migrate as the image does, and let a person write."""
        prepared = self.prepare(image)
        assert not prepared.returncode, prepared.stderr
        self.migrate(image)
        if writes is not None:
            self.write(writes)
        return prepared.stdout

    def migrate(self, image: str) -> None:
        with self.database() as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS alembic_version (version_num)")
            connection.execute("CREATE TABLE IF NOT EXISTS chat (id, title, updated_at)")
            connection.execute('CREATE TABLE IF NOT EXISTS "user" (id, email, role)')
            connection.execute("CREATE TABLE IF NOT EXISTS auth (id, email, password)")
            connection.execute("CREATE TABLE IF NOT EXISTS model (id, updated_at)")
            connection.execute("CREATE TABLE IF NOT EXISTS config (id, updated_at)")
            connection.execute("DELETE FROM alembic_version")
            newest = REVISIONS[image][-1]
            connection.execute("INSERT INTO alembic_version VALUES (?)", [newest])

    def write(self, title: str) -> None:
        with self.database() as connection:
            row = [title, title, int(time.time())]
            connection.execute("INSERT INTO chat VALUES (?, ?, ?)", row)
        (self.data / "vector_db").mkdir(exist_ok=True)
        (self.data / "vector_db" / "index.bin").write_text(title)

    def database(self) -> closing[sqlite3.Connection]:
        return opened(self.data / "webui.db")

    def titles(self) -> list[str]:
        with self.database() as connection:
            return [row[0] for row in connection.execute("SELECT title FROM chat")]

    def index(self) -> str:
        return (self.data / "vector_db" / "index.bin").read_text()


def opened(path: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(path, isolation_level=None))


@pytest.fixture
def chat(tmp_path: Path) -> Chat:
    return Chat(tmp_path)


@pytest.fixture
def run(chat: Chat) -> Run:
    """Run the program with an administrator's address and password, and return its output."""

    def prepare(email: str, password: str) -> str:
        prepared = chat.prepare(email=email, password=password)
        assert not prepared.returncode, prepared.stderr
        return prepared.stdout

    return prepare


@pytest.mark.parametrize("folder", ["unpacked", "verified", "installing", "old"])
def test_the_chat_does_not_start_in_the_midst_of_a_restore(chat: Chat, folder: str) -> None:
    (chat.data / names.RESTORE_STAGING / folder).mkdir(parents=True)
    prepared = chat.prepare()
    assert prepared.returncode
    assert "run aichat-workspace-backup recover" in prepared.stderr
    assert [path.name for path in chat.data.iterdir()] == [names.RESTORE_STAGING]


def test_what_people_call_like_a_restore_does_not_stop_their_chat(chat: Chat, run: Run) -> None:
    (chat.data / "uploads").mkdir()
    (chat.data / names.RESTORE_STAGING).symlink_to("uploads")
    assert run("first@x", "old") == ""
    (chat.data / names.RESTORE_STAGING).unlink()
    (chat.data / names.RESTORE_STAGING).touch()
    assert run("first@x", "old") == ""


def test_the_chat_starts_with_the_old_data_once_a_restore_was_given_up(
    chat: Chat, run: Run
) -> None:
    (chat.data / names.RESTORE_STAGING / "unpacked").mkdir(parents=True)
    assert swap.recover(chat.data).was_unfinished
    assert run("first@x", "old") == ""


@pytest.fixture
def database(chat: Chat, run: Run) -> sqlite3.Connection:
    """Return the database after the first start, with the administrator of the script's run."""
    assert run("first@x", "old") == ""
    connection = sqlite3.connect(chat.data / "webui.db", isolation_level=None)
    connection.execute("CREATE TABLE auth (email, password, session_stamp)")
    connection.execute('CREATE TABLE "user" (email, role)')
    add(connection, "first@x", "admin")
    return connection


def add(connection: sqlite3.Connection, email: str, role: str) -> None:
    connection.execute("INSERT INTO auth VALUES (?, 'own', 's')", [email])
    connection.execute('INSERT INTO "user" VALUES (?, ?)', [email, role])


def accounts(connection: sqlite3.Connection) -> list[tuple[str, str, str]]:
    joined = 'SELECT email, role, password FROM "user" JOIN auth USING (email) ORDER BY role'
    return connection.execute(joined).fetchall()


def test_an_unchanged_secret_keeps_the_persons_own_password(
    run: Run, database: sqlite3.Connection
) -> None:
    assert run("first@x", "old") == ""
    assert accounts(database) == [("first@x", "admin", "own")]


def test_a_new_password_is_set_and_ends_sessions(run: Run, database: sqlite3.Connection) -> None:
    assert "password set" in run("first@x", "new")
    assert accounts(database) == [("first@x", "admin", "hash of new")]
    assert database.execute("SELECT session_stamp FROM auth").fetchone() != ("s",)


def test_another_address_renames_the_first_administrator(
    run: Run, database: sqlite3.Connection
) -> None:
    assert "password set" in run("boss@x", "new")
    assert accounts(database) == [("boss@x", "admin", "hash of new")]
    assert run("boss@x", "new") == ""


def test_an_address_of_an_existing_account_renames_no_other(
    run: Run, database: sqlite3.Connection
) -> None:
    add(database, "somebody@x", "user")
    assert "password set" in run("somebody@x", "new")
    assert accounts(database) == [
        ("first@x", "admin", "own"),
        ("somebody@x", "user", "hash of new"),
    ]


def test_a_missing_administrator_is_reported(run: Run, database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM auth")
    assert "there is no account first@x" in run("first@x", "new")


# an upgrade, and the way back


@pytest.fixture
def used(chat: Chat) -> Chat:
    """Return a chat of the old image in which people have written."""
    chat.start(OLD, writes="before")
    return chat


def test_a_first_start_and_a_restart_copy_nothing(chat: Chat) -> None:
    assert chat.start(OLD, writes="before") == chat.start(OLD) == ""
    assert not (chat.data / COPY).exists()


def test_data_are_copied_before_another_image_changes_them(used: Chat) -> None:
    assert f"before {NEW} changes them" in used.start(NEW, writes="after")
    with opened(used.data / COPY / "webui.db") as connection:
        assert connection.execute("SELECT title FROM chat").fetchall() == [("before",)]
        assert connection.execute("SELECT * FROM alembic_version").fetchall() == [("a1",)]
    assert (used.data / COPY / "vector_db" / "index.bin").read_text() == "before"
    assert used.titles() == ["before", "after"]


def test_a_copy_has_what_a_killed_chat_left_beside_its_database(used: Chat) -> None:
    def write_and_die() -> None:
        connection = sqlite3.connect(used.data / "webui.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("INSERT INTO chat VALUES ('beside', 'beside', 1)")
        os.kill(os.getpid(), signal.SIGKILL)

    process = os.fork()
    if not process:
        write_and_die()
    os.waitpid(process, 0)
    assert (used.data / "webui.db-wal").stat().st_size
    used.start(NEW)
    with opened(used.data / COPY / "webui.db") as connection:
        assert connection.execute("SELECT title FROM chat").fetchall() == [("before",), ("beside",)]


def test_an_upgrade_that_failed_after_migrating_is_rolled_back_with_its_chats(used: Chat) -> None:
    used.start(NEW)
    (used.data / "vector_db" / "index.bin").write_text("of the new format")
    assert "put the chat's data back" in used.start(OLD)
    assert (used.titles(), used.index()) == (["before"], "before")
    assert "put" not in used.start(OLD)


def test_after_a_rollback_the_next_upgrade_has_a_copy_again(used: Chat) -> None:
    used.start(NEW)
    used.start(OLD, writes="between")
    used.start(NEW)
    used.start(OLD)
    assert used.titles() == ["before", "between"]


def test_an_upgrade_that_mends_a_failed_one_keeps_the_copy_of_before_both(used: Chat) -> None:
    used.start(NEW)
    assert used.start(NEWER) == ""
    assert "put the chat's data back" in used.start(OLD)
    assert used.titles() == ["before"]


def test_what_people_wrote_after_an_upgrade_is_never_taken_away(used: Chat) -> None:
    used.start(NEW, writes="after")
    prepared = used.prepare(OLD)
    assert prepared.returncode
    assert "people have written since" in prepared.stderr
    assert "Set the newer image again, or restore a backup" in prepared.stderr
    assert used.titles() == ["before", "after"]
    assert used.start(NEW) == ""


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO chat VALUES ('another', 'another', 0)",
        "UPDATE chat SET updated_at = updated_at + 1 WHERE id = 'before'",
        "INSERT INTO \"user\" VALUES ('bo', 'bo@x', 'user')",
        "UPDATE \"user\" SET role = 'user'",
        "UPDATE auth SET password = 'another'",
        "INSERT INTO model VALUES ('assistant', 1)",
        "DROP TABLE model",
    ],
)
def test_each_thing_that_people_do_counts(used: Chat, statement: str) -> None:
    with used.database() as connection:
        connection.execute("INSERT INTO \"user\" VALUES ('ada', 'ada@x', 'admin')")
        connection.execute("INSERT INTO auth VALUES ('ada', 'ada@x', 'own')")
        # An import may bring a chat of any time: the newest says nothing of the others.
        connection.execute("INSERT INTO chat VALUES ('imported', 'imported', 99999999999)")
    used.start(NEW)
    with used.database() as connection:
        connection.execute(statement)
    assert "people have written since" in used.prepare(OLD).stderr


def test_what_open_webui_writes_by_itself_does_not_count(used: Chat) -> None:
    used.start(NEW)
    with used.database() as connection:
        connection.execute("INSERT INTO config VALUES ('a', 1)")
        connection.execute("CREATE TABLE of_the_newer (id, updated_at)")
        connection.execute("INSERT INTO of_the_newer VALUES ('b', 1)")
    assert "put the chat's data back" in used.start(OLD)


def test_an_image_that_changes_nothing_copies_nothing(used: Chat) -> None:
    """As a new release of the operator, or another name of the same image."""
    (used.data / ".open-webui-image").unlink()
    assert used.start(OLD) == ""
    assert not (used.data / COPY).exists()


def test_a_rollback_brings_the_password_of_the_secret(used: Chat) -> None:
    with used.database() as connection:
        connection.execute("INSERT INTO auth VALUES ('first', 'first@x', 'own')")
    used.start(NEW)
    assert "password set" in used.prepare(NEW, password="new").stdout
    with used.database() as connection:
        connection.execute("UPDATE auth SET password = 'own'")  # nobody else has changed anything
    assert "password set" in used.prepare(OLD, password="new").stdout


def test_what_people_deleted_after_an_upgrade_stays_deleted(used: Chat) -> None:
    used.start(NEW)
    with used.database() as connection:
        connection.execute("DELETE FROM chat")
    assert "people have written since" in used.prepare(OLD).stderr


def test_a_newer_chat_without_a_copy_does_not_start_on_an_older_image(used: Chat) -> None:
    used.start(NEW)
    shutil.rmtree(used.data / COPY)
    prepared = used.prepare(OLD)
    assert prepared.returncode
    assert "there is no copy from before" in prepared.stderr


def test_an_image_whose_migrations_are_elsewhere_starts_as_it_is(used: Chat) -> None:
    used.migrate(NEW)
    assert not used.prepare(ELSEWHERE).returncode


def test_what_people_put_among_the_indexes_stops_nothing(used: Chat) -> None:
    odd = used.data / "vector_db" / "odd"
    (odd / "closed").mkdir(parents=True)
    (odd / "closed" / "file").write_text("kept")
    os.mkfifo(odd / "pipe")
    (odd / "link").symlink_to("/")
    (odd / "broken").symlink_to("nowhere")
    (odd / "closed").chmod(0o500)
    odd.chmod(0o500)
    used.start(NEW)
    copies = [
        path for path in (used.data / COPY / "vector_db" / "odd").rglob("*") if path.is_file()
    ]
    assert [path.read_text() for path in copies] == ["kept"]
    os.utime(used.data / COPY, (0, 0))
    used.start(NEW, writes="after")
    assert not (used.data / COPY).exists()


def test_a_folder_without_the_right_to_write_is_removed() -> None:
    """As the chat's user, outside of pytest's folder: root may do everything."""
    with TemporaryDirectory() as folder:
        closed = Path(folder) / "closed"
        closed.mkdir()
        (closed / "file").touch()
        for path in (Path(folder), closed, closed / "file"):
            os.chown(path, 1000, 1000)
        closed.chmod(0o500)
        process = os.fork()
        if not process:
            status = 1
            try:
                os.setuid(1000)
                variables = {"DATA_DIR": folder, "CHAT_IMAGE": "", "UPGRADE_COPY": "copy"}
                os.environ.update(variables)
                program: dict[str, Any] = {"__name__": "prepare_chat"}
                exec(compile(SCRIPT, "prepare_chat.py", "exec"), program)  # noqa: S102
                program["remove"](closed)
                status = int(closed.exists())
            finally:
                os._exit(status)
        assert os.waitpid(process, 0)[1] == 0


def test_without_room_for_a_copy_the_data_stay_as_they_are(used: Chat) -> None:
    (used.data / "vector_db" / "large.bin").touch()
    os.truncate(used.data / "vector_db" / "large.bin", 2**43)  # sparse
    prepared = used.prepare(NEW)
    assert prepared.returncode
    assert "Raise spec.storage.openWebUI, or set the former image again" in prepared.stderr
    assert not (used.data / COPY).exists()
    (used.data / "vector_db" / "large.bin").unlink()
    assert "copied" in used.start(NEW)


def test_a_copy_goes_a_week_after_the_upgrade(used: Chat) -> None:
    used.start(NEW, writes="after")
    os.utime(used.data / COPY, (0, time.time() - 6 * 86_400))
    used.start(NEW)
    assert (used.data / COPY).exists()
    os.utime(used.data / COPY, (0, time.time() - 8 * 86_400))
    used.start(NEW)
    assert not (used.data / COPY).exists()


@pytest.mark.parametrize("image", [NEW, OLD])
def test_no_kill_loses_the_data_of_before(chat: Chat, tmp_path: Path, image: str) -> None:
    """An upgrade is killed, or its rollback, and then rolled back."""
    chat.start(OLD, writes="before")
    if image == OLD:
        chat.start(NEW)
    whole = shutil.copytree(chat.data, tmp_path / "whole")
    steps = count_steps(partial(chat.prepare_here, image), chat.data)
    assert steps > 10
    for step in range(steps):
        shutil.rmtree(chat.data)
        shutil.copytree(whole, chat.data)
        kill_at(partial(chat.prepare_here, image), chat.data, step)
        if image == NEW:
            chat.start(NEW)
        chat.start(OLD)
        assert (chat.titles(), chat.index()) == (["before"], "before"), f"step {step} of {steps}"
