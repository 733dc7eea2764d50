"""A cache per test, and a Go toolchain that compiles nothing."""

import json
import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("LOCALCLUSTER_CACHE", str(folder))
    return folder


@pytest.fixture
def other_llama_cpp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Install a Go toolchain whose Ollama needs another llama.cpp, and return its build."""
    module = tmp_path / "module"
    module.mkdir()
    (module / "LLAMA_CPP_VERSION").write_text("b1\n")
    go = tmp_path / "go" / "bin" / "go"
    go.parent.mkdir(parents=True)
    (go.parents[1] / "VERSION").write_text("go99.0.0\n")
    download = json.dumps({"Dir": str(module)})
    go.write_text(
        f"#!/bin/sh\ncase $1 in mod) echo '{download}' ;; list) echo main ;; *) exit 1 ;; esac\n"
    )
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{go.parent}{os.pathsep}{os.environ['PATH']}")
    return "b1"
