"""Kill a function at each of its steps: each file, database and request that it is about to use.

The steps are Python's own audit events (https://docs.python.org/3/library/audit_events.html), so
they are those of the code as it is. Each run is a process of its own, and ends by SIGKILL.
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

_OF_FILES: Final = frozenset(
    {
        "open",
        "os.chmod",
        "os.mkdir",
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.scandir",
        "sqlite3.connect",
    }
)
REQUEST: Final = "tests.request"
"""A step that a test raises itself, where Python tells of none."""


def count_steps(run: Callable[[], object], folder: Path) -> int:
    """Run to the end, and return how many steps that took; only files in `folder` count."""
    reader, writer = os.pipe()
    assert _in_child(run, folder, stop_at=None, counted=writer) == 0, "it failed by itself"
    with os.fdopen(reader) as file:
        return int(file.read())


def kill_at(run: Callable[[], object], folder: Path, step: int) -> None:
    """Run until just before that step, from 0."""
    status = _in_child(run, folder, stop_at=step, counted=None)
    assert os.WIFSIGNALED(status), f"it ended before step {step}"
    assert os.WTERMSIG(status) == signal.SIGKILL


def _in_child(
    run: Callable[[], object], folder: Path, *, stop_at: int | None, counted: int | None
) -> int:
    """Return the status of the process, as of os.waitpid; `counted` is closed."""
    process = os.fork()
    if process:
        if counted is not None:
            os.close(counted)
        return os.waitpid(process, 0)[1]
    try:
        steps = 0

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal steps
            if not _is_step(event, arguments, str(folder)):
                return
            if steps == stop_at:
                os.kill(os.getpid(), signal.SIGKILL)
            steps += 1

        sys.addaudithook(hook)
        run()
        if counted is not None:
            os.write(counted, str(steps).encode())
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _is_step(event: str, arguments: tuple[Any, ...], folder: str) -> bool:
    """A path that is relative is of a folder that is open, as in shutil.rmtree."""
    if event == REQUEST:
        return True
    path = arguments[0] if event in _OF_FILES and arguments else None
    if not isinstance(path, str | bytes | os.PathLike):
        return False
    text = os.fsdecode(path)
    return folder in text or not Path(text).is_absolute()
