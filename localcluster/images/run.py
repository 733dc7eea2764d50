"""Running the programs that build images, without a silent minute."""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from localcluster.errors import CommandFailedError, last_lines

_TELL_SECONDS: Final = 10.0


def follow(
    command: Sequence[str | Path],
    *,
    log: Path,
    report: Callable[[int], None],
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run a program to its end; every ten seconds ``report`` gets how many lines it has written.

    Raises:
        CommandFailedError: it failed; the message holds the last lines of its log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as out:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env=dict(environment) if environment is not None else dict(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
        _wait(process, lambda: report(len(log.read_bytes().splitlines())))
    if process.returncode:
        name = Path(str(command[0])).name
        raise CommandFailedError(f"{name} failed:\n{last_lines(log)}\n    (whole log: {log})")


def _wait(process: "subprocess.Popen[bytes]", tell: Callable[[], None]) -> None:
    """Stop the program when we are interrupted."""
    told = time.monotonic()
    pause = threading.Event()
    try:
        while process.poll() is None:
            pause.wait(0.1)
            if time.monotonic() - told > _TELL_SECONDS:
                told = time.monotonic()
                tell()
    except BaseException:
        process.terminate()
        process.wait()
        raise
