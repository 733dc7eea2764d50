"""Install locked wheels for a platform below a folder, without running anything of them."""

import configparser
import csv
import io
import platform
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from localcluster.errors import CommandFailedError
from localcluster.paths import PROJECT
from localcluster.processes import foreground
from release.errors import ReleaseError

REQUIREMENTS: Final = PROJECT / "requirements" / "operator.txt"
PACKAGES_FOLDER: Final = Path("usr/local/lib/python3.11/dist-packages")
PYTHON: Final = "3.11.2"  # Debian 12's
_PLATFORMS: Final = {
    "amd64": "x86_64-manylinux_2_36",
    "arm64": "aarch64-manylinux_2_36",
}
_LOADERS: Final = {
    "x86_64": ("amd64", "lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu"),
    "aarch64": ("arm64", "lib/ld-linux-aarch64.so.1", "usr/lib/aarch64-linux-gnu"),
}
# Thousands of models that nothing here imports: compiled they would be a third of the image.
_NEVER_LOADED: Final = r"/kubernetes/(aio/)?client/(models|api)/[^_]"
_SCRIPT: Final = """\
#!/usr/bin/python3.11
import sys

from {module} import {function}

sys.exit({function}())
"""
# Written by the installer about this machine: where a file came from, and when.
_TRACES: Final = ("direct_url.json", "uv_cache.json", "uv_build.json", "REQUESTED")


def install(root: Path, architecture: str, what: Sequence[str | Path], cache: Path) -> None:
    """Install wheels for an architecture; ``what`` is uv's: a wheel, or options that name a lock.

    uv checks hashes when it downloads, and not when it takes an unpacked wheel from its cache. So
    ``cache`` is a folder that only this release uses, and not this machine's.

    Raises:
        CommandFailedError: one can't be downloaded, is not the locked one or has no wheel for the
            platform. A retry helps when it was the network.
    """
    packages_folder = root / PACKAGES_FOLDER
    packages_folder.mkdir(parents=True, exist_ok=True)
    command: list[str | Path] = [sys.executable, "-m", "uv", "pip", "install", "--quiet"]
    command += ["--no-deps", "--only-binary", ":all:", "--link-mode", "copy"]
    command += ["--cache-dir", cache]
    command += ["--python", sys.executable, "--python-version", PYTHON]
    command += ["--python-platform", _PLATFORMS[architecture], "--target", packages_folder, *what]
    foreground.run_or_raise(command, f"installing Python packages for {architecture} failed")
    shutil.rmtree(
        packages_folder / "bin", ignore_errors=True
    )  # scripts that name this machine's Python
    (packages_folder / ".lock").unlink(missing_ok=True)
    for information in packages_folder.glob("*.dist-info"):
        _forget(information)


def _forget(information: Path) -> None:
    """Remove what differs from machine to machine from a package's metadata."""
    for name in _TRACES:
        (information / name).unlink(missing_ok=True)
    record = information / "RECORD"
    with record.open(newline="") as file:
        rows = [row for row in csv.reader(file) if is_recorded(row[0])]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(sorted(rows))
    record.write_text(text.getvalue())


def is_recorded(path: str) -> bool:
    """Return whether a file of a RECORD is in the image as the wheel has it."""
    in_scripts = path.startswith(("bin/", "../"))
    return not in_scripts and Path(path).name not in _TRACES


def write_scripts(root: Path, package: str) -> None:
    """Write the commands of an installed package to ``usr/local/bin``."""
    (information,) = (root / PACKAGES_FOLDER).glob(f"{package.replace('-', '_')}-*.dist-info")
    parser = configparser.ConfigParser(delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # case matters
    parser.read(information / "entry_points.txt")
    folder = root / "usr/local/bin"
    folder.mkdir(parents=True, exist_ok=True)
    for name, place in parser["console_scripts"].items():
        module, _, function = place.partition(":")
        (folder / name).write_text(_SCRIPT.format(module=module, function=function))
        (folder / name).chmod(0o755)


def compile_all(folders: Sequence[Path], root: Path, python: Path) -> None:
    """Compile the Python files of ``folders`` below ``root`` to bytecode.

    A container can't write it. It is the same for all architectures, so the image's own
    interpreter in ``python``, the root of this machine's architecture, compiles it for each: that
    of another one could differ. Its files are run where they are, by their own loader, without a
    container.

    Raises:
        CommandFailedError: a file is no Python of this version.
    """
    _, loader, libraries = _LOADERS[platform.machine()]
    command: list[str | Path] = [python / loader, "--library-path", python / libraries]
    command += [python / "usr/bin/python3.11", "-P", "-s", "-S", "-m", "compileall", "-q", "-f"]
    command += ["--invalidation-mode", "unchecked-hash", "-x", _NEVER_LOADED]
    command += ["-s", str(root), "-p", "/", *folders]
    environment = {"PYTHONHOME": str(python / "usr"), "PYTHONHASHSEED": "0"}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"  # of its own modules, which are compiled, too
    result = foreground.run(command, environment=environment)
    if result.returncode:
        raise CommandFailedError(f"compileall failed:\n{(result.stdout + result.stderr)[-2000:]}")


def builder() -> str:
    """Return this machine's architecture, whose image has the interpreter that compiles.

    Raises:
        ReleaseError: no image is built for it.
    """
    if platform.machine() not in _LOADERS:
        raise ReleaseError(
            f"this machine is a {platform.machine()}: build releases on {' or '.join(_LOADERS)}"
        )
    return _LOADERS[platform.machine()][0]
