"""Modules are loaded over a network that loses packets."""

from pathlib import Path

import pytest

from localcluster.build import toolchain
from localcluster.build.toolchain import Toolchain, fetch
from localcluster.errors import CommandFailedError


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "_PAUSES_SECONDS", (0.01, 0.01))


def go(folder: Path, fails: int) -> Toolchain:
    """One that cannot reach its modules so many times."""
    program = folder / "go"
    program.write_text(
        "#!/bin/sh\n"
        f"echo asked >> {folder}/asked\n"
        f"test $(wc -l < {folder}/asked) -gt {fails} && echo one two && exit\n"
        "echo 'downloading' >&2; echo 'lookup failed: i/o timeout' >&2; exit 1\n"
    )
    program.chmod(0o755)
    return Toolchain("1.26.0", program)


def test_a_lost_packet_is_told_and_costs_another_try(tmp_path: Path) -> None:
    told: list[str] = []
    found = fetch(go(tmp_path, 2), ("list",), tmp_path, {}, lambda _, said: told.append(said))
    assert found == "one two\n"
    assert len(told) == 2
    assert all("lookup failed: i/o timeout" in each for each in told)


def test_without_a_network_the_reason_is_given_in_the_end(tmp_path: Path) -> None:
    with pytest.raises(CommandFailedError, match="lookup failed: i/o timeout"):
        fetch(go(tmp_path, 9), ("list",), tmp_path, {}, lambda *_: None)
    assert len((tmp_path / "asked").read_text().split()) == 3
