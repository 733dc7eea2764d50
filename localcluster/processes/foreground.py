"""Programs that are run to their end, and that end with us: none goes on when we are interrupted.

Each has a process group of its own, so that the compilers and shells it starts end with it. Threads
never see a signal: they learn of it here, by polling.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

_POLL_SECONDS: Final = 0.1
_GRACE_SECONDS: Final = 10.0
_TELL_SECONDS: Final = 10.0


class _Interruption:
    """Whether a signal has come. A plain flag: an Event's lock may be held when a signal comes."""

    came = False


def terminate_with_parent() -> None:
    """From now on SIGINT and SIGTERM are a KeyboardInterrupt here, and the end of every child.

    A shell starts its background jobs with SIGINT ignored, which Python would leave so.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run a program and give what it wrote, whether it failed or not.

    Raises:
        KeyboardInterrupt: we were interrupted; the program has ended.
    """
    process = _start(command, cwd, environment, subprocess.PIPE, subprocess.PIPE)
    try:
        while True:
            with suppress(subprocess.TimeoutExpired):
                out, err = process.communicate(timeout=_POLL_SECONDS)
                _raise_if_interrupted()
                return subprocess.CompletedProcess(
                    process.args, process.returncode, out.decode(), err.decode()
                )
            _raise_if_interrupted()
    except BaseException:
        _end(process)
        raise


def follow(
    command: Sequence[str | Path],
    out: IO[bytes],
    tell: Callable[[], object],
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Run a program that writes to ``out``, and call ``tell`` every ten seconds. Its exit code.

    Raises:
        KeyboardInterrupt: we were interrupted; the program has ended.
    """
    process = _start(command, cwd, environment, out, out)
    told = time.monotonic()
    try:
        while process.poll() is None:
            pause()
            if time.monotonic() - told > _TELL_SECONDS:
                told = time.monotonic()
                tell()
    except BaseException:
        _end(process)
        raise
    return process.returncode


def _interrupt(number: int, frame: object) -> None:
    """The first signal ends everything; the next ones do not disturb the tidying up."""
    del number, frame
    if not _Interruption.came:
        _Interruption.came = True
        raise KeyboardInterrupt


def pause(seconds: float = _POLL_SECONDS) -> None:
    """Wait, in a thread that may be asked to end.

    Raises:
        KeyboardInterrupt: we were interrupted.
    """
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, _POLL_SECONDS))
        _raise_if_interrupted()


def _raise_if_interrupted() -> None:
    if _Interruption.came:
        raise KeyboardInterrupt


def _start(
    command: Sequence[str | Path],
    cwd: Path | None,
    environment: Mapping[str, str] | None,
    out: int | IO[bytes],
    err: int | IO[bytes],
) -> "subprocess.Popen[bytes]":
    _raise_if_interrupted()
    return subprocess.Popen(
        [str(part) for part in command],
        cwd=cwd,
        env=None if environment is None else dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        process_group=0,
    )


def _end(process: "subprocess.Popen[Any]") -> None:
    """The whole group: politely, and by force when it takes longer than the grace."""
    deadline = time.monotonic() + _GRACE_SECONDS
    _signal_group(process.pid, signal.SIGTERM)
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    _signal_group(process.pid, signal.SIGKILL)
    process.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)
