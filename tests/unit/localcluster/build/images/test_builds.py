"""The pure parts of building the images."""

import sys
from pathlib import Path

import pytest

from localcluster.build.images import programs
from localcluster.build.images.base import sources
from localcluster.build.images.engine import instruction_options, progress
from localcluster.build.images.run import run_with_log
from localcluster.errors import CommandFailedError
from localcluster.progress import silent


def test_only_debians_own_archives_are_used() -> None:
    index_targets = "\n".join(
        [
            "http://mirror.invalid/debian/ bookworm main",
            "http://mirror.invalid/debian/ bookworm contrib",
            "http://mirror.invalid/debian-security/ bookworm-security main",
            "https://other.invalid/ nodistro main",
            "http://mirror.invalid/debian/ bookworm main",
            "",
        ]
    )
    assert sources(index_targets) == (
        "deb http://mirror.invalid/debian/ bookworm main",
        "deb http://mirror.invalid/debian-security/ bookworm-security main",
    )


@pytest.mark.parametrize(
    ("cpuinfo", "state"),
    [
        ("flags\t\t: fpu avx2 fma f16c bmi2 sse\n", "ON"),
        ("flags\t\t: fpu avx2 fma sse\n", "OFF"),
        ("Features\t: fp asimd\n", "OFF"),
    ],
    ids=["all", "some", "another-architecture"],
)
def test_fast_instructions_are_all_on_or_all_off(cpuinfo: str, state: str) -> None:
    assert instruction_options(cpuinfo) == (
        f"-DGGML_AVX2={state}",
        f"-DGGML_BMI2={state}",
        f"-DGGML_F16C={state}",
        f"-DGGML_FMA={state}",
    )


@pytest.mark.parametrize(
    ("log", "message"),
    [
        ("", "compiling"),
        (
            "[1/343] Building a.o\nwarning: [9/9]\n[12/343] Building b.o\n",
            "compiled 12 of 343 files",
        ),
    ],
    ids=["nothing-yet", "some"],
)
def test_progress_is_the_number_of_compiled_files(log: str, message: str) -> None:
    assert progress(log) == message


def test_a_failed_program_is_an_error_with_its_output(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('no disk'); raise SystemExit(3)"]
    with pytest.raises(CommandFailedError, match="no disk"):
        run_with_log(command, log=tmp_path / "log", on_tick=lambda _: None)


def test_the_pause_program_is_compiled_from_a_source_that_is_there(
    monkeypatch: pytest.MonkeyPatch, cache_folder: Path
) -> None:
    sources: list[Path] = []

    def compile_source(command: list[str], _: str) -> None:
        sources.append(Path(command[-1]))

    monkeypatch.setattr(programs.foreground, "run_or_raise", compile_source)
    image = programs.ensure_pause(silent)
    assert image.name == programs.PAUSE
    assert cache_folder in image.archive.parents
    assert [source.exists() for source in sources] == [True]
