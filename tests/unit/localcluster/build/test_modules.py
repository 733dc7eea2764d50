"""Files of Go modules."""

from pathlib import Path

import pytest

from localcluster.build import modules
from localcluster.build.toolchain import Toolchain


def test_the_folder_is_where_go_has_loaded_the_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "go"
    program.write_text(
        f'#!/bin/sh\npwd > {tmp_path}/module\necho \'{{"Path": "\'$4\'", "Dir": "/loaded"}}\'\n'
    )
    program.chmod(0o755)
    (tmp_path / "csi").mkdir()
    monkeypatch.setattr(modules, "GO_MODULES", tmp_path)
    folder = modules.folder("csi", "example.org/m", Toolchain("1.26.0", program), lambda *_: None)
    assert folder == Path("/loaded")
    assert (tmp_path / "module").read_text().strip() == str(tmp_path / "csi")
