"""Run programs to their end. They end when this process is interrupted.

Each has a process group of its own, so that the compilers and shells it starts end with it. Threads
never see a signal: they learn of it here, by polling.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from localcluster.errors import CommandFailedError, LocalClusterError

_POLL_SECONDS: Final = 0.1
_GRACE_SECONDS: Final = 10.0
_TICK_SECONDS: Final = 10.0


class _Interruption:
    """Whether a signal has come. Not an Event, whose lock may be held when a signal comes."""

    came = False


def terminate_with_parent() -> None:
    """Make SIGINT and SIGTERM a KeyboardInterrupt here, which ends all children, too.

    A shell starts its background jobs with SIGINT ignored, which Python would leave so.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)


def run_app(app: Callable[..., object]) -> None:
    """Run a command line; end with the message and the exit code of its error."""
    terminate_with_parent()
    try:
        app(standalone_mode=True)
    except LocalClusterError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run a program and return its output, whether it failed or not.

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


def run_or_raise(command: Sequence[str | Path], problem: str) -> None:
    """Run a program.

    Raises:
        CommandFailedError: it failed; the message is ``problem`` and the end of its errors.
        KeyboardInterrupt: we were interrupted; the program has ended.
    """
    result = run(command)
    if result.returncode:
        raise CommandFailedError(f"{problem}:\n{result.stderr.strip()[-2000:]}")


def run_with_progress(
    command: Sequence[str | Path],
    out: IO[bytes],
    on_tick: Callable[[], object],
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Run a program that writes to ``out`` and return its exit code.

    ``on_tick`` is called every ten seconds.

    Raises:
        KeyboardInterrupt: we were interrupted; the program has ended.
    """
    process = _start(command, cwd, environment, out, out)
    last_tick = time.monotonic()
    try:
        while process.poll() is None:
            pause()
            if time.monotonic() - last_tick > _TICK_SECONDS:
                last_tick = time.monotonic()
                on_tick()
    except BaseException:
        _end(process)
        raise
    return process.returncode


def _interrupt(number: int, frame: object) -> None:
    """Raise at the first signal only, so that later ones do not interrupt the cleaning up."""
    del number, frame
    if not _Interruption.came:
        _Interruption.came = True
        raise KeyboardInterrupt


def pause(seconds: float = _POLL_SECONDS) -> None:
    """Wait, in a thread that an interruption ends.

    Raises:
        KeyboardInterrupt: we were interrupted.
    """
    deadline = time.monotonic() + seconds
    while (remaining_seconds := deadline - time.monotonic()) > 0:
        time.sleep(min(remaining_seconds, _POLL_SECONDS))
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
    """End the whole group with SIGTERM, and with SIGKILL after the grace period."""
    deadline = time.monotonic() + _GRACE_SECONDS
    _signal_group(process.pid, signal.SIGTERM)
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    _signal_group(process.pid, signal.SIGKILL)
    process.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)
