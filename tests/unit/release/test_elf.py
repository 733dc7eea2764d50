"""Checks of compiled files, on this machine's own and on a head that is made up."""

import shutil
import sys
from pathlib import Path

import pytest

from release.elf import check, parse, read
from release.errors import ReleaseError

OUTPUT = """\

File: a/python3.11
ELF Header:
  Machine:                           AArch64
Dynamic section at offset 0x5ddbc8 contains 30 entries:
 0x0000000000000001 (NEEDED)             Shared library: [libm.so.6]
 0x0000000000000001 (NEEDED)             Shared library: [libz.so.1]

File: b/static
ELF Header:
  Machine:                           Advanced Micro Devices X86-64

There is no dynamic section in this file.
"""


def test_readelfs_output_is_read_for_each_file() -> None:
    python, static = parse(OUTPUT)
    assert (python.file, python.machine, python.needs) == (
        *("a/python3.11", "AArch64"),
        ("libm.so.6", "libz.so.1"),
    )
    assert (static.file, static.needs) == ("b/static", ())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    shutil.copy(Path(sys.executable).resolve(), tmp_path / "program")
    (tmp_path / "text").write_text("#!/bin/sh\n")
    (tmp_path / "link").symlink_to("program")
    return tmp_path


def test_a_library_that_is_missing_is_named_with_the_fix(root: Path) -> None:
    with pytest.raises(ReleaseError, match=r"program needs .*libc\.so\.6.*debian\.toml"):
        check([root], "amd64")


def test_libraries_of_any_layer_count_and_links_and_texts_are_no_programs(root: Path) -> None:
    program, *_ = read([root / "program"])
    layer = root / "layer"
    layer.mkdir()
    for name in program.needs:
        (layer / name).touch()
    assert check([root, layer], "amd64") == 1


def test_a_program_of_another_machine_is_refused(root: Path) -> None:
    with pytest.raises(ReleaseError, match="and the image for arm64"):
        check([root], "arm64")


def test_an_image_without_any_program_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="can't run"):
        check([tmp_path], "amd64")
