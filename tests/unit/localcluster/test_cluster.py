from pathlib import Path

import pytest

from localcluster import cluster, state
from localcluster.node import cleanup, components, firewall, sysctl
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
