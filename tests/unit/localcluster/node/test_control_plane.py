from pathlib import Path

import pytest

from localcluster.node import control_plane
from localcluster.node.control_plane import is_ok, start_control_plane
from localcluster.processes.background import Process
from localcluster.progress import silent
from localcluster.state import CONTROL_PLANE, Cluster


@pytest.mark.parametrize("text", [None, "", "-----BEGIN CERTIFICATE-----\nMIIB"])
def test_an_api_server_that_is_writing_its_certificate_is_not_ready(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None
) -> None:
    monkeypatch.setenv("LOCALCLUSTER_STATE", str(tmp_path))
    cluster = Cluster("any", CONTROL_PLANE, server="https://127.0.0.1:1", token="")
    cluster.ca_file.parent.mkdir(parents=True)
    if text is not None:
        cluster.ca_file.write_text(text)
    assert not is_ok(cluster, f"{cluster.server}/readyz")


@pytest.mark.parametrize(
    ("without_pods", "controllers"),
    [(False, "*"), (True, "*,-deployment-controller,-statefulset-controller")],
)
def test_a_control_plane_makes_no_pods_where_none_are_wanted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, without_pods: bool, controllers: str
) -> None:
    commands: dict[str, list[str]] = {}

    def start(name: str, command: list[str], *_: object) -> Process:
        commands[name] = command
        return Process(name, 1, 1, "")

    monkeypatch.setenv("LOCALCLUSTER_STATE", str(tmp_path))
    monkeypatch.setattr(control_plane, "start", start)
    monkeypatch.setattr(control_plane, "is_ok", lambda *_: True)
    monkeypatch.setattr(control_plane, "is_alive", lambda _: True)
    start_control_plane("any", tmp_path, silent, without_pods=without_pods)
    assert f"--controllers={controllers}" in commands["kube-controller-manager"]
