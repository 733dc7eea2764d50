"""Python packages below a folder."""

import hashlib
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from localcluster.errors import CommandFailedError
from localcluster.processes import foreground
from release import python_packages
from release.errors import ReleaseError
from release.python_packages import (
    PACKAGES_FOLDER,
    builder,
    compile_all,
    install,
    is_recorded,
    write_scripts,
)


@pytest.mark.parametrize(
    ("path", "is_there"),
    [
        ("thing/__init__.py", True),
        ("thing-1.dist-info/METADATA", True),
        ("bin/thing", False),
        ("../../../bin/thing", False),
        ("thing-1.dist-info/direct_url.json", False),
        ("thing-1.dist-info/uv_cache.json", False),
    ],
)
def test_scripts_and_traces_of_this_machine_are_not_recorded(path: str, is_there: bool) -> None:
    assert is_recorded(path) is is_there


def wheel(folder: Path) -> Path:
    """Build a package with a command, from a folder whose path must not get into the image."""
    source = folder / "source"
    (source / "thing").mkdir(parents=True)
    (source / "thing" / "__init__.py").write_text("def main():\n    return 'said by thing'\n")
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "a-thing"\nversion = "1"\nscripts = {thing = "thing:main"}\n'
        '[tool.hatch.build.targets.wheel]\npackages = ["thing"]\n'
    )
    command = [sys.executable, "-m", "uv", "build", "--quiet", "--offline", "--wheel"]
    command += ["--no-build-isolation", "--python", sys.executable, "--out-dir", str(folder)]
    subprocess.run([*command, str(source)], check=True)
    (built,) = folder.glob("*.whl")
    return built


def test_an_installed_package_has_its_commands_and_no_trace_of_this_machine(tmp_path: Path) -> None:
    root = tmp_path / "root"
    install(root, "arm64", [wheel(tmp_path)], tmp_path / "cache")
    write_scripts(root, "a-thing")
    script = root / "usr/local/bin/thing"
    assert os.access(script, os.X_OK)
    ran = subprocess.run(
        [sys.executable, script],
        env={"PYTHONPATH": str(root / PACKAGES_FOLDER)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stderr == "said by thing\n"  # sys.exit prints what is no number
    files = [path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert len(files) > 4
    assert not [path for path in files if str(tmp_path).encode() in path.read_bytes()]
    assert not (root / PACKAGES_FOLDER / "bin").exists()


def test_a_package_that_was_changed_in_this_machines_cache_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uv checks a wheel's hash before it is unpacked into the cache, and not afterwards."""
    package, cache = wheel(tmp_path), tmp_path / "cache-of-the-machine"
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    (tmp_path / "lock.txt").write_text(f"a-thing==1 --hash=sha256:{digest}\n")
    locked = ["--offline", "--no-index", "--find-links", str(tmp_path), "--require-hashes"]
    locked += ["-r", str(tmp_path / "lock.txt")]
    monkeypatch.setenv("UV_CACHE_DIR", str(cache))
    install(tmp_path / "first", "amd64", locked, cache)
    (unpacked,) = cache.rglob("thing/__init__.py")
    unpacked.write_text("changed")
    install(tmp_path / "second", "amd64", locked, tmp_path / "cache-of-the-release")
    installed = tmp_path / "second" / PACKAGES_FOLDER / "thing" / "__init__.py"
    assert "said by thing" in installed.read_text()


def test_what_there_is_no_wheel_of_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CommandFailedError, match="for arm64 failed"):
        install(
            tmp_path, "arm64", ["--offline", "--no-index", "no-such-package"], tmp_path / "cache"
        )


def test_an_architecture_without_an_image_builds_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(ReleaseError, match="build releases on x86_64 or aarch64"):
        builder()


def test_a_file_that_is_no_python_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With this machine's interpreter in the place of the image's."""
    python = tmp_path / "python"
    for path, target in (
        ("loader", f'#!/bin/sh\nshift 3\nexec {sys.executable} "$@"\n'),
        ("usr/bin/python3.11", ""),
    ):
        (python / path).parent.mkdir(parents=True, exist_ok=True)
        (python / path).write_text(target)
        (python / path).chmod(0o755)
    monkeypatch.setattr(python_packages, "_LOADERS", {"x86_64": ("amd64", "loader", "lib")})
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(foreground, "run", run_here)
    root = tmp_path / "root"
    (root / "good").mkdir(parents=True)
    (root / "good" / "a.py").write_text("A = 1\n")
    compile_all([root / "good"], root, python)
    (compiled,) = (root / "good" / "__pycache__").iterdir()
    assert b"/good/a.py" in compiled.read_bytes()
    assert str(tmp_path).encode() not in compiled.read_bytes()
    (root / "good" / "b.py").write_text("def\n")
    with pytest.raises(CommandFailedError, match="compileall failed"):
        compile_all([root / "good"], root, python)


def run_here(command: list[str | Path], **_: object) -> "subprocess.CompletedProcess[str]":
    """Run a program without the variable that says where the image's Python is."""
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False
    )
