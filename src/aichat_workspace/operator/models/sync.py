"""Keeps the models of all workspaces as desired, beside reconciliation and never inside it.

Each workspace has a task of its own, so a server that hangs delays no other workspace. Downloads
wait for one of a limited number of slots.
"""

import asyncio
from collections.abc import Callable

from aichat_workspace.operator.models.downloads import (
    DownloadSlots,
)
from aichat_workspace.operator.models.report import Report, before_check
from aichat_workspace.operator.models.task import ModelSyncTask, SyncObserver
from aichat_workspace.operator.models.workspace_models import WorkspaceModels


class ModelSync:
    """The model syncs of all workspaces."""

    def __init__(self, observer: SyncObserver, *, concurrent_pulls: Callable[[], int]) -> None:
        self._observer = observer
        self._slots = DownloadSlots(concurrent_pulls)
        self._workspaces: dict[str, WorkspaceModels] = {}

    def set_desired(self, name: str, task: ModelSyncTask) -> Report:
        """Take over what a workspace desires. Return how far it is.

        The same as before costs nothing. A server that is not ready is not asked.
        """
        previous = self._workspaces.get(name)
        if previous is not None and previous.task == task:
            return previous.report
        known = previous.report if previous else task.recorded
        self.forget(name)
        report = before_check(task.desired, known, served=bool(task.server))
        models = WorkspaceModels(name, task, report, self._slots, self._observer)
        if task.server:
            models.start()
        self._workspaces[name] = models
        return models.report

    def report(self, name: str) -> Report | None:
        """Return how far a workspace is; None where none is synchronized."""
        models = self._workspaces.get(name)
        return models.report if models else None

    @property
    def pulls_running(self) -> int:
        """How many models are being downloaded."""
        return self._slots.running

    def limit_changed(self) -> None:
        """Look at the limit again: more downloads may run at once than before."""
        self._slots.grant_waiting()

    def forget(self, name: str) -> None:
        """Stop the sync of a workspace."""
        models = self._workspaces.pop(name, None)
        if models is not None:
            models.stop()

    async def close(self) -> None:
        """Stop all syncs, and wait until they have ended."""
        runs = [models.stop() for models in self._workspaces.values()]
        await asyncio.gather(*filter(None, runs), return_exceptions=True)
