"""Programs that outlive the command that started them, and end only by their own ids."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localcluster.errors import CommandFailedError

_GRACE_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Started:
    """A process by its id and the moment it started, so that a reused id is never taken for it."""

    name: str
    pid: int
    ticks: int
    log: str


def start(
    name: str,
    command: Sequence[str | Path],
    log: Path,
    environment: Mapping[str, str] | None = None,
) -> Started:
    """Start a program in a session of its own, writing to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )
    ticks = start_ticks(process.pid)
    if ticks is None:
        raise CommandFailedError(f"{name} ended at once; see {log}")
    return Started(name, process.pid, ticks, str(log))


def start_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks since boot (proc(5)); None when there is none, or
    when it has ended and only waits to be reaped."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def alive(started: Started) -> bool:
    return start_ticks(started.pid) == started.ticks


def stop(started: Started) -> None:
    """End the process and wait until it is gone, by force after ten seconds."""
    deadline = time.monotonic() + _GRACE_SECONDS
    _signal(started, signal.SIGTERM)
    while alive(started):
        if time.monotonic() > deadline:
            _signal(started, signal.SIGKILL)
        time.sleep(0.02)


def _signal(started: Started, number: signal.Signals) -> None:
    if alive(started):
        os.kill(started.pid, number)
