"""Prepare a chat's data before Open WebUI starts. Its init container runs this in its image."""

import hashlib
import importlib.util
import os
import re
import shutil
import sqlite3
import sys
import time
import uuid
from contextlib import closing
from pathlib import Path

DATA = Path(os.environ["DATA_DIR"])
IMAGE = os.environ["CHAT_IMAGE"]
DATABASE, INDEXES = "webui.db", "vector_db"
COPY = DATA / os.environ["UPGRADE_COPY"]
COPY_SECONDS = 7 * 86_400
FORMER = "image"  # in the copy: the image whose data it is
REPLACED = COPY / "replaced"  # what a rollback has taken away, until the next copy
RECORD = DATA / ".open-webui-image"
# What people write, and when they did. The operator and migrations write other tables, too.
WRITTEN = (
    *((table, "updated_at") for table in ("chat", "message", "note", "file", "folder", "channel")),
    *((table, "updated_at") for table in ("knowledge", "memory", "prompt", "tool", "function")),
    ("user", "created_at"),
)


def refuse_unfinished_restore() -> None:
    """What people wrote meanwhile would be lost (aichat_workspace/backup/swap.py)."""
    staging = DATA / os.environ["RESTORE_STAGING"]
    if staging.is_dir() and not staging.is_symlink():  # people can make a file of that name
        sys.exit("a restore has not ended: wait, or if killed, run aichat-workspace-backup recover")


def keep_way_back() -> None:
    """Open WebUI's migrations go one way: copy the data before another image may change them, and
    put the copy back for an image that is too old for them."""
    end_rollback()
    former = RECORD.read_text() if RECORD.exists() else ""
    known = image_revisions()
    if (DATA / DATABASE).exists():
        if known and not revisions(DATA / DATABASE) <= known:
            roll_back(known, former if former != IMAGE else "")
        elif former != IMAGE:
            copy_data(former)
        elif COPY.exists() and time.time() - COPY.stat().st_mtime > COPY_SECONDS:
            shutil.rmtree(COPY)
    if former != IMAGE:
        record_image()


def record_image() -> None:
    new = RECORD.with_suffix(".new")
    new.write_text(IMAGE)
    os.sync()
    new.rename(RECORD)


def image_revisions() -> set[str]:
    """Return the revisions of the database's tables that this image's migrations know."""
    spec = importlib.util.find_spec("open_webui")
    folders = (spec.submodule_search_locations if spec else None) or []
    files = [path for folder in folders for path in Path(folder).glob("migrations/versions/*.py")]
    pattern = re.compile(r"^revision\b[^=\n]*= *['\"](\w+)['\"]", re.MULTILINE)
    return {match[1] for path in files for match in pattern.finditer(path.read_text())}


def revisions(database: Path) -> set[str]:
    return {row[0] for row in select(database, "alembic_version", "version_num", "{0}")}


def select(database: Path, table: str, column: str, what: str) -> list[tuple[str]]:
    """Return the rows of a query; none where this version has no such column."""
    with closing(sqlite3.connect(database)) as connection:
        columns = {row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')}
        if column not in columns:
            return []
        return connection.execute(f'SELECT {what.format(column)} FROM "{table}"').fetchall()


def is_used_since_copy() -> bool:
    """Whether people have written anything. No clock is asked: a node's may be wrong."""
    now, then = (
        [select(database, *place, "count({0}), max({0})") for place in WRITTEN]
        for database in (DATA / DATABASE, COPY / DATABASE)
    )
    return now != then


def copy_data(former: str) -> None:
    """Keep a copy that nobody has used the chat since: the upgrade after it has failed."""
    if (COPY / DATABASE).exists() and not is_used_since_copy():
        return
    new = COPY.with_suffix(".new")
    for old in (COPY, new):
        if old.exists():
            shutil.rmtree(old)
    sources = [DATA / DATABASE, DATA / f"{DATABASE}-wal", *(DATA / INDEXES).rglob("*")]
    needed = sum(path.stat().st_size for path in sources if path.is_file())
    free = shutil.disk_usage(DATA).free
    if free < needed:
        sys.exit(
            f"there is no room for a copy of the chat's data before {IMAGE} changes them: it takes "
            f"{needed} bytes, and {free} are free. Raise spec.storage.openWebUI"
            + (f", or set the image to {former} again" if former else "")
        )
    new.mkdir()
    with (
        closing(sqlite3.connect(DATA / DATABASE)) as source,
        closing(sqlite3.connect(new / DATABASE)) as target,
    ):
        source.backup(target)
    if (DATA / INDEXES).exists():
        shutil.copytree(DATA / INDEXES, new / INDEXES)
    (new / FORMER).write_text(former)
    os.sync()
    new.rename(COPY)
    print(f"copied {needed} bytes of the chat's data before {IMAGE} changes them")


def roll_back(known: set[str], newer: str) -> None:
    changed = f"a newer Open WebUI than {IMAGE} has changed the chat's data"
    way_out = (
        f"Set the image to {newer or 'the newer one'} again, or restore a backup that {IMAGE} or "
        "an older one has made"
    )
    if not (COPY / DATABASE).exists() or not revisions(COPY / DATABASE) <= known:
        sys.exit(f"{changed}, and there is no copy from before. {way_out}")
    if is_used_since_copy():
        sys.exit(f"{changed}, and people have written since. {way_out}")
    record_image()
    REPLACED.mkdir()
    end_rollback()
    print(f"put the chat's data back to before {newer or 'a newer image'}")


def end_rollback() -> None:
    """Put the copy in place; after a kill, go on with that."""
    if not REPLACED.exists() or not (COPY / DATABASE).exists():
        return
    for name in (INDEXES, DATABASE):  # the database last: it says that the copy is complete
        if (COPY / name).exists():
            for part in (f"{name}-wal", f"{name}-shm", name):
                if (DATA / part).exists():
                    (DATA / part).rename(REPLACED / part)
            (COPY / name).rename(DATA / name)
    os.sync()


def keep_administrator() -> None:
    """Open WebUI creates the administrator at its first start and never reads the Secret again."""
    email, password = os.environ["WEBUI_ADMIN_EMAIL"], os.environ["WEBUI_ADMIN_PASSWORD"]
    mark = DATA / ".first-administrator"
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
