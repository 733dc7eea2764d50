"""Model sync against model servers in memory."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import cast

import pytest

from aichat_workspace.domain.models.status import (
    DesiredModels,
    ModelState,
    ModelStatus,
    Pattern,
    PatternStatus,
)
from aichat_workspace.ollama.client import OllamaClient, Progress
from aichat_workspace.ollama.errors import (
    ModelNotFoundError,
    ModelPrivateError,
    ModelRefusedError,
    NewerServerNeededError,
    OllamaError,
    OllamaUnreachableError,
    VolumeFullError,
)
from aichat_workspace.ollama.installed import InstalledModel
from aichat_workspace.operator import retries
from aichat_workspace.operator.models import (
    downloads,
    published_report,
    refreshes,
    workspace_models,
)
from aichat_workspace.operator.models.report import Report
from aichat_workspace.operator.models.sync import ModelSync
from aichat_workspace.operator.models.task import ModelSyncTask, SyncObserver
from tests.unit.waiting import until

EXPLAIN = Pattern("explain_code", "You explain.")
NONE = Report((), ())


class Server:
    """A model server that keeps models in memory and fails as it is told."""

    def __init__(self, *models: str) -> None:
        self.there = dict.fromkeys(models, "d0")
        self.pulls: list[str] = []
        self.fails: list[OllamaError] = []
        self.size = 8
        self.asked = 0
        self.systems: dict[str, str] = {}
        self.weights_of: dict[str, str] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.down = False

    async def models(self) -> tuple[InstalledModel, ...]:
        self.asked += 1
        if self.down:
            raise OllamaUnreachableError("refused")
        return tuple(InstalledModel(name, digest, self.size) for name, digest in self.there.items())

    async def pull(
        self, name: str, *, stall_seconds: float, insecure: bool
    ) -> AsyncGenerator[Progress, None]:
        assert stall_seconds > 0
        assert not insecure
        self.pulls.append(name)
        async with aclosing(self.steps(name)) as steps:
            async for step in steps:
                yield step

    async def steps(self, name: str) -> AsyncGenerator[Progress, None]:
        """What a download tells."""
        yield Progress("pulling", self.size // 2, self.size)
        await self.gate.wait()
        if self.fails:
            raise self.fails.pop(0)
        self.there[name] = "d1"
        yield Progress("success", self.size, self.size)

    async def weights(self, name: str) -> str:
        return self.weights_of.get(name, "")

    async def system(self, name: str) -> str:
        return self.systems[name]

    async def version(self) -> str:
        return "0.17.4"

    async def create(self, name: str, *, base: str, system: str) -> None:
        self.there[name] = f"{base}/{system}"
        self.systems[name] = system

    async def delete(self, name: str) -> None:
        self.there.pop(name, None)


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_FIRST_SECONDS", 0.01)


class Sync:
    def __init__(self, places: int = 4) -> None:
        self.told: list[str] = []
        self.progress: list[str] = []
        observer = SyncObserver(self.told.append, self.progress.append)
        self.sync = ModelSync(observer, concurrent_pulls=lambda: places)
        self._last: dict[str, ModelSyncTask] = {}

    def set_desired(
        self,
        name: str,
        server: Server,
        *models: str,
        patterns: tuple[Pattern, ...] = (),
        recorded: tuple[ModelStatus, ...] = (),
        recorded_patterns: tuple[PatternStatus, ...] = (),
        pod: str = "pod-1",
        capacity: int = 0,
        memory: int = 0,
        follows_tags: bool = False,
        refresh: str = "",
        refreshed: str = "",
    ) -> Report:
        client = cast("OllamaClient", server)
        desired = DesiredModels(models, patterns)
        self._last[name] = ModelSyncTask(
            client,
            desired,
            pod,
            capacity,
            frozenset(),
            Report(recorded, recorded_patterns, refreshed),
            memory,
            follows_tags,
            refresh,
        )
        return self.report(name)

    def report(self, name: str) -> Report:
        return self.sync.set_desired(name, self._last[name])

    def states(self, name: str) -> dict[str, ModelState]:
        report = self.report(name)
        return {
            **{model.name: model.state for model in report.models},
            **{pattern.name: pattern.state for pattern in report.patterns},
        }


async def test_a_missing_model_is_downloaded_and_its_pattern_made() -> None:
    sync, server = Sync(), Server()
    sync.set_desired("w", server, "m:1", patterns=(EXPLAIN,))
    await until(lambda: set(sync.states("w").values()) == {ModelState.READY})
    assert set(server.there) == {"m:1", "explain_code:latest"}
    assert sync.report("w").models[0].managed
    assert set(sync.told) == {"w"}
    await sync.sync.close()


async def test_a_present_model_is_not_downloaded_again_and_is_unmanaged() -> None:
    sync, server = Sync(), Server("m:1")
    sync.set_desired("w", server, "m:1")
    await until(lambda: sync.states("w") == {"m:1": ModelState.READY})
    assert server.pulls == []
    assert not sync.report("w").models[0].managed
    await sync.sync.close()


async def test_before_the_first_check_what_was_recorded_is_reported() -> None:
    sync, server = Sync(), Server("m:1")
    recorded = ModelStatus("m:1", ModelState.READY, 8, 8, "d0", managed=True)
    report = sync.set_desired("w", server, "m:1", recorded=(recorded,))
    assert report.models == (recorded,)
    await sync.sync.close()


async def test_an_unknown_model_says_which_field_to_correct() -> None:
    sync, server = Sync(), Server()
    server.fails = [ModelNotFoundError("pull model manifest: file does not exist")] * 1000
    sync.set_desired("w", server, "typo:1")
    await until(lambda: sync.states("w") == {"typo:1": ModelState.FAILED})
    assert "spec.models" in sync.report("w").models[0].message
    await sync.sync.close()


@pytest.mark.parametrize(
    ("error", "reason", "has_next_try"),
    [
        (ModelNotFoundError("none"), "ModelNotFound", True),
        (ModelPrivateError("401: no"), "ModelPrivate", True),
        (ModelRefusedError("400: no"), "ModelRefused", True),
        (VolumeFullError("no space left on device"), "ModelsVolumeFull", True),
        (NewerServerNeededError("412: newer"), "ModelNeedsNewerServer", False),
    ],
)
async def test_what_can_not_succeed_is_not_tried_again_before_something_changes(
    error: OllamaError, reason: str, has_next_try: bool
) -> None:
    sync, server = Sync(), Server()
    server.fails = [error] * 9
    sync.set_desired("w", server, "m:1", "n:1")
    await until(lambda: set(sync.states("w").values()) == {ModelState.FAILED})
    assert {model.reason for model in sync.report("w").models} == {reason}
    message = sync.report("w").models[0].message
    assert ("tried again at 20" in message) is ("/refresh-models" in message) is has_next_try
    report_count = len(sync.told)
    await asyncio.sleep(0.2)  # time for a dozen quick retries
    assert sorted(server.pulls) == ["m:1", "n:1"]
    assert len(sync.told) == report_count
    server.fails = []
    sync.set_desired("w", server, "m:1", "n:1", pod="pod-2")
    await until(lambda: set(sync.states("w").values()) == {ModelState.READY})
    await sync.sync.close()


async def test_a_model_that_was_not_found_is_tried_again_after_hours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workspace_models, "_CHECK_SECONDS", 0.01)
    sync, server = Sync(), Server()
    server.fails = [ModelNotFoundError("none")]
    sync.set_desired("w", server, "m:1")
    await until(lambda: server.asked > 4)
    assert server.pulls == ["m:1"]
    loop = asyncio.get_running_loop()
    now = loop.time
    monkeypatch.setattr(loop, "time", lambda: now() + 6 * 3600)
    await until(lambda: sync.states("w") == {"m:1": ModelState.READY})
    await sync.sync.close()


async def test_a_model_without_room_is_tried_again_when_a_person_has_removed_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workspace_models, "_CHECK_SECONDS", 0.01)
    sync, server = Sync(), Server("persons:1")
    sync.set_desired("w", server, "a:1", capacity=12)
    await until(lambda: sync.states("w") == {"a:1": ModelState.FAILED})
    await until(lambda: server.asked > 4)
    assert server.pulls == ["a:1"]
    del server.there["persons:1"]
    await until(lambda: sync.states("w") == {"a:1": ModelState.READY})
    await sync.sync.close()


@pytest.mark.parametrize("name", ["gpt-oss:20b-cloud", "me/x:Cloud"])
async def test_a_model_that_runs_elsewhere_is_not_downloaded(name: str) -> None:
    sync, server = Sync(), Server()
    sync.set_desired("w", server, name)
    await until(lambda: sync.states("w") == {name: ModelState.FAILED})
    assert sync.report("w").models[0].reason == "ModelHosted"
    assert server.pulls == []
    await sync.sync.close()


async def test_a_model_that_needs_a_newer_server_names_both_versions_and_the_setting() -> None:
    sync, server = Sync(), Server()
    server.fails = [NewerServerNeededError("412: requires a newer version of Ollama: 0.99.1")]
    sync.set_desired("w", server, "m:1")
    await until(lambda: sync.states("w") == {"m:1": ModelState.FAILED})
    message = sync.report("w").models[0].message
    assert "needs Ollama 0.99.1 or newer, and 0.17.4 runs here" in message
    assert "spec.images.ollama of the AIChatPlatform" in message
    await sync.sync.close()


async def test_a_model_that_the_server_spells_otherwise_is_there_and_is_not_removed() -> None:
    class Folding(Server):
        async def steps(self, name: str) -> AsyncGenerator[Progress, None]:
            assert name
            self.there["m:Q4"] = "d1"
            yield Progress("success", self.size, self.size)

    sync, server = Sync(), Folding()
    sync.set_desired("w", server, "M:q4")
    await until(lambda: sync.states("w") == {"m:Q4": ModelState.READY})
    sync.set_desired("w", server, "M:Q4")
    await until(lambda: server.asked > 2)
    assert sync.states("w") == {"m:Q4": ModelState.READY}
    assert server.pulls == ["M:q4"]
    sync.set_desired("w", server)
    await until(lambda: server.there == {})
    await sync.sync.close()


async def test_a_model_that_was_downloaded_and_is_not_listed_has_failed() -> None:
    """F12: a server that lies."""

    class Hiding(Server):
        async def steps(self, name: str) -> AsyncGenerator[Progress, None]:
            assert name
            self.there["another:latest"] = "d1"
            yield Progress("success", self.size, self.size)

    sync, server = Sync(), Hiding()
    sync.set_desired("w", server, "m:local")
    await until(lambda: sync.states("w") == {"m:local": ModelState.FAILED})
    assert "does not list it" in sync.report("w").models[0].message
    assert "spec.models" in sync.report("w").models[0].message
    await sync.sync.close()


async def test_an_interrupted_download_goes_on() -> None:
    """F12: the server resets the connection in mid-pull."""
    sync, server = Sync(), Server()
    server.fails = [OllamaUnreachableError("reset")]
    sync.set_desired("w", server, "m:1")
    await until(lambda: sync.states("w") == {"m:1": ModelState.READY})
    assert server.pulls == ["m:1", "m:1"]
    await sync.sync.close()


async def test_a_dead_server_delays_no_other_workspace() -> None:
    """F12: a server that does not answer; another workspace's models come."""
    sync, dead, alive = Sync(places=1), Server(), Server()
    dead.down = True
    sync.set_desired("dead", dead, "m:1")
    sync.set_desired("alive", alive, "m:1")
    await until(lambda: sync.states("alive") == {"m:1": ModelState.READY})
    assert sync.states("dead") == {"m:1": ModelState.PENDING}
    await sync.sync.close()


async def test_a_ready_model_stays_ready_while_its_server_restarts() -> None:
    sync, server = Sync(), Server()
    recorded = ModelStatus("m:1", ModelState.READY, managed=True)
    server.down = True
    sync.set_desired("w", server, "m:1", recorded=(recorded,))
    await asyncio.sleep(0.05)
    assert sync.states("w") == {"m:1": ModelState.READY}
    await sync.sync.close()


async def test_downloads_wait_for_a_slot() -> None:
    sync, first, second = Sync(places=1), Server(), Server()
    first.gate.clear()
    sync.set_desired("first", first, "m:1")
    await until(lambda: first.pulls == ["m:1"])
    sync.set_desired("second", second, "m:1")
    await asyncio.sleep(0.05)
    assert second.pulls == []
    first.gate.set()
    await until(lambda: second.pulls == ["m:1"])
    await sync.sync.close()


async def test_a_server_that_is_not_ready_is_not_asked() -> None:
    sync, server = Sync(), Server()
    sync.set_desired("w", server, "m:1", pod="")
    await asyncio.sleep(0.02)
    assert server.pulls == []
    sync.set_desired("w", server, "m:1", pod="pod-1")
    await until(lambda: server.pulls == ["m:1"])
    await sync.sync.close()


async def test_a_download_that_was_stopped_is_not_said_to_go_on() -> None:
    sync, server = Sync(), Server()
    server.gate.clear()
    sync.set_desired("w", server, "m:1")
    await until(lambda: sync.states("w") == {"m:1": ModelState.PULLING})
    (model,) = sync.set_desired("w", server, "m:1", pod="").models
    assert model == ModelStatus("m:1", ModelState.PENDING, managed=True)
    sync.set_desired("w", server, "m:1")
    server.gate.set()
    await until(lambda: sync.states("w") == {"m:1": ModelState.READY})
    await sync.sync.close()


async def test_a_new_pod_is_checked_at_once() -> None:
    sync, server = Sync(), Server()
    sync.set_desired("w", server, "m:1")
    await until(lambda: sync.states("w") == {"m:1": ModelState.READY})
    server.there.clear()  # its volume was lost
    sync.set_desired("w", server, "m:1", pod="pod-2")
    await until(lambda: server.pulls == ["m:1", "m:1"])
    await sync.sync.close()


async def test_an_unwanted_model_of_ours_is_removed_and_a_persons_stays() -> None:
    sync, server = Sync(), Server("old:1", "persons:1", "translate:latest")
    old = ModelStatus("old:1", ModelState.READY, managed=True)
    pattern = PatternStatus("translate", ModelState.READY, "r1")
    sync.set_desired("w", server, recorded=(old,), recorded_patterns=(pattern,))
    await until(lambda: set(server.there) == {"persons:1"})
    await until(lambda: sync.states("w") == {})
    await sync.sync.close()


async def test_progress_is_reported_by_the_per_cent_and_at_most_every_five_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Chatty(Server):
        async def steps(self, name: str) -> AsyncGenerator[Progress, None]:
            for step in range(600):
                yield Progress("pulling", step, 3000, 1)
                await asyncio.sleep(0.001)
            self.there[name] = "d1"

    async def count(seconds: float) -> int:
        monkeypatch.setattr(published_report, "_PROGRESS_SECONDS", seconds)
        sync, server = Sync(), Chatty()
        sync.set_desired("w", server, "m:1")
        await until(lambda: sync.states("w") == {"m:1": ModelState.READY})
        assert len(sync.told) <= 5
        await sync.sync.close()
        return len(sync.progress)

    assert await count(600.0) == 0
    assert 10 <= await count(0.0) <= 20, "of 3000 steps 600 are 20 per cent"
    assert 2 <= await count(0.1) <= 20


async def test_a_download_without_a_further_per_cent_still_reports_its_speed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(published_report, "_SLOW_PROGRESS_SECONDS", 0.02)
    sync, crawling = Sync(), Crawling()
    sync.set_desired("w", crawling, "a:1")
    await until(lambda: len(sync.progress) > 2)
    await sync.sync.close()


async def test_a_model_larger_than_what_is_left_of_the_volume_is_refused_with_the_fix() -> None:
    """F14: the model has no room."""
    sync, server = Sync(), Server()
    sync.set_desired("team-a", server, "big:1b", capacity=7)
    await until(lambda: sync.states("team-a")["big:1b"] is ModelState.FAILED)
    assert "raise spec.storage.ollama.size" in sync.report("team-a").models[0].message
    assert server.there == {}


async def test_a_model_larger_than_the_memory_is_told_before_it_is_downloaded() -> None:
    sync, server = Sync(), Server()
    server.size, server.gate = 5 * 2**30, asyncio.Event()
    sync.set_desired("w", server, "m:1", memory=4 * 2**30)
    await until(lambda: sync.states("w") == {"m:1": ModelState.FAILED})
    (model,) = sync.report("w").models
    assert model.reason == "ModelNeedsMemory"
    assert "raise spec.resources.ollama.memoryLimit to 7Gi" in model.message
    assert server.there == {}
    server.gate.set()
    sync.set_desired("w", server, "m:1", patterns=(EXPLAIN,), memory=7 * 2**30)
    await until(lambda: set(sync.states("w").values()) == {ModelState.READY})
    await sync.sync.close()


async def test_a_model_that_is_there_and_larger_than_the_memory_is_not_ready() -> None:
    sync, server = Sync(), Server("m:1")
    server.size = 5 * 2**30
    sync.set_desired("w", server, "m:1", patterns=(EXPLAIN,), memory=4 * 2**30)
    states = {"m:1": ModelState.FAILED, "explain_code": ModelState.PENDING}
    await until(lambda: sync.states("w") == states)
    assert sync.report("w").models[0].digest == "d0"
    sync.set_desired("w", server, "m:1", patterns=(EXPLAIN,), memory=8 * 2**30)
    await until(lambda: set(sync.states("w").values()) == {ModelState.READY})
    await sync.sync.close()


async def test_a_moved_tag_is_followed_when_that_is_the_policy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workspace_models, "_CHECK_SECONDS", 0.01)
    monkeypatch.setattr(refreshes, "_REFRESH_SECONDS", 0.1)
    sync, server = Sync(), Server("m:1")
    sync.set_desired("w", server, "m:1", patterns=(EXPLAIN,))
    await until(lambda: set(sync.states("w").values()) == {ModelState.READY})
    revision = sync.report("w").patterns[0].revision
    assert server.pulls == []
    sync.set_desired("w", server, "m:1", patterns=(EXPLAIN,), follows_tags=True)
    await until(lambda: sync.report("w").models[0].digest == "d1")
    await until(lambda: sync.report("w").patterns[0].revision != revision)
    await until(lambda: len(server.pulls) == 2)
    assert "Pulling" not in sync.states("w").values(), "the old one is of use meanwhile"
    await sync.sync.close()


async def test_a_person_has_models_renewed_once() -> None:
    sync, server = Sync(), Server("m:1")
    sync.set_desired("w", server, "m:1", refresh="monday", refreshed="monday")
    await until(lambda: sync.states("w") == {"m:1": ModelState.READY})
    assert server.pulls == []
    server.fails = [OllamaUnreachableError("reset")]
    sync.set_desired("w", server, "m:1", refresh="tuesday")
    await until(lambda: "stays in use" in sync.report("w").models[0].message)
    assert sync.states("w") == {"m:1": ModelState.READY}
    await until(lambda: sync.report("w").refreshed == "tuesday")
    assert sync.report("w").models[0].digest == "d1"
    assert sync.report("w").models[0].message == ""
    assert server.pulls == ["m:1", "m:1"]
    sync.set_desired("w", server, "m:1", refresh="tuesday", pod="pod-2")
    await asyncio.sleep(0.05)
    assert len(server.pulls) == 2
    await sync.sync.close()


async def test_a_refresh_that_the_registry_refuses_is_met_and_says_so() -> None:
    sync, server = Sync(), Server("m:1")
    server.fails = [ModelNotFoundError("none")]
    sync.set_desired("w", server, "m:1", refresh="monday")
    await until(lambda: sync.report("w").refreshed == "monday")
    assert "can't be renewed" in sync.report("w").models[0].message
    await asyncio.sleep(0.05)
    assert server.pulls == ["m:1"]
    await sync.sync.close()


async def test_a_model_without_its_pinned_digest_is_looked_up_once_and_not_ready() -> None:
    def want(digest: str) -> DesiredModels:
        return DesiredModels(("m:1",), (EXPLAIN,), pins=(("m:1", digest),))

    sync, server = Sync(), Server("m:1")
    task = ModelSyncTask(cast("OllamaClient", server), want("d1"), "pod", 0, frozenset(), NONE)
    sync.sync.set_desired("w", task)
    sync._last["w"] = task
    await until(lambda: set(sync.states("w").values()) == {ModelState.READY})
    assert server.pulls == ["m:1"]
    sync._last["w"] = replace(task, desired=want("d2"))
    await until(lambda: sync.states("w") == {"m:1": "Failed", "explain_code": "Pending"})
    await until(lambda: len(server.pulls) == 2)
    await asyncio.sleep(0.05)
    (model,) = sync.report("w").models
    assert model.reason == "ModelDigestDiffers"
    assert "has the digest sha256:d1 at its registry" in model.message
    assert server.pulls == ["m:1", "m:1"]
    await sync.sync.close()


async def test_a_refresh_also_tries_what_was_not_found() -> None:
    sync, server = Sync(), Server()
    server.fails = [ModelNotFoundError("none")]
    sync.set_desired("w", server, "m:1")
    await until(lambda: sync.states("w") == {"m:1": ModelState.FAILED})
    sync.set_desired("w", server, "m:1", refresh="monday")
    await until(lambda: sync.states("w") == {"m:1": ModelState.READY})
    await until(lambda: sync.report("w").refreshed == "monday")
    assert server.pulls == ["m:1", "m:1"], "what has just come is not looked up again"
    await sync.sync.close()


async def test_downloads_at_the_same_time_share_the_room_that_is_left() -> None:
    sync, server = Sync(), Server()
    server.gate.clear()
    sync.set_desired("w", server, "a:1", "b:1", capacity=12)
    await until(lambda: ModelState.FAILED in sync.states("w").values())
    server.gate.set()
    await until(lambda: ModelState.READY in sync.states("w").values())
    assert len(server.there) == 1
    await sync.sync.close()


async def test_a_persons_own_model_takes_room_too() -> None:
    sync, server = Sync(), Server("persons:1")
    sync.set_desired("w", server, "a:1", capacity=12)
    await until(lambda: sync.states("w") == {"a:1": ModelState.FAILED})
    assert set(server.there) == {"persons:1"}
    await sync.sync.close()


async def test_models_made_of_one_another_take_the_room_of_their_weights_once() -> None:
    sync, server = Sync(), Server("m:1", "explain_code:latest", "persons:latest")
    server.weights_of = dict.fromkeys(server.there, "the same")
    sync.set_desired("w", server, "a:1", capacity=20)
    await until(lambda: sync.states("w") == {"a:1": ModelState.READY})
    await sync.sync.close()


async def test_what_another_model_has_already_needs_no_room() -> None:
    class Aliased(Server):
        async def steps(self, name: str) -> AsyncGenerator[Progress, None]:
            self.there[name] = "d1"
            yield Progress("pulling", 8, 9, shared_bytes=8)

    sync, server = Sync(), Aliased("m:1")
    sync.set_desired("w", server, "m:1", "alias:1", capacity=10)
    await until(lambda: set(sync.states("w").values()) == {ModelState.READY})
    await sync.sync.close()


async def test_a_changed_tag_waits_until_the_old_one_has_made_room() -> None:
    sync, server = Sync(), Server("m:old")
    old = ModelStatus("m:old", ModelState.READY, 8, 8, "d0", managed=True)
    sync.set_desired("w", server, "m:new", recorded=(old,), capacity=12)
    await until(lambda: sync.states("w").get("m:new") is ModelState.READY)
    assert set(server.there) == {"m:new"}
    assert server.pulls == ["m:new", "m:new"]
    await sync.sync.close()


async def forgotten(sync: Sync) -> asyncio.Task[None]:
    """The task of a workspace that is forgotten now, when it has ended."""
    task = sync.sync._workspaces["w"]._run
    assert task is not None
    sync.sync.forget("w")
    await asyncio.wait([task], timeout=30)
    return task


async def test_a_workspace_that_is_forgotten_while_its_downloads_wait_ends() -> None:
    async def once() -> None:
        sync, server = Sync(places=1), Server()
        server.gate.clear()
        sync.set_desired("w", server, "a:1", "b:1", "c:1")
        await until(lambda: len(server.pulls) == 1)
        assert (await forgotten(sync)).cancelled()
        assert sync.sync.pulls_running == 0

    for _ in range(20):  # whichever of the downloads is cancelled first
        await once()


async def test_an_error_during_cancellation_keeps_no_forgotten_workspace() -> None:
    class Clumsy(Server):
        async def pull(
            self, name: str, *, stall_seconds: float, insecure: bool
        ) -> AsyncGenerator[Progress, None]:
            try:
                async for step in super().pull(
                    name, stall_seconds=stall_seconds, insecure=insecure
                ):
                    yield step
            except asyncio.CancelledError:
                if len(self.pulls) > 1:
                    raise
                raise ValueError("a bug") from None

    sync, server = Sync(), Clumsy()
    server.gate.clear()
    sync.set_desired("w", server, "m:1")
    await until(lambda: server.pulls == ["m:1"])
    await asyncio.sleep(0)
    assert (await forgotten(sync)).cancelled()


async def test_a_forgotten_server_gets_no_request() -> None:
    sync, server = Sync(), Server()
    server.gate.clear()
    sync.set_desired("w", server, "m:1", "n:1")
    await until(lambda: len(server.pulls) == 2)
    requests = server.asked
    sync.sync.forget("w")
    server.gate.set()
    await asyncio.sleep(0.1)
    assert (server.asked, len(server.pulls)) == (requests, 2)


async def test_pauses_grow_with_each_failure_until_a_success(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failures: list[int] = []

    def pause(count: int) -> float:
        failures.append(count)
        return 0.001 if count else 600.0

    monkeypatch.setattr(workspace_models, "_pause_seconds", pause)
    sync, server = Sync(), Server()
    server.fails = [OllamaError("no"), OllamaUnreachableError("reset"), OllamaError("no")]
    sync.set_desired("w", server, "m:1")
    await until(lambda: sync.states("w") == {"m:1": ModelState.READY})
    await until(lambda: failures == [1, 2, 3, 0])
    await sync.sync.close()


def test_pauses_double_up_to_five_minutes_and_all_is_checked_every_ten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr("random.uniform", lambda *_: 1.0)
    pauses = [workspace_models._pause_seconds(attempt) for attempt in (1, 2, 3, 8, 9, 10**6, 0)]
    assert pauses == [2, 4, 8, 256, 300, 300, 600]


class Crawling(Server):
    """Its registry sends a byte now and then, without end."""

    async def steps(self, name: str) -> AsyncGenerator[Progress, None]:
        for step in range(1, 10**6):
            yield Progress(f"pulling {name}", step, 10**9, 1)
            await asyncio.sleep(0.005)


async def test_slow_downloads_give_their_slots_to_other_workspaces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """F12: a server that crawls."""
    monkeypatch.setattr(downloads, "SLOT_SECONDS", 0.05)
    sync, crawling, other = Sync(places=2), Crawling(), Server()
    sync.set_desired("crawling", crawling, "a:1", "b:1")
    await until(lambda: len(crawling.pulls) == 2)
    other.gate.clear()
    sync.set_desired("other", other, "m:1")
    await until(lambda: other.pulls == ["m:1"])
    assert sorted(sync.states("crawling").values()) == [ModelState.PENDING, ModelState.PULLING]
    messages = [model.message for model in sync.report("crawling").models if model.message]
    assert len(messages) == 1
    assert messages[0].endswith("lets another workspace's go first; it resumes by itself")
    other.gate.set()
    await until(lambda: sync.states("other") == {"m:1": ModelState.READY})
    await until(lambda: len(crawling.pulls) == 3)
    assert set(sync.states("crawling").values()) == {ModelState.PULLING}
    await sync.sync.close()


async def test_a_slow_download_goes_on_while_no_other_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(downloads, "SLOT_SECONDS", 0.0)
    sync, crawling = Sync(places=1), Crawling()
    sync.set_desired("w", crawling, "a:1", "b:1")  # which wait for one another
    await until(lambda: crawling.pulls)
    await asyncio.sleep(0.1)
    assert len(crawling.pulls) == 1
    await sync.sync.close()


async def test_a_slot_does_not_expire_while_downloaded_data_are_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Checking(Server):
        async def steps(self, name: str) -> AsyncGenerator[Progress, None]:
            for _ in range(20):
                yield Progress("verifying sha256 digest", 8, 8)
                await asyncio.sleep(0.005)
            self.there[name] = "d1"

    monkeypatch.setattr(downloads, "SLOT_SECONDS", 0.0)
    sync, checking, other = Sync(places=1), Checking(), Server()
    sync.set_desired("checking", checking, "m:1")
    await until(lambda: checking.pulls == ["m:1"])
    sync.set_desired("other", other, "m:1")
    await until(lambda: sync.states("other") == {"m:1": ModelState.READY})
    assert checking.pulls == ["m:1"]
    await sync.sync.close()


async def test_a_persons_model_of_a_patterns_name_stays_and_the_pattern_says_what_to_do() -> None:
    sync, server = Sync(), Server("m:1", "explain_code:latest")
    server.systems = {"explain_code:latest": "You are a pirate."}
    sync.set_desired("w", server, "m:1", patterns=(EXPLAIN,))
    await until(lambda: sync.states("w")["explain_code"] is ModelState.FAILED)
    assert "remove that model in Open WebUI" in sync.report("w").patterns[0].message
    sync.set_desired("w", server, "m:1")  # nor is it removed with the pattern
    await until(lambda: sync.states("w") == {"m:1": ModelState.READY})
    assert server.there == {"m:1": "d0", "explain_code:latest": "d0"}
    await sync.sync.close()


async def test_a_model_that_the_server_can_not_tell_of_is_taken_for_a_persons() -> None:
    class Broken(Server):
        async def system(self, name: str) -> str:
            raise OllamaError(f"{name} is broken")

    sync, server = Sync(), Broken("m:1", "explain_code:latest")
    sync.set_desired("w", server, "m:1", patterns=(EXPLAIN,))
    await until(lambda: sync.states("w")["explain_code"] is ModelState.FAILED)
    assert server.there["explain_code:latest"] == "d0"
    await sync.sync.close()


async def test_a_model_with_a_patterns_own_prompt_is_the_operators_without_a_record() -> None:
    sync, server = Sync(), Server("m:1", "explain_code:latest")
    server.systems = {"explain_code:latest": EXPLAIN.system}
    sync.set_desired("w", server, "m:1", patterns=(EXPLAIN,))
    await until(lambda: set(sync.states("w").values()) == {ModelState.READY})
    sync.set_desired("w", server, "m:1")
    await until(lambda: set(server.there) == {"m:1"})
    await sync.sync.close()


async def test_a_pattern_whose_update_failed_is_still_managed() -> None:
    class Full(Server):
        async def create(self, name: str, *, base: str, system: str) -> None:
            raise VolumeFullError(f"{name} of {base}, {system}")

    sync, server = Sync(), Full("m:1", "explain_code:latest")
    sync.set_desired("w", server, "m:1", patterns=(EXPLAIN,), recorded_patterns=(MADE,))
    await until(lambda: sync.states("w")["explain_code"] is ModelState.FAILED)
    (pattern,) = sync.report("w").patterns
    assert pattern.revision == MADE.revision
    assert "raise spec.storage.ollama.size, or remove a model" in pattern.message
    await sync.sync.close()


async def test_a_pattern_does_not_wait_for_downloads_that_it_is_not_made_of() -> None:
    sync, server = Sync(), Server("m:1")
    server.gate.clear()
    sync.set_desired("w", server, "m:1", "n:1", patterns=(EXPLAIN,))
    await until(lambda: sync.states("w")["explain_code"] is ModelState.READY)
    assert sync.states("w")["n:1"] is not ModelState.READY
    await sync.sync.close()


async def test_a_model_is_ready_and_its_pattern_made_while_its_slowest_neighbour_still_comes() -> (
    None
):
    class Uneven(Server):
        async def steps(self, name: str) -> AsyncGenerator[Progress, None]:
            yield Progress("pulling", 0, self.size)
            if name == "slow:1":
                await self.gate.wait()
            self.there[name] = "d1"
            yield Progress("success", self.size, self.size)

    sync, server = Sync(), Uneven()
    server.gate.clear()
    sync.set_desired("w", server, "m:1", "slow:1", patterns=(EXPLAIN,))
    ready = {"m:1": ModelState.READY, "explain_code": ModelState.READY}
    await until(lambda: sync.states("w") == {**ready, "slow:1": ModelState.PULLING})
    assert server.pulls == ["m:1", "slow:1"]
    server.gate.set()
    await until(lambda: sync.states("w") == {**ready, "slow:1": ModelState.READY})
    await sync.sync.close()


MADE = PatternStatus("explain_code", ModelState.READY, "of the old one")


async def test_a_pattern_of_the_old_base_does_not_keep_the_new_one_out() -> None:
    sync, server = Sync(), Server("m:old", "explain_code:latest")
    server.weights_of = dict.fromkeys(server.there, "of the old one")
    old = ModelStatus("m:old", ModelState.READY, 8, 8, "d0", managed=True)
    settings = {"patterns": (EXPLAIN,), "recorded": (old,), "recorded_patterns": (MADE,)}
    sync.set_desired("w", server, "m:new", capacity=12, **settings)  # type: ignore[arg-type]
    await until(lambda: set(sync.states("w").values()) == {ModelState.READY})
    assert server.there == {"m:new": "d1", "explain_code:latest": "m:new/You explain."}
    await sync.sync.close()


async def test_a_pattern_stays_in_use_where_there_is_room_for_the_new_base() -> None:
    sync, server = Sync(), Server("explain_code:latest")
    server.gate.clear()
    server.fails = [OllamaUnreachableError("reset")]
    sync.set_desired(
        "w", server, "m:new", patterns=(EXPLAIN,), recorded_patterns=(MADE,), capacity=40
    )
    await until(lambda: server.pulls == ["m:new"])
    server.gate.set()
    await until(lambda: server.pulls == ["m:new", "m:new"])
    assert "explain_code:latest" in server.there
    await until(lambda: set(sync.states("w").values()) == {ModelState.READY})
    await sync.sync.close()


async def test_an_undesired_pattern_is_removed_to_make_room() -> None:
    class Slow(Server):
        async def delete(self, name: str) -> None:
            await removes.wait()
            await super().delete(name)

    removes = asyncio.Event()
    sync, server = Sync(), Slow("explain_code:latest")
    sync.set_desired("w", server, "m:new", recorded_patterns=(MADE,), capacity=12)
    await until(lambda: sync.report("w").models[0].message != "")
    assert sync.states("w")["m:new"] is ModelState.PENDING
    assert "explain_code:latest is removed first" in sync.report("w").models[0].message
    removes.set()
    await until(lambda: sync.states("w") == {"m:new": ModelState.READY})
    await sync.sync.close()


async def test_a_model_that_can_not_be_downloaded_is_always_reported() -> None:
    class Empty(Server):
        async def steps(self, name: str) -> AsyncGenerator[Progress, None]:
            assert name not in self.there
            yield Progress("pulling manifest", 0, 0)
            raise ModelNotFoundError("pull model manifest: file does not exist")

    sync, server = Sync(), Empty()
    sync.set_desired("w", server, "typo:1")
    await until(lambda: sync.states("w") == {"typo:1": ModelState.FAILED})
    sync.set_desired("w", server, "typo:1", pod="pod-2")
    await until(lambda: len(server.pulls) == 2)
    await asyncio.sleep(0.02)
    assert sync.states("w") == {"typo:1": ModelState.FAILED}
    await sync.sync.close()
