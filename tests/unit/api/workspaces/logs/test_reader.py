"""Logs of workspaces: many reads cost few requests, and each connection is closed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.api.workspaces.logs.query import LogQuery
from aichat_workspace.api.workspaces.logs.reader import Workload, WorkspaceLogs
from aichat_workspace.api.workspaces.views import View
from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.client import Client, Stream
from tests.unit.api.samples import OWN_NAMESPACE, running_view


@pytest.fixture
def view() -> View:
    return running_view()


@dataclass
class FakeCluster(Client):
    """Has one pod, whose log has one line."""

    lists: list[str] = field(default_factory=list)
    """The kinds that were listed."""
    open_logs: int = 0

    async def list_pages(self, resource: Resource, *_: Any, **__: Any) -> AsyncIterator[Any]:
        self.lists.append(resource.plural)
        yield {
            "items": [{"metadata": {"name": "one", "creationTimestamp": "2026-01-01T00:00:00Z"}}]
        }

    @asynccontextmanager
    async def stream(self, *_: Any, **__: Any) -> AsyncIterator[Stream]:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"a line\n"

        self.open_logs += 1
        try:
            yield Stream(200, {}, chunks())
        finally:
            self.open_logs -= 1


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def logs(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> WorkspaceLogs:
    monkeypatch.setattr(ClusterView, "namespace", lambda *_: OWN_NAMESPACE)
    return WorkspaceLogs(cluster, ClusterView(cluster, {}))


async def test_many_reads_of_a_log_cost_one_list_of_pods(
    cluster: FakeCluster, logs: WorkspaceLogs, view: View
) -> None:
    for workload in (*[Workload.OLLAMA] * 3, Workload.OPENWEBUI):
        async with logs.open(view, workload, LogQuery()) as chunks:
            assert [chunk async for chunk in chunks] == [b"a line\n"]
    assert cluster.lists == ["pods"] * 2


async def test_a_log_that_is_never_read_is_closed(
    cluster: FakeCluster, logs: WorkspaceLogs, view: View
) -> None:
    async with logs.open(view, Workload.OLLAMA, LogQuery()):
        assert cluster.open_logs == 1
    assert cluster.open_logs == 0
