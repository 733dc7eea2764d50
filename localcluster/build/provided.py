"""Programs that the machine has already, as envtest or a distribution leaves them.

A folder that a variable names is looked into before anything is compiled. What is there is used
once its version fits; what is missing or does not fit is compiled, and the reason is reported.
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
    """A program that may be there, and how it says its version.

    ``release`` is how the version must begin, part by part: ``1.36`` fits 1.36.3, and not 1.3.
    ``before`` is what comes before the version in what the program writes, where it writes others,
    and ``environment`` the variables that it is asked with.
    """

    name: str
    release: str
    arguments: tuple[str, ...] = ("--version",)
    before: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


def provided(programs: tuple[Program, ...], report: Report) -> Path | None:
    """The folder in which all of ``programs`` are, with versions that fit; None where one is not.

    Without a folder that a variable names, nothing is reported.
    """
    folder = provided_dir()
    if folder is None:
        return None
    for program in programs:
        if problem := misfit(folder, program):
            report(program.name, f"not used from {folder}: {problem}")
            return None
    report(programs[0].name, f"used from {folder}, not compiled")
    return folder


def misfit(folder: Path, program: Program) -> str:
    """Why a folder's program cannot be used; empty when it can."""
    path = folder / program.name
    if not path.is_file():
        return "it is not there"
    try:
        ran = foreground.run(
            [path, *program.arguments], environment={**os.environ, **program.environment}
        )
    except OSError as error:
        return f"it does not run: {error.strerror}"
    version = re.search(rf"{re.escape(program.before)}(\d+(?:\.\d+)+)", f"{ran.stdout}{ran.stderr}")
    if version is None:
        return f"it says no version when it is called with {' '.join(program.arguments)}"
    wanted = program.release.split(".")
    if version[1].split(".")[: len(wanted)] != wanted:
        return f"it is {version[1]}, and {program.release} is needed"
    return ""
