"""The time of prompts is noted by few writes, and no prompt fails for it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aichat_workspace.api.workspaces.prompt_times import PromptTimes
from aichat_workspace.api.workspaces.views import View, view
from aichat_workspace.domain import names
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import ConflictError, UnreachableError
from tests.unit.api.samples import resource, sample_view

NOW = datetime(2026, 12, 1, 12, 30, tzinfo=UTC)
NOTE = "/metadata/annotations/apps.aichatworkspaces.io~1prompted-at"


@dataclass
class FakeCluster(Client):
    """Takes patches."""

    patches: list[list[Any]] = field(default_factory=list)
    error: Exception | None = None

    async def json_patch(self, *arguments: Any, **_: Any) -> Any:
        operations: Sequence[Any] = arguments[3]
        self.patches.append(list(operations))
        await asyncio.sleep(0)
        if self.error:
            raise self.error


def noted(text: str) -> View:
    obj = resource()
    obj["metadata"]["annotations"][names.PROMPTED_ANNOTATION] = text
    return view(obj)


async def test_many_prompts_are_one_write() -> None:
    cluster = FakeCluster()
    times = PromptTimes(cluster, lambda: NOW)
    await asyncio.gather(*(times.note(sample_view()) for _ in range(20)))
    await times.note(sample_view())
    (operations,) = cluster.patches
    assert operations == [
        {"op": "test", "path": "/metadata/uid", "value": "uid-of-team-a"},
        {"op": "add", "path": NOTE, "value": "2026-12-01T12:30:00Z"},
    ]


async def test_a_resource_without_annotations_keeps_those_that_come_meanwhile() -> None:
    cluster, obj = FakeCluster(), resource()
    del obj["metadata"]["annotations"]
    await PromptTimes(cluster, lambda: NOW).note(view(obj))
    (operations,) = cluster.patches
    assert operations[1] == {"op": "test", "path": "/metadata/annotations", "value": None}


@pytest.mark.parametrize(
    ("text", "writes"),
    [
        ("2026-12-01T11:31:00Z", 0),
        ("2026-12-01T11:29:00Z", 1),
        ("2027-12-01T11:31:00Z", 1),
        ("2026-12-01T12:00:00", 1),
        ("just now", 1),
    ],
)
async def test_another_replicas_note_counts_for_an_hour(text: str, writes: int) -> None:
    cluster = FakeCluster()
    await PromptTimes(cluster, lambda: NOW).note(noted(text))
    assert len(cluster.patches) == writes


@pytest.mark.parametrize("error", [ConflictError(409, "Conflict", "no"), UnreachableError("no")])
async def test_a_note_that_is_not_written_is_tried_at_the_next_prompt(error: Exception) -> None:
    cluster = FakeCluster(error=error)
    times = PromptTimes(cluster, lambda: NOW)
    await times.note(sample_view())
    await times.note(sample_view())
    assert len(cluster.patches) == 2


async def test_what_is_stopped_is_not_prompted() -> None:
    cluster = FakeCluster()
    times = PromptTimes(cluster, lambda: NOW + timedelta(hours=2))
    await times.note(sample_view(spec={"suspended": True}))
    await times.note(sample_view(status={"phase": "Suspended"}))
    assert cluster.patches == []
