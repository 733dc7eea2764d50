"""Brings model servers to what workspaces want, beside reconciliation and never inside it.

Each workspace has a task of its own, so a server that hangs delays no other workspace. Downloads
wait for one of a limited number of places, first come, first served.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

import structlog

from aichat_workspace.domain.models.capacity import PresentModel, capacity_problem, occupied_bytes
from aichat_workspace.domain.models.name import parse_model
from aichat_workspace.domain.models.status import (
    DesiredModels,
    ModelState,
    ModelStatus,
    PatternStatus,
)
from aichat_workspace.domain.models.sync_plan import (
    Create,
    ModelAction,
    Pull,
    Remove,
    drop_patterns,
    outdated,
    plan_sync,
    unmanaged_patterns,
)
from aichat_workspace.ollama.client import OllamaClient
from aichat_workspace.ollama.errors import ModelNotFoundError, OllamaError, OllamaUnreachableError
from aichat_workspace.operator.models.downloads import SILENCE_SECONDS, DownloadSlots, Slot, paced
from aichat_workspace.operator.models.report import (
    InsufficientSpaceError,
    ModelTooLargeError,
    Report,
    SlotExpiredError,
    before_check,
    checked,
    create_failed,
    pull_failed,
    pulling,
    unanswered,
)
from aichat_workspace.operator.models.retries import jittered, retry_seconds

_CHECK_SECONDS: Final = 600.0
_REPORT_SECONDS: Final = 1.0
_log: Final = structlog.get_logger()
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ModelSyncTask:
    """What one workspace wants of its server. Recorded is what earlier runs wrote down."""

    client: OllamaClient = field(compare=False)
    wanted: DesiredModels
    server: str  # which pod serves, empty for none; another one may have lost what was there
    capacity_bytes: int  # of the models' volume; 0 while unknown
    insecure: frozenset[str]  # registries that speak plain HTTP
    recorded: tuple[ModelStatus, ...] = field(compare=False)
    recorded_patterns: tuple[PatternStatus, ...] = field(compare=False)


class ModelSync:
    """`on_change` is told of a workspace whose report moved, at most once a second each."""

    def __init__(
        self,
        on_change: Callable[[str], None],
        *,
        concurrent_pulls: Callable[[], int],
        on_pull: Callable[[str], None] = lambda _: None,
        on_bytes: Callable[[int], None] = lambda _: None,
        on_list: Callable[[str, Mapping[str, str]], None] = lambda *_: None,
    ) -> None:
        """`on_pull` is told how each download ended, `on_bytes` what came since the last time,
        `on_list` the digest of each model whenever a workspace's server has listed them."""
        self._on_change = on_change
        self._on_pull = on_pull
        self._on_bytes = on_bytes
        self._on_list = on_list
        self._places = DownloadSlots(concurrent_pulls)
        self._workspaces: dict[str, _WorkspaceModels] = {}

    def set_desired(self, workspace: str, assignment: ModelSyncTask) -> Report:
        """Say what a workspace wants, and hear how far it is. The same as before is no news and
        costs nothing; a server that is not ready is not asked."""
        held = self._workspaces.get(workspace)
        if held is not None and held.assignment == assignment:
            return held.report
        known = held.report if held else Report(assignment.recorded, assignment.recorded_patterns)
        self.forget(workspace)
        fresh = _WorkspaceModels(
            assignment,
            before_check(assignment.wanted, known, served=bool(assignment.server)),
        )
        if assignment.server:
            fresh.task = asyncio.create_task(self._keep(workspace, fresh))
        self._workspaces[workspace] = fresh
        return fresh.report

    @property
    def pulls_running(self) -> int:
        return self._places.running

    def limit_changed(self) -> None:
        """More downloads may run at once than before."""
        self._places.grant_waiting()

    def forget(self, workspace: str) -> None:
        """The workspace is gone, or its server is."""
        held = self._workspaces.pop(workspace, None)
        if held is not None and held.task is not None:
            held.task.cancel()

    async def close(self) -> None:
        tasks = [held.task for held in self._workspaces.values() if held.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, name: str, held: "_WorkspaceModels") -> None:
        failures = 0
        while True:
            try:
                failed = await self._check(name, held)
            except OllamaError as error:
                _log.info("model server", workspace=name, error=str(error))
                self._publish(name, held, unanswered(held.report, error), at_once=True)
                failed = True
            except Exception:  # a bug in one workspace's sync must not end it for ever
                _log.exception("model sync broke", workspace=name)
                failed = True
            if _is_cancelled():  # what broke then took the cancellation's place
                raise asyncio.CancelledError
            failures = failures + 1 if failed else 0
            await asyncio.sleep(_pause_seconds(failures))

    async def _check(self, name: str, held: "_WorkspaceModels") -> bool:
        """Compare and mend once. Whether something failed that a retry may mend."""
        client = held.assignment.client
        failed = held.cramped = False
        attempted: set[ModelAction] = set()
        while True:
            present = [
                PresentModel(each.name, each.digest, each.size_bytes)
                for each in await client.models()
            ]
            self._on_list(name, {model.name: model.digest for model in present})
            want = await self._possible(held, present)
            found = checked(want, held.report, present)
            self._publish(name, held, found, at_once=True)
            todo = [
                each
                for each in plan_sync(want, present, held.report.recorded, cramped=held.cramped)
                if each not in attempted
            ]
            if not todo:
                return failed
            attempted.update(todo)
            failed |= not await self._carry_out(name, held, todo, present)

    async def _carry_out(
        self,
        name: str,
        held: "_WorkspaceModels",
        todo: Sequence[ModelAction],
        present: Iterable[PresentModel],
    ) -> bool:
        """Patterns first, for downloads take long, and what is removed is of use until they are
        there. Whether all went well."""
        made = [await self._create(name, held, each) for each in todo if isinstance(each, Create)]
        pulls = [each for each in todo if isinstance(each, Pull)]
        held.coming.clear()
        if pulls:
            held.present = await self._weighed(held, present)
        async with asyncio.TaskGroup() as group:
            came = [group.create_task(self._pull(name, held, each.name)) for each in pulls]
        for each in todo:
            if isinstance(each, Remove):
                await held.assignment.client.delete(each.name)
                _log.info("model removed", workspace=name, model=each.name)
        return all(made) and all(each.result() for each in came)

    async def _possible(
        self, held: "_WorkspaceModels", present: Iterable[PresentModel]
    ) -> DesiredModels:
        """What is wanted, without the patterns that would take the place of a person's models."""
        want, client = held.assignment.wanted, held.assignment.client
        there = {each.name for each in present}
        doubtful = unmanaged_patterns(want, there, held.report.recorded)
        persons = [
            each
            for each in doubtful
            if await _unless_untold(client.system(each.model), None) != each.system
        ]
        return drop_patterns(want, persons)

    async def _weighed(
        self, held: "_WorkspaceModels", present: Iterable[PresentModel]
    ) -> tuple[PresentModel, ...]:
        """The models with their weights, asked for once each. One that is gone meanwhile, or that
        the server can't tell of, counts in full."""
        known = {each.digest: each.weights for each in held.present if each.weights}
        found = []
        for each in present:
            weights = known.get(each.digest, "")
            if not weights and held.assignment.capacity_bytes:
                weights = await _unless_untold(held.assignment.client.weights(each.name), "")
            found.append(replace(each, weights=weights))
        return tuple(found)

    async def _create(self, name: str, held: "_WorkspaceModels", action: Create) -> bool:
        pattern = action.pattern
        try:
            await held.assignment.client.create(
                pattern.model, base=action.base, system=pattern.system
            )
        except OllamaUnreachableError:
            raise
        except OllamaError as error:
            self._set_pattern(name, held, create_failed(pattern, action.base, error, held.report))
            return False
        made = PatternStatus(pattern.name, ModelState.READY, action.revision)
        self._set_pattern(name, held, made)
        return True

    async def _pull(self, name: str, held: "_WorkspaceModels", model: str) -> bool:
        """Download a model, in as many turns as that takes. Whether it came."""
        while True:
            try:
                async with self._places.place(name) as place:
                    await self._download(name, held, model, place)
            except SlotExpiredError as error:
                self._set_model(name, held, pull_failed(model, error), at_once=True)
            except OllamaError as error:
                if isinstance(error, ModelTooLargeError | InsufficientSpaceError):
                    held.coming.pop(model, None)
                self._set_model(name, held, pull_failed(model, error), at_once=True)
                self._on_pull(_outcome(error))
                _log.warning("model pull failed", workspace=name, model=model, error=str(error))
                return False
            else:
                self._on_pull("ok")
                return True

    async def _download(self, name: str, held: "_WorkspaceModels", model: str, place: Slot) -> None:
        _log.info("model pull", workspace=name, model=model)
        if not held.report.failed(model):  # else what it says stays until data comes
            began = ModelStatus(model, ModelState.PULLING, managed=True)
            self._set_model(name, held, began, at_once=True)
        download = held.assignment.client.pull(
            model,
            stall_seconds=SILENCE_SECONDS,
            insecure=parse_model(model).registry in held.assignment.insecure,
        )
        async with aclosing(paced(download, asyncio.get_running_loop().time)) as steps:
            async for pace in steps:
                self._on_bytes(pace.progress.fresh_bytes)
                if pace.progress.total_bytes or not held.report.failed(model):
                    self._set_model(name, held, pulling(model, pace))
                held.coming[model] = pace.progress.total_bytes - pace.progress.shared_bytes
                _require_room(held, model)
                if pace.downloading and self._places.expire(place):
                    raise SlotExpiredError(model)

    def _set_model(
        self, name: str, held: "_WorkspaceModels", model: ModelStatus, *, at_once: bool = False
    ) -> None:
        self._publish(name, held, held.report.with_model(model), at_once=at_once)

    def _set_pattern(self, name: str, held: "_WorkspaceModels", pattern: PatternStatus) -> None:
        self._publish(name, held, held.report.with_pattern(pattern), at_once=True)

    def _publish(
        self, name: str, held: "_WorkspaceModels", report: Report, *, at_once: bool
    ) -> None:
        if report == held.report:
            return
        held.report = report
        now = asyncio.get_running_loop().time()
        if at_once or now - held.told >= _REPORT_SECONDS:
            held.told = now
            self._on_change(name)


@dataclass(slots=True)
class _WorkspaceModels:
    assignment: ModelSyncTask
    report: Report
    present: tuple[PresentModel, ...] = ()  # before the downloads that run now
    coming: dict[str, int] = field(default_factory=dict)  # bytes of each that are to be stored
    cramped: bool = False  # a model has no room before patterns that are to be made anew are gone
    told: float = float("-inf")
    task: "asyncio.Task[None] | None" = None


async def _unless_untold(told: Awaitable[str], untold: T) -> str | T:
    """What a server says of a model, or `untold` where it can't. Raises OllamaUnreachableError."""
    try:
        return await told
    except OllamaUnreachableError:
        raise
    except OllamaError:
        return untold


def _require_room(held: _WorkspaceModels, model: str) -> None:
    """Raises ModelTooLargeError or InsufficientSpaceError when the volume can't hold the model
    beside what is there and what else is being downloaded."""
    capacity = held.assignment.capacity_bytes
    needed = held.coming[model]
    others = sum(held.coming.values()) - needed
    problem = capacity_problem(model, needed, occupied_bytes(held.present) + others, capacity)
    if not problem:
        return
    leaving = held.report.leaving
    for going in (leaving, leaving | _outdated(held)):
        staying = occupied_bytes(each for each in held.present if each.name not in going)
        if not capacity_problem(model, needed, staying + others, capacity):
            held.cramped |= going != leaving
            raise InsufficientSpaceError(
                f"{model} waits for room: {', '.join(sorted(going))} is removed first"
            )
    raise ModelTooLargeError(problem)


def _outdated(held: _WorkspaceModels) -> frozenset[str]:
    there = {each.name for each in held.present}
    return outdated(held.assignment.wanted, there, held.report.recorded)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _outcome(error: OllamaError) -> str:
    if isinstance(error, ModelNotFoundError):
        return "not_found"
    return (
        "interrupted"
        if isinstance(error, OllamaUnreachableError | InsufficientSpaceError)
        else "failed"
    )


def _pause_seconds(failures: int) -> float:
    """Ten minutes between checks, less after failures."""
    return retry_seconds(failures) if failures else jittered(_CHECK_SECONDS)
