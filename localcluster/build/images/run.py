"""Running the programs that build images, without a silent minute."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from localcluster.errors import CommandFailedError, last_lines
from localcluster.processes import foreground


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
    with log.open("wb") as out:
        failed = foreground.follow(
            command,
            out,
            lambda: report(len(log.read_bytes().splitlines())),
            cwd=cwd,
            environment=environment,
        )
    if failed:
        name = Path(str(command[0])).name
        raise CommandFailedError(f"{name} failed:\n{last_lines(log)}\n    (whole log: {log})")
