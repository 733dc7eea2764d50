"""Use programs that the machine has, such as those of envtest or a distribution.

They are in a folder that a variable names. They are used if their versions fit; otherwise the
reason is reported, and they are compiled.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from localcluster.paths import provided_dir
from localcluster.processes import foreground
from localcluster.progress import Report


@dataclass(frozen=True)
class Program:
    """A program that may be installed, and how to ask for its version."""

    name: str
    """Its file name."""
    release: str
    """The first parts of its version: ``1.36`` fits 1.36.3, but not 1.3."""
    arguments: tuple[str, ...] = ("--version",)
    """The arguments with which it writes its version."""
    version_prefix: str = ""
    """The text before the version, if the program writes other versions, too."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables for this call."""


def provided_folder(programs: tuple[Program, ...], report: Report) -> Path | None:
    """Return the folder with all of ``programs`` in versions that fit, or None.

    Nothing is reported if no variable names a folder.
    """
    folder = provided_dir()
    if folder is None:
        return None
    for program in programs:
        if problem := _problem(folder, program):
            report(program.name, f"not used from {folder}: {problem}")
            return None
    report(programs[0].name, f"used from {folder}, not compiled")
    return folder


def _problem(folder: Path, program: Program) -> str:
    """Return why a program of the folder cannot be used, or ""."""
    path = folder / program.name
    if not path.is_file():
        return "it is not there"
    try:
        result = foreground.run(
            [path, *program.arguments], environment={**os.environ, **program.environment}
        )
    except OSError as error:
        return f"it does not run: {error.strerror}"
    version = re.search(
        rf"{re.escape(program.version_prefix)}(\d+(?:\.\d+)+)", f"{result.stdout}{result.stderr}"
    )
    if version is None:
        return f"it says no version when it is called with {' '.join(program.arguments)}"
    release = program.release.split(".")
    if version[1].split(".")[: len(release)] != release:
        return f"it is {version[1]}, and {program.release} is needed"
    return ""
