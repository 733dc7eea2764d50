"""Prepare a chat's data before Open WebUI starts. Its init container runs this in its image."""

import hashlib
import importlib.util
import os
import re
import shutil
import sqlite3
import stat
import sys
import time
import uuid
from contextlib import closing
from pathlib import Path

DATA = Path(os.environ["DATA_DIR"])
IMAGE = os.environ["CHAT_IMAGE"]
DATABASE, INDEXES, ADMINISTRATOR = "webui.db", "vector_db", ".first-administrator"
COPY = DATA / os.environ["UPGRADE_COPY"]
COPY_SECONDS = 7 * 86_400
REPLACED = COPY / "replaced"  # what a rollback has taken away, until the next copy
RECORD = DATA / ".open-webui-image"
# By these people's rows are known to be the same; what Open WebUI writes by itself is left out.
MARKS = ("id", "created_at", "updated_at", "role", "password")
NOT_WRITTEN_BY_PEOPLE = ("alembic_version", "config", "migratehistory")


def refuse_unfinished_restore() -> None:
    """What people wrote meanwhile would be lost (aichat_workspace/backup/swap.py)."""
    staging = DATA / os.environ["RESTORE_STAGING"]
    if staging.is_dir() and not staging.is_symlink():  # people can make a file of that name
        sys.exit("a restore has not ended: wait, or if killed, run aichat-workspace-backup recover")


def keep_way_back() -> None:
    """Open WebUI's migrations go one way: copy the data before an image changes them, and put the
    copy back for an image that is too old for them."""
    end_rollback()
    former = RECORD.read_text() if RECORD.is_file() else ""
    known, newest = image_revisions()
    if (DATA / DATABASE).exists():
        present = revisions(DATA / DATABASE)
        if known and not present <= known:
            roll_back(known)
        elif former != IMAGE and present != newest:
            copy_data()
        elif COPY.exists() and time.time() - COPY.stat().st_mtime > COPY_SECONDS:
            remove(COPY)
    if former != IMAGE:
        record_image()


def record_image() -> None:
    new = RECORD.with_suffix(".new")
    remove(new)
    new.write_text(IMAGE)
    os.sync()
    new.rename(RECORD)


def image_revisions() -> tuple[set[str], set[str]]:
    """Return the revisions of the database's tables that this image's migrations know, and of these
    the newest, which no other follows."""
    spec = importlib.util.find_spec("open_webui")
    folders = (spec.submodule_search_locations if spec else None) or []
    known: set[str] = set()
    followed: set[str] = set()
    paths = [Path(folder) / "migrations" / "versions" for folder in folders]
    for path in (path for folder in paths for path in folder.glob("*.py")):
        for line in re.findall(r"^(?:down_)?revision\b.*$", path.read_text(), re.MULTILINE):
            names = re.findall(r"['\"](\w+)['\"]", line)
            (followed if line.startswith("down_") else known).update(names)
    return known, known - followed


def revisions(database: Path) -> set[str]:
    with closing(sqlite3.connect(database)) as connection:
        if not columns_of(connection, "main", "alembic_version"):
            return set()
        return {row[0] for row in connection.execute("SELECT version_num FROM alembic_version")}


def columns_of(connection: sqlite3.Connection, schema: str, table: str) -> list[str]:
    """Return the table's columns; none where this version has no such table."""
    return [row[1] for row in connection.execute(f'PRAGMA {schema}.table_info("{table}")')]


def is_used_since_copy() -> bool:
    """Whether people have written, changed or deleted anything. No clock is asked: a node's may be
    wrong, and people may have imported chats of another time."""
    with closing(sqlite3.connect(DATA / DATABASE)) as connection:
        connection.execute("ATTACH ? AS copy", [str(COPY / DATABASE)])
        tables = connection.execute("SELECT name FROM copy.sqlite_master WHERE type = 'table'")
        return any(
            differs(connection, table)
            for (table,) in tables.fetchall()
            if table not in NOT_WRITTEN_BY_PEOPLE
        )


def differs(connection: sqlite3.Connection, table: str) -> bool:
    now, then = (columns_of(connection, schema, table) for schema in ("main", "copy"))
    marks = ", ".join(f'"{mark}"' for mark in MARKS if mark in now and mark in then)
    if not marks:
        return bool(then) and not now
    rows = [f'SELECT {marks} FROM {schema}."{table}"' for schema in ("main", "copy")]
    return any(
        connection.execute(f"{first} EXCEPT {second} LIMIT 1").fetchone()
        for first, second in (rows, reversed(rows))
    )


def copy_data() -> None:
    """Keep a copy that nobody has used the chat since: the upgrade after it has failed."""
    if (COPY / DATABASE).exists() and not is_used_since_copy():
        return
    new = COPY.with_suffix(".new")
    remove(COPY)
    remove(new)
    files = [DATA / ADMINISTRATOR, *regular_files(DATA / INDEXES)]
    database = sum(path.stat().st_size for path in DATA.glob(f"{DATABASE}*") if path.is_file())
    # A migration rewrites whole tables, so it needs the database's room once more.
    needed = 2 * database + sum(path.stat().st_size for path in files if path.exists())
    free = shutil.disk_usage(DATA).free
    if free < needed:
        sys.exit(
            f"there is no room for a copy of the chat's data before {IMAGE} changes them: it takes "
            f"{needed} bytes with what the change takes, and {free} are free. Raise "
            "spec.storage.openWebUI, or set the former image again"
        )
    new.mkdir()
    with (
        closing(sqlite3.connect(DATA / DATABASE)) as source,
        closing(sqlite3.connect(new / DATABASE)) as target,
    ):
        source.backup(target)
    for path in files:
        if path.exists():
            target_path = new / path.relative_to(DATA)
            target_path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target_path)
    os.sync()
    new.rename(COPY)
    print(f"copied the chat's data before {IMAGE} changes them")


def regular_files(folder: Path) -> list[Path]:
    """Return the files below a folder; people may have put links and pipes there."""
    paths = [Path(top) / name for top, _, names in os.walk(folder) for name in names]
    return [path for path in paths if stat.S_ISREG(path.lstat().st_mode)]


def remove(path: Path) -> None:
    """Remove whatever it is, also where people took the right to write from a folder."""
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    path.chmod(0o700)
    for top, names, _ in os.walk(path):
        for folder in (Path(top, name) for name in names):
            if not folder.is_symlink():
                folder.chmod(0o700)
    shutil.rmtree(path)


def roll_back(known: set[str]) -> None:
    changed = f"a newer Open WebUI than {IMAGE} has changed the chat's data"
    way_out = (
        f"Set the newer image again, or restore a backup that {IMAGE} or an older one has made"
    )
    if not (COPY / DATABASE).exists() or not revisions(COPY / DATABASE) <= known:
        sys.exit(f"{changed}, and there is no copy from before. {way_out}")
    if is_used_since_copy():
        sys.exit(f"{changed}, and people have written since. {way_out}")
    record_image()
    REPLACED.mkdir()
    end_rollback()
    print("put the chat's data back to before a newer image")


def end_rollback() -> None:
    """Put the copy in place; after a kill, go on with that."""
    if not REPLACED.exists() or not (COPY / DATABASE).exists():
        return
    # The database last: it says that the copy is complete.
    for name in (INDEXES, ADMINISTRATOR, DATABASE):
        if (COPY / name).exists():
            for part in (f"{name}-wal", f"{name}-shm", name):
                if (DATA / part).is_dir():
                    (DATA / part).chmod(0o700)  # without the right to write it can't be moved
                if (DATA / part).exists():
                    (DATA / part).rename(REPLACED / part)
            (COPY / name).rename(DATA / name)
    os.sync()


def keep_administrator() -> None:
    """Open WebUI creates the administrator at its first start and never reads the Secret again."""
    email, password = os.environ["WEBUI_ADMIN_EMAIL"], os.environ["WEBUI_ADMIN_PASSWORD"]
    mark = DATA / ADMINISTRATOR
    seen = hashlib.sha256(f"{email} {password}".encode()).hexdigest()
    before, _, known = mark.read_text().partition("\n") if mark.exists() else ("", "", "")
    if (DATA / DATABASE).exists() and before and before != seen:
        set_password(email, password, known)
    mark.write_text(f"{seen}\n{email}")


def set_password(email: str, password: str, known: str) -> None:
    bcrypt = importlib.import_module("bcrypt")
    with sqlite3.connect(DATA / DATABASE) as connection:
        has = "SELECT count(*) FROM auth WHERE email = ?"
        if known and not connection.execute(has, [email]).fetchone()[0]:
            for table in ("auth", "user"):
                renamed = f'UPDATE "{table}" SET email = ? WHERE email = ?'
                connection.execute(renamed, [email, known])
        columns = {row[1] for row in connection.execute("PRAGMA table_info(auth)")}
        values = {"password": bcrypt.hashpw(password.encode(), bcrypt.gensalt()).decode()}
        if "session_stamp" in columns:
            values["session_stamp"] = str(uuid.uuid4())
        assignments = ", ".join(f"{name} = :{name}" for name in values)
        changed = connection.execute(
            f"UPDATE auth SET {assignments} WHERE email = :email", {**values, "email": email}
        )
    print("password set" if changed.rowcount else f"there is no account {email}")


if __name__ == "__main__":
    refuse_unfinished_restore()
    keep_way_back()
    keep_administrator()
