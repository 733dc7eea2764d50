"""Check compiled files without running them: their machine, and that no library is missing."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localcluster.errors import CommandFailedError
from localcluster.processes import foreground
from release.errors import ReleaseError

_MAGIC: Final = b"\x7fELF"
_MACHINES: Final = {"amd64": "Advanced Micro Devices X86-64", "arm64": "AArch64"}


@dataclass(frozen=True)
class Compiled:
    """A program or library."""

    file: str
    machine: str
    needs: tuple[str, ...]
    """Names of the libraries that it is linked with."""


def check(roots: Sequence[Path], architecture: str) -> int:
    """Check all compiled files of an image's layers, and return how many there are.

    Raises:
        ReleaseError: one is of another machine, or needs a library that is not there.
    """
    files = [path for root in roots for path in sorted(root.rglob("*")) if _is_compiled(path)]
    if not files:
        raise ReleaseError(f"the image for {architecture} has no compiled file: it can't run")
    present = {path.name for root in roots for path in root.rglob("*.so*")}
    for compiled in read(files):
        if compiled.machine != _MACHINES[architecture]:
            raise ReleaseError(
                f"{compiled.file} is for {compiled.machine}, and the image for {architecture}"
            )
        if missing := sorted({*compiled.needs} - present):
            raise ReleaseError(
                f"{compiled.file} needs {', '.join(missing)}: add the Debian package that has it "
                "to requirements/debian.toml, or leave the file out"
            )
    return len(files)


def read(files: list[Path]) -> Iterator[Compiled]:
    """Read the heads of compiled files."""
    # With one file, readelf names none.
    result = foreground.run(["readelf", "--wide", "--file-header", "--dynamic", *files, files[0]])
    if result.returncode:
        raise CommandFailedError(f"readelf failed:\n{result.stderr[-2000:]}")
    return parse(result.stdout)


def parse(output: str) -> Iterator[Compiled]:
    """Return what readelf says of several files."""
    for part in re.split(r"^File: ", output, flags=re.MULTILINE)[1:]:
        file, _, text = part.partition("\n")
        (machine,) = re.findall(r"^ *Machine: +(.+)$", text, re.MULTILINE)
        yield Compiled(file, machine, tuple(re.findall(r"\(NEEDED\).*\[(.+)\]", text)))


def _is_compiled(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC
