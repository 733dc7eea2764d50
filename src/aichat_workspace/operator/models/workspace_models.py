"""The models of one workspace, compared with the desired ones again and again."""

import asyncio
from collections.abc import Awaitable, Iterable
from contextlib import aclosing
from dataclasses import replace
from enum import Enum, auto
from typing import Final, TypeVar

import structlog

from aichat_workspace.domain.models.capacity import (
    PresentModel,
    memory_problem,
)
from aichat_workspace.domain.models.name import model_key, parse_model
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
    plan_sync,
    removable,
    unmanaged_patterns,
)
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.ollama.errors import (
    NewerServerNeededError,
    OllamaError,
    OllamaUnreachableError,
)
from aichat_workspace.operator.models.downloads import (
    SILENCE_SECONDS,
    DownloadSlots,
    Slot,
    with_speed,
)
from aichat_workspace.operator.models.errors import (
    InsufficientSpaceError,
    ModelExceedsMemoryError,
    ModelTooLargeError,
    SlotExpiredError,
    goes_on,
)
from aichat_workspace.operator.models.problems import (
    hosted,
    not_listed,
    not_refreshed,
    pull_problem,
    with_next_try,
)
from aichat_workspace.operator.models.published_report import PublishedReport
from aichat_workspace.operator.models.put_offs import PutOffs
from aichat_workspace.operator.models.refreshes import Refreshes
from aichat_workspace.operator.models.report import (
    Report,
    checked,
    create_failed,
    differs,
    pull_failed,
    pull_paused,
    pulling,
    unanswered,
)
from aichat_workspace.operator.models.task import ModelSyncTask, SyncObserver
from aichat_workspace.operator.models.volume_space import VolumeSpace
from aichat_workspace.operator.retries import jittered, retry_seconds

_CHECK_SECONDS: Final = 600.0
_STOPPED: Final = (ModelTooLargeError, ModelExceedsMemoryError, InsufficientSpaceError)
_RESULTS: Final = {Reason.MODEL_FAILED: "failed", Reason.MODEL_NOT_FOUND: "not_found"}
"""The metric's results of ended downloads, by the reasons of models that failed."""
_log: Final = structlog.get_logger()
T = TypeVar("T")


class _Ended(Enum):
    """How a download ended."""

    CAME = auto()
    FAILED = auto()
    PUT_OFF = auto()
    """Something has to change first."""


class WorkspaceModels:
    """The model sync of one workspace."""

    def __init__(
        self,
        name: str,
        task: ModelSyncTask,
        report: Report,
        slots: DownloadSlots,
        observer: SyncObserver,
    ) -> None:
        self.task = task
        self._name = name
        self._client = task.client
        self._slots = slots
        self._observer = observer
        self._space = VolumeSpace(task.capacity_bytes)
        self._listed_bytes = 0
        """The sum of the sizes in the server's list."""
        self._waiting: set[str] = set()
        """Models that wait for room that removals make."""
        self._put_offs = PutOffs()
        self._refreshes = Refreshes(
            is_requested=task.refresh not in ("", report.refreshed), follows_tags=task.follows_tags
        )
        self._has_checked_pins = False
        self._published = PublishedReport(name, report, observer)
        self._run: asyncio.Task[None] | None = None

    @property
    def report(self) -> Report:
        """How far the workspace is."""
        return self._published.report

    def start(self) -> None:
        """Check and repair again and again, until stopped."""
        self._run = asyncio.create_task(self._keep())

    def stop(self) -> "asyncio.Task[None] | None":
        """Cancel the sync. Return what there is to wait for."""
        if self._run is not None:
            self._run.cancel()
        return self._run

    async def _keep(self) -> None:
        failures = 0
        while True:
            try:
                failed = await self._check()
            except OllamaError as error:
                _log.info("model server", workspace=self._name, error=str(error))
                self._published.set(unanswered(self.report, error), at_once=True)
                failed = True
            except Exception:  # a bug in one workspace's sync must not end it for ever
                _log.exception("model sync crashed", workspace=self._name)
                failed = True
            if _is_cancelled():  # the exception took the cancellation's place
                raise asyncio.CancelledError
            failures = failures + 1 if failed else 0
            await asyncio.sleep(_pause_seconds(failures))

    async def _check(self) -> bool:
        """Compare and repair once. Return whether something failed that a retry may mend."""
        downloads: dict[str, asyncio.Task[_Ended]] = {}
        try:
            return await self._repair(downloads)
        finally:
            for download in downloads.values():
                download.cancel()
            await asyncio.gather(*downloads.values(), return_exceptions=True)

    async def _repair(self, downloads: "dict[str, asyncio.Task[_Ended]]") -> bool:
        """Look at the server's list again as soon as a download has ended, so that a model is ready
        and patterns are made of it while others still come."""
        failed = False
        self._refreshes.begin_check(self.task.desired.models)
        attempted: set[ModelAction] = set()
        self._space.clear_downloads()
        self._waiting.clear()
        downloaded: list[str] = []
        while True:
            present = await self._list()
            desired = await self._feasible(present)
            if not self._has_checked_pins:  # what the registry has now may be what is desired
                self._has_checked_pins = True
                self._refreshes.add(model.key for model in present if differs(model, desired))
            report = checked(desired, self.report, present, self.task.memory_bytes)
            for name in downloaded:
                is_listed = _is_listed(name, present)
                self._observer.on_pull("ok" if is_listed else "failed")
                if not is_listed:
                    _log.warning("model not listed", workspace=self._name, model=name)
                    report = report.with_model(self._put_off(name, not_listed(name)))
            self._published.set(report.with_notes(self._refreshes.notes), at_once=True)
            managed = self.report.managed
            self._space.removable = removable(desired, present, managed)
            actions = [
                action
                for action in plan_sync(desired, present, managed, low_space=bool(self._waiting))
                if action not in attempted
                and not (
                    isinstance(action, Pull) and self._put_offs.has(action.name, self._listed_bytes)
                )
            ]
            failed |= not await self._create_all(actions)
            pulls = [action.name for action in actions if isinstance(action, Pull)]
            if pulls or downloads:
                self._space.present = await self._with_weights(present)
            downloads |= {name: asyncio.create_task(self._pull(name)) for name in pulls}
            self._refreshes.drop(pulls)
            attempted.update(action for action in actions if not isinstance(action, Remove))
            if downloads:
                ended = await self._any_ended(downloads)
                downloaded = [model for model, end in ended.items() if end is _Ended.CAME]
                failed |= _Ended.FAILED in ended.values()
                attempted -= {Pull(name) for name, end in ended.items() if end is _Ended.PUT_OFF}
            elif removals := [action for action in actions if isinstance(action, Remove)]:
                attempted.update(removals)
                await self._remove_all(removals)
                attempted -= {Pull(name) for name in self._waiting}
            elif due := self._refreshes.next(present):
                await self._refresh(due)
            elif not actions:
                return failed or not self._settle_refresh()

    async def _any_ended(self, downloads: "dict[str, asyncio.Task[_Ended]]") -> dict[str, _Ended]:
        """Wait until a download has ended, and take it out. Return which ended, and how."""
        await asyncio.wait(downloads.values(), return_when=asyncio.FIRST_COMPLETED)
        ended = [model for model, download in downloads.items() if download.done()]
        outcomes = {model: downloads.pop(model).result() for model in ended}
        for model, end in outcomes.items():
            if end is _Ended.CAME:  # the server's next list has it
                self._space.end_download(model)
        return outcomes

    async def _list(self) -> list[PresentModel]:
        present = [
            PresentModel(model.name, model.digest, model.size_bytes)
            for model in await self._client.models()
        ]
        self._listed_bytes = sum(model.size_bytes for model in present)
        self._observer.on_list(self._name, {model.name: model.digest for model in present})
        return present

    async def _create_all(self, actions: Iterable[ModelAction]) -> bool:
        created = [await self._create(action) for action in actions if isinstance(action, Create)]
        return all(created)

    async def _remove_all(self, removals: Iterable[Remove]) -> None:
        """Remove models; last, because they are of use meanwhile."""
        for removal in removals:
            await self._client.delete(removal.name)
            _log.info("model removed", workspace=self._name, model=removal.name)

    async def _feasible(self, present: Iterable[PresentModel]) -> DesiredModels:
        """The desired models, without the patterns that would replace a person's own models."""
        desired = self.task.desired
        keys = {model.key for model in present}
        foreign = [
            pattern
            for pattern in unmanaged_patterns(desired, keys, self.report.managed)
            if await _or_default(self._client.system(pattern.model), None) != pattern.system
        ]
        return drop_patterns(desired, foreign)

    async def _with_weights(self, present: Iterable[PresentModel]) -> tuple[PresentModel, ...]:
        """The models with their weights, asked for once each. A model that is gone meanwhile, or
        that the server can't describe, counts in full."""
        known = {model.digest: model.weights for model in self._space.present if model.weights}
        models = []
        for model in present:
            weights = known.get(model.digest, "")
            if not weights and self._space.capacity_bytes:
                weights = await _or_default(self._client.weights(model.name), "")
            models.append(replace(model, weights=weights))
        return tuple(models)

    async def _create(self, action: Create) -> bool:
        pattern = action.pattern
        try:
            await self._client.create(pattern.model, base=action.base, system=pattern.system)
        except OllamaUnreachableError:
            raise
        except OllamaError as error:
            self._published.set_pattern(create_failed(pattern, action.base, error, self.report))
            return False
        self._published.set_pattern(PatternStatus(pattern.name, ModelState.READY, action.revision))
        return True

    async def _pull(self, model: str) -> _Ended:
        """Download a model, in as many slots as that takes."""
        if parse_model(model).is_hosted:
            self._published.set_model(self._put_off(model, hosted(model)), at_once=True)
            return _Ended.PUT_OFF
        while True:
            try:
                async with self._slots.slot(self._name) as slot:
                    await self._download(model, slot)
            except SlotExpiredError as error:
                self._published.set_model(pull_paused(model, error), at_once=True)
            except OllamaError as error:
                _log.warning(
                    "model pull failed", workspace=self._name, model=model, error=str(error)
                )
                return await self._give_up(model, error)
            else:
                return _Ended.CAME

    async def _refresh(self, model: str) -> None:
        """Look a present model up at its registry, and follow its tag. It is of use meanwhile."""
        self._refreshes.begin(model)
        while True:
            try:
                async with self._slots.slot(self._name) as slot:
                    await self._download(model, slot, is_quiet=True)
            except SlotExpiredError:
                continue
            except OllamaError as error:
                _log.warning(
                    "model refresh failed", workspace=self._name, model=model, error=str(error)
                )
                passes = goes_on(error) or type(error) is OllamaError
                note = not_refreshed(model, error, passes=passes)
                self._refreshes.fail(model, note, is_tried_again=passes)
                self._observer.on_pull("interrupted" if goes_on(error) else "failed")
            else:
                self._observer.on_pull("ok")
            self._space.end_download(model)
            return

    def _settle_refresh(self) -> bool:
        """Return whether nothing is left to look up again; then a person's request is met."""
        if not self._refreshes.are_complete:
            return False
        self._published.set(replace(self.report, refreshed=self.task.refresh), at_once=True)
        return True

    async def _give_up(self, model: str, error: OllamaError) -> _Ended:
        """Report what ended a download, and put it off where something has to change first."""
        if isinstance(error, _STOPPED):
            self._space.end_download(model)
        if isinstance(error, InsufficientSpaceError):
            self._waiting.add(model)
        if goes_on(error):
            self._observer.on_pull("interrupted")
            self._published.set_model(pull_paused(model, error), at_once=True)
            return _Ended.FAILED
        version = await self._version() if isinstance(error, NewerServerNeededError) else ""
        problem = pull_problem(model, error, self._name, version)
        self._observer.on_pull(_RESULTS.get(problem.reason, "refused"))
        if problem.reason == Reason.MODEL_FAILED:
            self._published.set_model(pull_failed(model, problem), at_once=True)
            return _Ended.FAILED
        self._published.set_model(self._put_off(model, problem), at_once=True)
        return _Ended.PUT_OFF

    async def _version(self) -> str:
        try:
            return await self._client.version()
        except OllamaError:
            return ""

    def _put_off(self, model: str, problem: Problem) -> ModelStatus:
        """Do not try a model before something changes. Return its status, with the time of the next
        try where there is one."""
        next_try = self._put_offs.put_off(model, problem, self._listed_bytes)
        status = pull_failed(model, problem)
        return (
            status
            if next_try is None
            else replace(status, message=with_next_try(problem, next_try))
        )

    async def _download(self, model: str, slot: Slot, *, is_quiet: bool = False) -> None:
        """Download a model and report its progress, unless `is_quiet`: it is there already."""
        _log.info("model pull", workspace=self._name, model=model)
        # A failure's message stays until data comes.
        if not is_quiet and not self.report.has_failed(model):
            begun = ModelStatus(model, ModelState.PULLING, managed=True)
            self._published.set_model(begun, at_once=True)
        download = self._client.pull(
            model,
            stall_seconds=SILENCE_SECONDS,
            insecure=parse_model(model).registry in self.task.insecure_registries,
        )
        clock = asyncio.get_running_loop().time
        async with aclosing(with_speed(download, clock)) as updates:
            async for update in updates:
                progress = update.progress
                self._observer.on_bytes(progress.fresh_bytes)
                if not is_quiet and (progress.total_bytes or not self.report.has_failed(model)):
                    status = pulling(model, update)
                    self._published.set_model(status, at_once=not self.report.is_alike(status))
                self._require_memory(model, progress.total_bytes)
                self._space.require(model, progress.total_bytes - progress.shared_bytes)
                if update.is_downloading and self._slots.expire(slot):
                    raise SlotExpiredError(model)

    def _require_memory(self, model: str, size_bytes: int) -> None:
        if problem := memory_problem(model, size_bytes, self.task.memory_bytes):
            raise ModelExceedsMemoryError(problem)


async def _or_default(answer: Awaitable[str], default: T) -> str | T:
    """Return what a server says of a model, or the default where it can't.

    Raises OllamaUnreachableError.
    """
    try:
        return await answer
    except OllamaUnreachableError:
        raise
    except OllamaError:
        return default


def _is_listed(name: str, present: Iterable[PresentModel]) -> bool:
    return model_key(name) in {model.key for model in present}


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _pause_seconds(failures: int) -> float:
    """Ten minutes between checks, less after failures."""
    return retry_seconds(failures) if failures else jittered(_CHECK_SECONDS)
