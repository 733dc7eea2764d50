"""The documentation site, built by the locked site generator."""

import subprocess
import sys
from pathlib import Path

from docsite.pages import CONFIGURATION


def build(folder: Path) -> "subprocess.CompletedProcess[str]":
    """Build `site` from the configuration of a folder, strictly."""
    zensical = Path(sys.executable).parent / "zensical"
    return subprocess.run(  # noqa: S603  (the locked program)
        [zensical, "build", "--strict", "--config-file", folder / CONFIGURATION],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
