"""The pure parts of building the images."""

import sys
from pathlib import Path

import pytest

from localcluster.errors import CommandFailedError
from localcluster.images.base import sources
from localcluster.images.ollama import machine_flags
from localcluster.images.run import follow


def test_only_debian_s_own_archives_are_read() -> None:
    listed = "\n".join(
        [
            "http://mirror.invalid/debian/ bookworm main",
            "http://mirror.invalid/debian/ bookworm contrib",
            "http://mirror.invalid/debian-security/ bookworm-security main",
            "https://other.invalid/ nodistro main",
            "http://mirror.invalid/debian/ bookworm main",
            "",
        ]
    )
    assert sources(listed) == (
        "deb http://mirror.invalid/debian/ bookworm main",
        "deb http://mirror.invalid/debian-security/ bookworm-security main",
    )


@pytest.mark.parametrize(
    ("cpuinfo", "count"),
    [
        ("flags\t\t: fpu avx2 fma f16c bmi2 sse\n", 4),
        ("flags\t\t: fpu avx2 fma sse\n", 0),
        ("Features\t: fp asimd\n", 0),
    ],
    ids=["all", "some", "another-architecture"],
)
def test_fast_instructions_are_used_together_or_not_at_all(cpuinfo: str, count: int) -> None:
    assert len(machine_flags(cpuinfo)) == count


def test_a_program_that_fails_says_why(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('no disk'); raise SystemExit(3)"]
    with pytest.raises(CommandFailedError, match="no disk"):
        follow(command, log=tmp_path / "log", report=lambda _: None)
