import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from localcluster.build import toolchain
from localcluster.processes import locks
from localcluster.progress import silent


def test_concurrent_calls_for_a_folder_make_it_once(tmp_path: Path) -> None:
    targets: list[Path] = []
    barrier = threading.Barrier(4)

    def make(target: Path) -> None:
        targets.append(target)
        time.sleep(0.2)
        (target / "program").touch()

    def build() -> Path:
        barrier.wait()
        return locks.build_once(tmp_path / "ollama-0.17.4-abc", make)

    with ThreadPoolExecutor() as pool:
        futures = [pool.submit(build) for _ in range(4)]
        folders = {future.result() for future in futures}
    assert folders == {tmp_path / "ollama-0.17.4-abc"}
    assert len(targets) == 1
    assert (folders.pop() / "program").exists()


def test_versions_with_dots_have_separate_folders(tmp_path: Path) -> None:
    names: list[str] = []
    for name in ("ollama-0.17.4-abc", "ollama-0.17.4-def", "ollama-0.17.5-abc"):
        locks.build_once(tmp_path / name, lambda target: names.append(target.name))
    assert len(set(names)) == 3


def test_an_interrupted_build_leaves_nothing_and_can_be_repeated(tmp_path: Path) -> None:
    def fail(target: Path) -> None:
        (target / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        locks.build_once(tmp_path / "thing", fail)
    assert [*tmp_path.glob("thing*")] == []
    assert [*locks.build_once(tmp_path / "thing", lambda _: None).iterdir()] == []


def test_threads_that_lack_go_install_it_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Kubernetes and Ollama are compiled in parallel, and both need it on a new machine."""
    monkeypatch.setenv("LOCALCLUSTER_CACHE", str(tmp_path))
    monkeypatch.setattr(toolchain, "_version", lambda _: None)
    installed: list[Path] = []

    def install(target: Path) -> None:
        installed.append(target)
        time.sleep(0.2)
        (target / "bin").mkdir()
        (target / "bin" / "go").touch()

    monkeypatch.setattr(toolchain, "_install", install)
    with ThreadPoolExecutor() as pool:
        futures = [pool.submit(toolchain.ensure, silent) for _ in range(3)]
        toolchains = [future.result() for future in futures]
    assert len(installed) == 1
    assert all(result.go and result.go.exists() for result in toolchains)
