"""The report of one workspace's models, and how often others are told of its changes."""

import asyncio
from typing import Final

from aichat_workspace.domain.models.status import ModelStatus, PatternStatus
from aichat_workspace.operator.models.report import Report
from aichat_workspace.operator.models.task import SyncObserver

_PROGRESS_SECONDS: Final = 5.0
_SLOW_PROGRESS_SECONDS: Final = 60.0


class PublishedReport:
    """What is known of one workspace's models now. `observer` is called when it changes."""

    def __init__(self, workspace: str, report: Report, observer: SyncObserver) -> None:
        self.report = report
        self._workspace = workspace
        self._observer = observer
        self._published = report
        self._published_at = float("-inf")

    def set_model(self, model: ModelStatus, *, at_once: bool = False) -> None:
        """Replace one model's status."""
        self.set(self.report.with_model(model), at_once=at_once)

    def set_pattern(self, pattern: PatternStatus) -> None:
        """Replace one pattern's status."""
        self.set(self.report.with_pattern(pattern), at_once=True)

    def set(self, report: Report, *, at_once: bool) -> None:
        """Replace the report. Progress, which is not `at_once`, is published now and then."""
        if report == self.report:
            return
        self.report = report
        now = asyncio.get_running_loop().time()
        pause = now - self._published_at
        has_come_on = report.percents != self._published.percents
        if at_once:
            self._observer.on_change(self._workspace)
        elif pause >= (_PROGRESS_SECONDS if has_come_on else _SLOW_PROGRESS_SECONDS):
            self._observer.on_progress(self._workspace)
        else:
            return
        self._published, self._published_at = report, now
