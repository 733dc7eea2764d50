"""A former state of the product, as it was before an upgrade."""

import subprocess
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
FORMER: Final = "205c9c397a2ad3d833602fe4a90f693fc1e53a33"
"""The commit that stands for the last release until there is one: it knows no size classes, no
history, no settings of a site's network, and one version of the resources."""


def former_source(folder: Path) -> Path:
    """The product's packages as they once were, for PYTHONPATH. Skips the test in a clone that
    lacks the commit."""
    archive = subprocess.run(
        ["git", "-C", ROOT, "archive", FORMER, "src"], capture_output=True, check=False
    )
    if archive.returncode:
        pytest.skip(f"this clone has no commit {FORMER}: git fetch --unshallow")
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
    return folder / "src"
