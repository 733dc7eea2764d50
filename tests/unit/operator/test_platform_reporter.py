import asyncio
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from aichat_workspace.kube.client import Client
from aichat_workspace.operator import platform_reporter
from aichat_workspace.operator.observed.caches import Caches
from aichat_workspace.operator.writer import Writer
from tests.fakes.kubernetes import FakeKubernetes
from tests.unit.waiting import turns, until

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
WRITE = "apply/status AIChatPlatform default"


class Operator:
    """The caches and the writer of an operator, with an API server in memory."""

    def __init__(self) -> None:
        self.api = FakeKubernetes()
        self.enqueued: list[str] = []
        self.caches = Caches(cast("Client", self.api), self.enqueued.append)
        self.writer = Writer(cast("Client", self.api), self.caches)
        self.edit({})

    def edit(self, spec: dict[str, Any]) -> None:
        platform = {
            "apiVersion": "apps.aichatworkspaces.io/v1alpha1",
            "kind": "AIChatPlatform",
            "metadata": {"name": "default", "uid": "p"},
            "spec": spec,
        }
        stored = self.api.objects.get(("AIChatPlatform", "", "default"), {})
        self.caches.platform.observe(self.api.store({**stored, **platform}))

    def show(self, name: str, version: int, phase: str = "Ready") -> None:
        conditions = [{"type": "UpToDate", "status": "True"}]
        self.caches.workspaces.observe(
            {
                "kind": "AIChatWorkspace",
                "metadata": {
                    "name": name,
                    "namespace": "t",
                    "uid": name,
                    "resourceVersion": str(version),
                },
                "spec": {"workspaceName": name},
                "status": {"phase": phase, "conditions": conditions},
            }
        )

    async def report(self) -> None:
        await platform_reporter.report(self.writer, self.caches, NOW)

    @property
    def status(self) -> Any:
        return self.api.objects["AIChatPlatform", "", "default"]["status"]


async def test_workspaces_are_counted_as_they_change() -> None:
    operator = Operator()
    for version, name in enumerate(("a", "b", "c"), 1):
        operator.show(name, version)
    operator.show("b", 10, "Degraded")
    operator.show("c", 11, "Provisioning")
    await operator.report()
    counts = {"total": 3, "following": 1, "waiting": 1, "failing": 1}
    assert operator.status["workspaces"] == counts
    operator.show("b", 12)
    gone = operator.caches.workspaces.get("t", "c")
    assert gone is not None
    operator.caches.workspaces._store.remove({**gone, "metadata": {**gone["metadata"]}})
    await operator.report()
    counts = {"total": 2, "following": 2, "waiting": 0, "failing": 0}
    assert operator.status["workspaces"] == counts


async def test_a_status_that_does_not_differ_is_not_written_again() -> None:
    operator = Operator()
    await operator.report()
    operator.show("a", 1)
    operator.show("a", 2)
    await operator.report()
    await operator.report()
    assert operator.api.writes == [WRITE, WRITE]


async def test_a_written_status_brings_no_workspace_back_and_an_edit_brings_all() -> None:
    operator = Operator()
    operator.show("a", 1)
    operator.enqueued.clear()
    await operator.report()
    assert operator.enqueued == []
    operator.edit({"ceiling": {"cpu": "1"}})
    assert operator.enqueued == ["a"]


async def test_without_a_platform_nothing_is_written() -> None:
    operator = Operator()
    platform = operator.caches.settings.platform
    assert platform is not None
    operator.caches.platform._store.remove(platform)
    await operator.report()
    assert operator.api.writes == []


async def test_many_changes_cost_one_write_at_a_time_and_a_refused_one_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(platform_reporter, "_PACE_SECONDS", 0.3)
    operator = Operator()
    operator.api.refuse(WRITE)
    keeping = asyncio.create_task(
        platform_reporter.maintain(operator.writer, operator.caches, lambda: NOW)
    )
    await turns()
    for version in range(1, 50):
        operator.show("a", version, "Ready" if version % 2 else "Degraded")
        await turns(2)
    assert operator.api.writes == [WRITE]
    operator.api.refusals.clear()
    await until(lambda: len(operator.api.writes) == 2)
    assert operator.status["workspaces"]["following"] == 1
    keeping.cancel()
