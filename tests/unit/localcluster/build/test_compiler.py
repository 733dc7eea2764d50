"""Compiling a package, and its progress by the compiler's log."""

from pathlib import Path

import pytest

from localcluster.build.compiler import GoPackage, compile_package, progress
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
    assert progress(log, PACKAGES) == "compiled 2 of up to 4 packages"


def test_a_line_that_is_not_complete_yet_is_not_counted() -> None:
    assert progress("errors\nexample.or", PACKAGES) == "compiled 1 of up to 4 packages"


def test_after_the_programs_own_package_comes_linking() -> None:
    assert progress("errors\nexample.org/a\n", PACKAGES) == "linking"


def go(folder: Path, build: str) -> Toolchain:
    """Return a toolchain that lists two packages, and builds with a line of shell."""
    program = folder / "go"
    program.write_text(f"#!/bin/sh\ntest $1 = list && echo errors main && exit\n{build}\n")
    program.chmod(0o755)
    return Toolchain("1.26.0", program)


def compile_main(folder: Path, build: str) -> list[str]:
    messages: list[str] = []
    compile_package(
        go(folder, build),
        GoPackage(folder, ".", "-s", {"PATH": "/usr/bin:/bin"}),
        folder / "tool",
        lambda step, message: messages.append(f"{step}: {message}"),
    )
    return messages


def test_the_number_of_packages_is_reported_from_the_start(tmp_path: Path) -> None:
    messages = compile_main(tmp_path, f"echo made > {tmp_path}/tool")
    assert messages == ["tool: fetching modules", "tool: compiling up to 2 packages"]
    assert (tmp_path / "tool").read_text() == "made\n"


def test_a_failed_build_is_an_error_with_the_end_of_the_log(tmp_path: Path) -> None:
    with pytest.raises(CommandFailedError, match=r"(?s)building tool failed.*no disk"):
        compile_main(tmp_path, "echo no disk; exit 1")
