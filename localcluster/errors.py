"""Errors, each with the exit code of the command line."""

from pathlib import Path


class LocalClusterError(Exception):
    """A failure that a person can act on; the message says how."""

    exit_code = 1


class MissingPrerequisitesError(LocalClusterError):
    """The machine lacks something; the message lists each missing thing with its fix."""

    exit_code = 4


class AlreadyRunningError(LocalClusterError):
    """A cluster of this name runs already, or another full one has the node's address."""

    exit_code = 3


class NotRunningError(LocalClusterError):
    """The command needs a running cluster of this name."""

    exit_code = 5


class CommandFailedError(LocalClusterError):
    """A program failed; the message holds its last lines of output."""


def last_lines(log: Path, count: int = 15) -> str:
    """Return the end of a log, indented, or a note that there is none."""
    if not log.exists():
        return f"    (no log at {log})"
    lines = log.read_text(errors="replace").splitlines()[-count:]
    return "\n".join(f"    {line[:400]}" for line in lines) or f"    ({log} is empty)"
