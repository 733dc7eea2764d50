import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcluster import cluster, preflight, state
from localcluster.build import binaries
from localcluster.build.images.oci import Image
from localcluster.errors import CommandFailedError
from localcluster.node import cleanup, components, firewall, sysctl
from localcluster.processes import foreground
from localcluster.progress import silent
from localcluster.state import FULL, Cluster


@pytest.fixture
def removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Collect the functions that remove what nodes share."""
    monkeypatch.setenv("LOCALCLUSTER_STATE", str(tmp_path))
    calls: list[str] = []
    for module, name in (
        (cleanup, "remove_networks"),
        (components, "remove_bridge"),
        (firewall, "remove_since"),
        (sysctl, "restore"),
    ):
        monkeypatch.setattr(module, name, lambda *_, name=name: calls.append(name))
    monkeypatch.setattr(cleanup, "end_pods", lambda _: None)
    monkeypatch.setattr(components, "unmount", lambda _: None)
    monkeypatch.setattr(cluster, "IMAGE_STORE", tmp_path / "store")
    return calls


def save_dead_node(name: str) -> None:
    state.save(Cluster(name, FULL, server="", token=""))


def test_down_of_a_dead_node_removes_what_nodes_share(removed: list[str]) -> None:
    save_dead_node("old")
    assert cluster.down("old", lambda *_: None)
    assert removed == ["remove_networks", "remove_bridge", "remove_since", "restore"]


def test_down_of_a_dead_node_removes_nothing_of_a_running_node(
    removed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_dead_node("old")
    save_dead_node("demo")
    monkeypatch.setattr(Cluster, "has_live_component", lambda record: record.name == "demo")
    assert cluster.down("old", lambda *_: None)
    assert removed == []


class Steps:
    """The steps of a node's start so far."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._changed = threading.Condition()

    def add(self, step: str) -> None:
        with self._changed:
            self.names.append(step)
            self._changed.notify_all()

    def wait(self, step: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: step in self.names, timeout=20), step


@pytest.fixture
def steps(removed: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Steps:
    """Collect the steps of an `up --full` that starts nothing."""
    assert removed == []
    steps = Steps()
    for module, name in (
        (preflight, "check"),
        (firewall, "remember"),
        (sysctl, "remember"),
        (components, "add_bridge"),
        (components, "await_containerd"),
        (cluster, "write_files"),
        (cluster, "kubectl"),
        (cluster, "await_services"),
    ):
        monkeypatch.setattr(module, name, lambda *_, **__: None)
    monkeypatch.setattr(binaries, "ensure_kubernetes", lambda *_, **__: tmp_path)
    monkeypatch.setattr(binaries, "ensure", lambda *_: tmp_path)
    monkeypatch.setattr(components, "services", lambda *_: {"containerd": []})
    monkeypatch.setattr(components, "commands", lambda *_: {"kubelet": []})
    monkeypatch.setattr(components, "registry", lambda *_: [])
    monkeypatch.setattr(components, "images", lambda _: {})
    monkeypatch.setattr(components, "load_image", lambda *_: steps.add("image"))

    def start(record: Cluster, component: str, command: object) -> Cluster:
        assert command == []
        steps.add(component)
        return record

    def start_control_plane(name: str, *_: object, **__: object) -> Cluster:
        steps.add("control plane")
        return Cluster(name, FULL, server="", token="")

    monkeypatch.setattr(cluster, "_start", start)
    monkeypatch.setattr(cluster, "start_control_plane", start_control_plane)
    monkeypatch.setattr(cluster, "ensure_images", lambda _: ())
    monkeypatch.setattr(cluster, "ensure_models", lambda _: tmp_path)
    return steps


def test_only_the_steps_that_need_images_or_models_wait_for_them(
    steps: Steps, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def make_images(_: object) -> tuple[Image, ...]:
        steps.wait("containerd")
        return (Image("docker.io/ollama/ollama:1", tmp_path, "sha256:1"),)

    def make_models(_: object) -> Path:
        steps.wait("kubelet")
        steps.add("models")
        return tmp_path

    monkeypatch.setattr(cluster, "ensure_images", make_images)
    monkeypatch.setattr(cluster, "ensure_models", make_models)
    assert cluster.up("demo", silent, full=True).complete
    assert steps.names == ["control plane", "containerd", "image", "kubelet", "models", "registry"]


@pytest.mark.parametrize("function", ["ensure_images", "ensure_models"])
def test_a_failed_build_ends_the_start_and_down_removes_the_rest(
    steps: Steps, removed: list[str], monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    def fail(_: object) -> None:
        raise CommandFailedError("no space left")

    monkeypatch.setattr(cluster, function, fail)
    with pytest.raises(CommandFailedError, match="no space left"):
        cluster.up("demo", silent, full=True)
    assert "control plane" in steps.names
    assert cluster.down("demo", silent)
    assert "remove_bridge" in removed


@pytest.fixture
def interruptible(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Handle signals as the command line does."""
    monkeypatch.setattr(foreground._Interruption, "came", False)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    foreground.terminate_with_parent()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("interruptible")
def test_an_interruption_ends_the_builds_and_down_removes_the_rest(
    steps: Steps, removed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main = threading.main_thread().ident
    assert main

    def make_images(_: object) -> None:
        steps.wait("containerd")
        interruption = threading.Timer(0.5, signal.pthread_kill, (main, signal.SIGINT))
        interruption.start()
        try:
            foreground.pause(300)
        finally:
            steps.add("ended")

    monkeypatch.setattr(cluster, "ensure_images", make_images)
    with pytest.raises(KeyboardInterrupt):
        cluster.up("demo", silent, full=True)
    assert steps.names == ["control plane", "containerd", "ended"]
    assert cluster.down("demo", silent)
    assert "remove_bridge" in removed
