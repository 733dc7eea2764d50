"""The script of the init container, run against a database like Open WebUI's."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aichat_workspace.backup import swap
from aichat_workspace.domain import names
from aichat_workspace.domain.render.admin_password import SCRIPT

# The image has the real library; the tests only need to see which password was set.
BCRYPT = """
def gensalt(): return b""
def hashpw(password, salt): return b"hash of " + password
"""
Run = Callable[[str, str], str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the script with an administrator's address and password, and return its output."""
    (tmp_path / "bcrypt.py").write_text(BCRYPT)

    def script(email: str, password: str) -> str:
        variables = {"WEBUI_ADMIN_EMAIL": email, "WEBUI_ADMIN_PASSWORD": password}
        return subprocess.run(  # noqa: S603  (this Python)
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, **variables, "DATA_DIR": str(tmp_path), "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    return script


@pytest.mark.parametrize("folder", ["unpacked", "verified", "installing", "old"])
def test_the_chat_does_not_start_in_the_midst_of_a_restore(
    tmp_path: Path, run: Run, folder: str
) -> None:
    (tmp_path / names.RESTORE_STAGING / folder).mkdir(parents=True)
    with pytest.raises(subprocess.CalledProcessError) as failure:
        run("first@x", "old")
    assert "run aichat-workspace-backup recover" in failure.value.stderr
    assert not (tmp_path / ".first-administrator").exists()


def test_the_chat_starts_with_the_old_data_once_a_restore_was_given_up(
    tmp_path: Path, run: Run
) -> None:
    (tmp_path / names.RESTORE_STAGING / "unpacked").mkdir(parents=True)
    assert swap.recover(tmp_path)
    assert run("first@x", "old") == ""


@pytest.fixture
def database(tmp_path: Path, run: Run) -> sqlite3.Connection:
    """Return the database after the first start, with the administrator of the script's run."""
    assert run("first@x", "old") == ""
    connection = sqlite3.connect(tmp_path / "webui.db", isolation_level=None)
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
