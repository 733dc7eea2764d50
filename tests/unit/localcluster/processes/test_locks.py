import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from localcluster.build import toolchain
from localcluster.processes import locks
from localcluster.progress import silent


def test_threads_that_want_the_same_folder_make_it_once(tmp_path: Path) -> None:
    made: list[Path] = []
    at_once = threading.Barrier(4)

    def make(target: Path) -> None:
        made.append(target)
        time.sleep(0.2)
        (target / "program").touch()

    def want() -> Path:
        at_once.wait()
        return locks.build_once(tmp_path / "ollama-0.17.4-abc", make)

    with ThreadPoolExecutor() as pool:
        found = {each.result() for each in [pool.submit(want) for _ in range(4)]}
    assert found == {tmp_path / "ollama-0.17.4-abc"}
    assert len(made) == 1
    assert (found.pop() / "program").exists()


def test_versions_with_dots_are_made_in_folders_of_their_own(tmp_path: Path) -> None:
    made: list[str] = []
    for name in ("ollama-0.17.4-abc", "ollama-0.17.4-def", "ollama-0.17.5-abc"):
        locks.build_once(tmp_path / name, lambda target: made.append(target.name))
    assert len(set(made)) == 3


def test_what_was_interrupted_leaves_nothing_and_is_begun_again(tmp_path: Path) -> None:
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
    """Kubernetes and Ollama are compiled side by side, and on a fresh machine both lack it."""
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
        wanted = [pool.submit(toolchain.ensure, silent) for _ in range(3)]
        found = [each.result() for each in wanted]
    assert len(installed) == 1
    assert all(each.go and each.go.exists() for each in found)
