"""When people last used a workspace, from what its chat and the API have noted."""

from datetime import datetime, timedelta
from typing import Final

from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.domain.v1alpha1.workspace_status import ActivityRecord

_CLOCKS_DIFFER: Final = timedelta(minutes=5)
"""A note of a later time than this ahead is no time of a prompt."""


def activity_record(
    workspace: Workspace, seen: ActivityRecord | None, now: datetime
) -> ActivityRecord | None:
    """Return what to report of a workspace's use: the latest of what is known.

    `seen` is what its chat was last asked; None where it was not. A time that was reported once
    stays: a chat may forget, as when people delete their accounts.
    """
    reported = workspace.status.activity or ActivityRecord()
    newest = seen or reported
    prompted = workspace.prompted_at
    moments = (
        newest.used_at,
        reported.used_at,
        prompted if prompted and prompted <= now + _CLOCKS_DIFFER else None,
    )
    last = max((moment for moment in moments if moment), default=None)
    record = newest.model_copy(update={"used_at": last})
    return None if record == ActivityRecord() else record
