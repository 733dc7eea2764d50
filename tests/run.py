"""What the processes of one run of pytest share: xdist's workers, and the one that started them."""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

# Workers inherit it from the process that a person has started.
_PID: Final = os.environ.setdefault("TEST_RUN_PID", str(os.getpid()))
FOLDER: Final = Path(tempfile.gettempdir()) / f"aichat-test-run-{_PID}"


def name(kind: str) -> str:
    """A name for what there is once in a run, and which says whose it is."""
    return f"{kind}-{_PID}"


def once(what: str, make: Callable[[], Any]) -> Any:
    """What `make` gave to the first process that came; the others wait for it. It is JSON."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{what}.json"
    with (FOLDER / f"{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            path.write_text(json.dumps(make()))
        return json.loads(path.read_text())


def made(what: str) -> Any:
    """What was made once; None if it was never requested."""
    path = FOLDER / f"{what}.json"
    return json.loads(path.read_text()) if path.exists() else None


def end() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
