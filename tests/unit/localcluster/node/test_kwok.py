"""Simulated nodes: what KWOK is told."""

from localcluster.node import kwok


def test_all_pods_have_the_one_address_that_something_may_answer_at() -> None:
    stages = {stage["metadata"]["name"]: stage["spec"] for stage in kwok.stages("198.18.0.7")}
    status = stages["pod-ready"]["next"]["statusTemplate"]
    assert "podIP: 198.18.0.7\n" in status
    assert stages["pod-delete"]["next"] == {"delete": True}


def test_nodes_have_room_for_everything() -> None:
    nodes = kwok.nodes()
    assert len({node["metadata"]["name"] for node in nodes}) == kwok.NODES
    assert all(node["status"]["allocatable"] == node["status"]["capacity"] for node in nodes)
