"""Modules are fetched over a network that loses packets."""

from pathlib import Path

import pytest

from localcluster.build import toolchain
from localcluster.build.toolchain import Toolchain, fetch
from localcluster.errors import CommandFailedError


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "_PAUSES_SECONDS", (0.01, 0.01))


def go(folder: Path, failures: int) -> Toolchain:
    """Return a toolchain whose first requests fail."""
    program = folder / "go"
    program.write_text(
        "#!/bin/sh\n"
        f"echo request >> {folder}/requests\n"
        f"test $(wc -l < {folder}/requests) -gt {failures} && echo one two && exit\n"
        "echo 'downloading' >&2; echo 'lookup failed: i/o timeout' >&2; exit 1\n"
    )
    program.chmod(0o755)
    return Toolchain("1.26.0", program)


def test_a_failed_try_is_reported_and_repeated(tmp_path: Path) -> None:
    messages: list[str] = []
    output = fetch(
        go(tmp_path, 2), ("list",), tmp_path, {}, lambda _, message: messages.append(message)
    )
    assert output == "one two\n"
    assert len(messages) == 2
    assert all("lookup failed: i/o timeout" in message for message in messages)


def test_the_last_failed_try_is_an_error_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(CommandFailedError, match="lookup failed: i/o timeout"):
        fetch(go(tmp_path, 9), ("list",), tmp_path, {}, lambda *_: None)
    assert len((tmp_path / "requests").read_text().split()) == 3
