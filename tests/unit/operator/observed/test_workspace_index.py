from typing import cast

from aichat_workspace.kube.client import Client
from aichat_workspace.operator.observed.caches import Caches


def test_a_host_is_found_as_long_as_a_workspace_chooses_it() -> None:
    caches = Caches(cast("Client", None), lambda _: None)

    def choose(host: str, version: str) -> None:
        metadata = {
            "name": "a",
            "namespace": "team",
            "uid": "uid-a",
            "resourceVersion": version,
        }
        spec = {"workspaceName": "a", "ingress": {"host": host}}
        caches.observe({"kind": "AIChatWorkspace", "metadata": metadata, "spec": spec})

    choose("one.example.org", "1")
    assert len(caches.workspaces_with_host("one.example.org")) == 1
    choose("two.example.org", "2")
    assert caches.workspaces_with_host("one.example.org") == []
    assert len(caches.workspaces_with_host("two.example.org")) == 1


def test_workspaces_are_counted_by_phase_without_being_read() -> None:
    caches = Caches(cast("Client", None), lambda _: None)

    def put(name: str, version: int, **status: str) -> None:
        metadata = {"namespace": "n", "name": name, "uid": name, "resourceVersion": str(version)}
        spec = {"workspaceName": name}
        caches.observe(
            {"kind": "AIChatWorkspace", "metadata": metadata, "spec": spec, "status": status}
        )

    put("a", 1)
    put("b", 2, phase="Ready")
    put("a", 3, phase="Ready")
    put("b", 4, phase="Degraded")
    assert {phase: count for phase, count in caches.index.phases.items() if count} == {
        "Ready": 1,
        "Degraded": 1,
    }
    caches.workspaces._store.reset((), 5)
    assert not any(caches.index.phases.values())


def test_workspaces_that_ask_for_backups_are_counted_by_how_these_are() -> None:
    caches = Caches(cast("Client", None), lambda _: None)

    def put(version: int, status: str, reason: str) -> None:
        metadata = {"namespace": "n", "name": "a", "uid": "a", "resourceVersion": str(version)}
        condition = {"type": "BackedUp", "status": status, "reason": reason}
        caches.observe(
            {
                "kind": "AIChatWorkspace",
                "metadata": metadata,
                "spec": {"workspaceName": "a"},
                "status": {"conditions": [condition]},
            }
        )

    put(1, "True", "BackedUp")
    assert caches.index.backups["made"] == 1
    put(2, "False", "BackupOverdue")
    assert {state: count for state, count in caches.index.backups.items() if count} == {
        "overdue": 1
    }
    caches.workspaces._store.reset((), 3)
    assert not any(caches.index.backups.values())
