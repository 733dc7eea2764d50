"""Run programs that outlive the command that started them; they are ended by their own ids."""

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
class Process:
    """A process by its id and start time, so that a reused id is never mistaken for it."""

    name: str
    """The component that it is."""
    pid: int
    """Its process id."""
    ticks: int
    """When it started, in clock ticks since boot."""
    log: str
    """The file that has its output."""


def start(
    name: str,
    command: Sequence[str | Path],
    log: Path,
    environment: Mapping[str, str] | None = None,
) -> Process:
    """Start a program in a session of its own, with its output in `log`.

    Raises:
        CommandFailedError: it ended at once.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        popen = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )
    ticks = start_ticks(popen.pid)
    if ticks is None:
        raise CommandFailedError(f"{name} ended at once; see {log}")
    return Process(name, popen.pid, ticks, str(log))


def start_ticks(pid: int) -> int | None:
    """Return when the process started, in clock ticks since boot (proc(5)).

    None if there is no such process, or if it has ended and only waits to be reaped.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def is_alive(process: Process) -> bool:
    return start_ticks(process.pid) == process.ticks


def stop(process: Process) -> None:
    """End a process and wait until it is gone; kill it after ten seconds."""
    deadline = time.monotonic() + _GRACE_SECONDS
    _signal(process, signal.SIGTERM)
    while is_alive(process):
        if time.monotonic() > deadline:
            _signal(process, signal.SIGKILL)
        time.sleep(0.02)


def _signal(process: Process, number: signal.Signals) -> None:
    if is_alive(process):
        os.kill(process.pid, number)
