"""Compile a package of a Go module, and report its progress."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from localcluster.build import toolchain
from localcluster.build.toolchain import Toolchain
from localcluster.errors import CommandFailedError, last_lines
from localcluster.processes import foreground
from localcluster.progress import Report


@dataclass(frozen=True)
class GoPackage:
    """A main package, and how it is compiled."""

    module: Path
    """The folder of its module."""
    name: str
    """Its import path, or its path in the module's folder."""
    ldflags: str
    """Flags of the linker."""
    environment: Mapping[str, str]
    """Variables besides the toolchain's."""


def compile_package(go: Toolchain, package: GoPackage, program: Path, report: Report) -> None:
    """Compile a package to the file ``program``; the compiler's log is ``build.log`` beside it.

    Raises:
        CommandFailedError: the build failed; the message holds its last lines. A retry helps when
            it was the network.
    """
    log = program.with_name("build.log")
    report(program.name, "fetching modules")
    environment = {**toolchain.environment(go), **package.environment}
    arguments = ("list", "-deps", package.name)  # the first time this fetches its modules
    dependencies = toolchain.fetch(go, arguments, package.module, environment, report).split()
    report(program.name, f"compiling up to {len(dependencies)} packages")
    command = [str(go.go), "build", "-v", "-trimpath", "-ldflags", package.ldflags]
    command += ["-o", str(program), package.name]

    def report_progress() -> None:
        report(program.name, progress(log.read_text(errors="replace"), dependencies))

    with log.open("wb") as out:
        exit_code = foreground.run_with_progress(
            command, out, report_progress, cwd=package.module, environment=environment
        )
    if exit_code:
        raise CommandFailedError(f"building {program.name} failed:\n{last_lines(log)}")


def progress(log: str, packages: Sequence[str]) -> str:
    """Return how many of these packages the compiler's log names; the program's own is the last.

    The log has a line for each package that the compiler begins, but none for those of an earlier
    build. It also has downloads and the warnings of a C compiler.
    """
    logged = set(packages).intersection(log.splitlines())
    if packages[-1] in logged:
        return "linking"
    return f"compiled {len(logged)} of up to {len(packages)} packages"
