"""Run the programs that build images, with a log and regular reports."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from localcluster.errors import CommandFailedError, last_lines
from localcluster.processes import foreground


def run_with_log(
    command: Sequence[str | Path],
    *,
    log: Path,
    on_tick: Callable[[int], None],
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run a program to its end; every ten seconds call ``on_tick`` with its number of lines.

    Raises:
        CommandFailedError: it failed; the message has the last lines of its log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        exit_code = foreground.run_with_progress(
            command,
            out,
            lambda: on_tick(len(log.read_bytes().splitlines())),
            cwd=cwd,
            environment=environment,
        )
    if exit_code:
        name = Path(str(command[0])).name
        raise CommandFailedError(f"{name} failed:\n{last_lines(log)}\n    (whole log: {log})")
