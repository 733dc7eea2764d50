from pathlib import Path

import pytest

from localcluster import cluster, state
from localcluster.node import cleanup, components, firewall, sysctl
from localcluster.state import FULL, Cluster


@pytest.fixture
def removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Which of what nodes share was removed."""
    monkeypatch.setenv("LOCALCLUSTER_STATE", str(tmp_path))
    found: list[str] = []
    for module, name in (
        (cleanup, "remove_networks"),
        (components, "remove_bridge"),
        (firewall, "remove_since"),
        (sysctl, "restore"),
    ):
        monkeypatch.setattr(module, name, lambda *_, name=name: found.append(name))
    monkeypatch.setattr(cleanup, "end_pods", lambda _: None)
    monkeypatch.setattr(components, "unmount", lambda _: None)
    monkeypatch.setattr(cluster, "IMAGE_STORE", tmp_path / "store")
    return found


def dead_node(name: str) -> Cluster:
    found = Cluster(name, FULL, server="", token="")
    state.save(found)
    return found


def test_a_dead_nodes_record_is_cleaned_up_with_all_that_nodes_share(removed: list[str]) -> None:
    dead_node("old")
    assert cluster.down("old", lambda *_: None)
    assert removed == ["remove_networks", "remove_bridge", "remove_since", "restore"]


def test_a_dead_nodes_record_takes_nothing_from_the_node_that_runs_now(
    removed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dead_node("old")
    dead_node("demo")
    monkeypatch.setattr(Cluster, "any_alive", lambda each: each.name == "demo")
    assert cluster.down("old", lambda *_: None)
    assert removed == []
