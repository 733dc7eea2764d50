"""Tokens, in files that only their owner can read."""

import os
import tempfile
from pathlib import Path
from typing import Final

from aichat_workspace.cli.errors import CliError

_OTHERS: Final = 0o077


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:  # mkstemp makes it 0600
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_token(path: Path) -> str | None:
    """Return the token of a file; None without one. Raises CliError where others can read it."""
    try:
        if path.stat().st_mode & _OTHERS:
            raise CliError(
                "the token was not used",
                (f"others can read {path}",),
                f"chmod 600 {path}",
            )
        return path.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
