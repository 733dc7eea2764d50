"""A read waits for a phase, and for that of the present spec."""

import asyncio
from typing import Any, cast

import pytest

from aichat_workspace.api.web.responses import problems
from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.api.workspaces import change_log
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.api.workspaces.views import View
from aichat_workspace.api.workspaces.watching import phase_wait
from aichat_workspace.api.workspaces.watching.phase_wait import wait_for_phase
from aichat_workspace.domain.v1alpha1.workspace_status import Phase
from aichat_workspace.kube.client import Client
from tests.unit.api.samples import resource
from tests.unit.waiting import turns


class World:
    """One workspace that a caller may see until `refusal`."""

    def __init__(self) -> None:
        self.cluster = ClusterView(cast("Client", None), {})
        self.refusal: ProblemError | None = None
        self.reads = 0

    def put(self, version: int, phase: str, *, generation: int = 1, observed: int = 1) -> None:
        status: dict[str, Any] = {"phase": phase, "observedGeneration": observed}
        obj = resource(version=version, generation=generation, status=status)
        self.cluster.workspaces._store.put(obj)

    async def find(self) -> View:
        self.reads += 1
        if self.refusal:
            raise self.refusal
        view = self.cluster.get("team", "team-a")
        if view is None:
            raise problems.not_found("team-a")
        return view

    def wait(self, seconds: float = 30, phase: Phase = Phase.READY) -> "asyncio.Task[View]":
        return asyncio.create_task(wait_for_phase(self.cluster, self.find, phase, seconds))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(change_log, "_GATHER_SECONDS", 0)
    world = World()
    world.put(1, "Pending")
    return world


async def test_it_answers_when_the_phase_is_reached(world: World) -> None:
    waiting = world.wait()
    await turns()
    world.put(2, "PullingModels")
    await turns()
    assert not waiting.done()
    world.put(3, "Ready")
    async with asyncio.timeout(30):
        assert (await waiting).version == 3


async def test_a_phase_of_an_earlier_spec_is_none(world: World) -> None:
    """Right after a change the status is that of the spec before."""
    world.put(2, "Ready", generation=2, observed=1)
    waiting = world.wait()
    await turns()
    assert not waiting.done()
    world.put(3, "Ready", generation=2, observed=2)
    async with asyncio.timeout(30):
        assert (await waiting).version == 3


async def test_a_new_workspace_is_pending_before_anybody_has_observed_it(world: World) -> None:
    world.cluster.workspaces._store.put(resource(version=2))
    async with asyncio.timeout(30):
        assert (await world.wait(phase=Phase.PENDING)).version == 2


async def test_the_phase_of_an_earlier_spec_is_called_so(world: World) -> None:
    world.put(2, "Ready", generation=2, observed=1)
    with pytest.raises(ProblemError, match="is Ready by an earlier spec after"):
        await world.wait(0.01)


async def test_it_is_504_with_the_phase_when_it_takes_too_long(world: World) -> None:
    with pytest.raises(ProblemError, match=r"is Pending after 0\.01 seconds, not Ready") as caught:
        await world.wait(0.01)
    assert caught.value.status == 504


async def test_it_ends_when_the_workspace_is_deleted(world: World) -> None:
    waiting = world.wait()
    await turns()
    world.cluster.workspaces._store.remove(resource(version=2))
    with pytest.raises(ProblemError) as caught:
        async with asyncio.timeout(30):
            await waiting
    assert caught.value.status == 404


async def test_it_ends_when_the_permission_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phase_wait, "_CHECK_SECONDS", 0.01)
    waiting = world.wait()
    await turns()
    world.refusal = problems.not_found("team-a")
    with pytest.raises(ProblemError):
        async with asyncio.timeout(30):
            await waiting


async def test_changes_of_other_workspaces_cost_no_review(world: World) -> None:
    waiting = world.wait()
    await turns()
    for version in range(2, 22):
        world.cluster.workspaces._store.put(resource("other", uid="o", version=version))
        await turns()
    assert world.reads == 1
    waiting.cancel()
