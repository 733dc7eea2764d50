"""A data folder as Open WebUI has it, with a database that is in use."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

DOCUMENT: Final = "uploads/3f2a_report.pdf"
INDEX: Final = "vector_db/5d1c/data_level0.bin"
CREDENTIALS: Final = {
    "WEBUI_ADMIN_EMAIL": "admin@example.org",
    "WEBUI_ADMIN_PASSWORD": "correct horse",
    "WEBUI_SECRET_KEY": "a key of the chat",
}
WORKSPACE: Final[dict[str, Any]] = {
    "apiVersion": "apps.aichatworkspaces.io/v1alpha1",
    "kind": "AIChatWorkspace",
    "metadata": {"name": "lime", "namespace": "team-lime", "uid": "1", "resourceVersion": "7"},
    "spec": {"workspaceName": "lime", "models": ["llama3.2"]},
    "status": {"phase": "Ready"},
}


def write_chat(data: Path, message: str) -> None:
    """Write a folder whose chats, users, documents and index hold the message."""
    write_rows(data / "webui.db", message)
    write_rows(data / "vector_db" / "chroma.sqlite3", message)
    for path in (DOCUMENT, INDEX, ".first-administrator", "cache/image/generations/a.png"):
        write_file(data / path, message)
    write_file(data / "cache" / "embedding" / "model.bin", "downloaded again")


def write_file(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def write_rows(path: Path, message: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA synchronous = OFF")  # many tests write many chats
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE chat (id INTEGER PRIMARY KEY, message TEXT)")
        connection.executemany("INSERT INTO chat (message) VALUES (?)", [(message,)] * 50)


def read_rows(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT message FROM chat ORDER BY id")]


def read_chat(data: Path) -> dict[str, object]:
    """Return all that the folder holds: rows of databases, and the bytes of other files."""
    files = [path for path in sorted(data.rglob("*")) if path.is_file()]
    return {
        path.relative_to(data).as_posix(): (
            read_rows(path) if path.suffix in (".db", ".sqlite3") else path.read_bytes()
        )
        for path in files
        if not path.name.endswith(("-wal", "-shm"))
    }


def restored(chat: dict[str, object]) -> dict[str, object]:
    """Return what a restore gives back of it."""
    return {path: content for path, content in chat.items() if "cache/embedding" not in path}
