"""Errors of registries and bundles."""

from dataclasses import dataclass
from enum import StrEnum


class Cause(StrEnum):
    """What a caller may tell apart."""

    INPUT = "input"
    """An argument or a file can't be used."""
    ABSENT = "absent"
    """The registry lacks it."""
    LOGIN = "login"
    """The registry wants a login."""
    REFUSED = "refused"
    """The registry refuses the login."""
    UNREACHABLE = "unreachable"
    """No answer came; a retry may help."""
    OTHER = "other"


@dataclass(slots=True)
class OciError(Exception):
    """A failure in three parts: what did not happen, why, and what to do."""

    what: str
    why: str = ""
    fix: str = ""
    cause: Cause = Cause.OTHER

    def __str__(self) -> str:
        """Return all parts in one line."""
        return ": ".join(filter(None, (self.what, self.why))) + (
            f"; {self.fix}" if self.fix else ""
        )
