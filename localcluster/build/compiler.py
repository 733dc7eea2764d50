"""Compiling a package of a Go module, and saying how far it is."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from localcluster.build import toolchain
from localcluster.build.toolchain import Toolchain
from localcluster.errors import CommandFailedError, last_lines
from localcluster.processes import foreground
from localcluster.progress import Report


def compile_package(
    go: Toolchain,
    package: str,
    module: Path,
    *,
    program: Path,
    ldflags: str,
    environment: Mapping[str, str],
    report: Report,
) -> None:
    """Make ``program`` of a package of the module in the folder ``module``. What the compiler says
    is kept beside it, in ``build.log``.

    Raises:
        CommandFailedError: the build failed; the message holds its last lines. A retry helps when
            it was the network.
    """
    log = program.with_name("build.log")
    report(program.name, "fetching modules")
    listed = ("list", "-deps", package)  # the first time this fetches its modules
    packages = toolchain.fetch(go, listed, module, environment, report).split()
    report(program.name, f"compiling up to {len(packages)} packages")
    command = [str(go.go), "build", "-v", "-trimpath", "-ldflags", ldflags]
    command += ["-o", str(program), package]

    def tell() -> None:
        report(program.name, how_far(log.read_text(errors="replace"), packages))

    with log.open("wb") as out:
        failed = foreground.follow(command, out, tell, cwd=module, environment=environment)
    if failed:
        raise CommandFailedError(f"building {program.name} failed:\n{last_lines(log)}")


def how_far(log: str, packages: Sequence[str]) -> str:
    """What the compiler's log says of these packages, of which the program's own comes last.

    Packages are named one a line as they begin, unless an earlier build has left them; the log also
    holds downloads and the warnings of a C compiler.
    """
    begun = set(packages).intersection(log.splitlines())
    if packages[-1] in begun:
        return "linking"
    return f"compiled {len(begun)} of up to {len(packages)} packages"
