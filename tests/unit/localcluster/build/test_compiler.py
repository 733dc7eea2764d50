"""How far a build is, by what the compiler writes."""

from pathlib import Path

import pytest

from localcluster.build.compiler import compile_package, how_far
from localcluster.build.toolchain import Toolchain
from localcluster.errors import CommandFailedError

PACKAGES = ["errors", "internal/cpu", "example.org/b", "example.org/a"]


def test_only_packages_are_counted() -> None:
    log = (
        "go: downloading example.org/b v1.2.3\n"
        "internal/cpu\n"
        "# example.org/b\n"
        "fast.c:12:3: warning: unused variable\n"
        "   12 |   int x;\n"
        "example.org/b\n"
    )
    assert how_far(log, PACKAGES) == "compiled 2 of up to 4 packages"


def test_a_line_that_is_not_complete_yet_is_not_counted() -> None:
    assert how_far("errors\nexample.or", PACKAGES) == "compiled 1 of up to 4 packages"


def test_what_comes_after_the_programs_own_package_is_linking() -> None:
    assert how_far("errors\nexample.org/a\n", PACKAGES) == "linking"


def go(folder: Path, build: str) -> Toolchain:
    """One that lists two packages, and builds by these words of a shell."""
    program = folder / "go"
    program.write_text(f"#!/bin/sh\ntest $1 = list && echo errors main && exit\n{build}\n")
    program.chmod(0o755)
    return Toolchain("1.26.0", program)


def compile_main(folder: Path, build: str) -> list[str]:
    said: list[str] = []
    compile_package(
        go(folder, build),
        ".",
        folder,
        program=folder / "tool",
        ldflags="-s",
        environment={"PATH": "/usr/bin:/bin"},
        report=lambda step, message: said.append(f"{step}: {message}"),
    )
    return said


def test_the_number_of_packages_is_said_from_the_start(tmp_path: Path) -> None:
    said = compile_main(tmp_path, f"echo made > {tmp_path}/tool")
    assert said == ["tool: fetching modules", "tool: compiling up to 2 packages"]
    assert (tmp_path / "tool").read_text() == "made\n"


def test_a_build_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(CommandFailedError, match=r"(?s)building tool failed.*no disk"):
        compile_main(tmp_path, "echo no disk; exit 1")
