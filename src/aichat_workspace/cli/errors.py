"""Errors of the command line, and its exit codes."""

from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """What the process's exit code says."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    FORBIDDEN = 4
    TIMED_OUT = 5
    UNREACHABLE = 6
    INTERRUPTED = 130


@dataclass(slots=True)
class CliError(Exception):
    """A failure that the caller is told in three parts: what, why, and what to type next."""

    what: str
    """What did not happen."""
    why: tuple[str, ...] = ()
    """The reasons, a line each."""
    fix: str = ""
    """A command, or what else to do; empty where nothing helps but to read `why`."""
    code: ExitCode = ExitCode.FAILED

    def __str__(self) -> str:
        return self.what


def usage_error(what: str, fix: str = "") -> CliError:
    """Return the error of an option or argument that can't be used."""
    return CliError(what, fix=fix, code=ExitCode.USAGE)
