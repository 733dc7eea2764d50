"""A commit to release."""

from pathlib import Path
from typing import Final

from release.source import Source

SOURCE: Final = Source(Path("/project"), "1.2.3", "c0ffee" * 6 + "c0ff", 1_700_000_000, "- A.\n")
