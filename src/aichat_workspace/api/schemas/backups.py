"""Bodies about backups, restores and clones."""

from datetime import datetime
from typing import Any

from pydantic import Field, StrictBool

from aichat_workspace.api.schemas.base import ApiModel, RequestBody, with_example
from aichat_workspace.domain import names
from aichat_workspace.domain.v1alpha1.backup import (
    BackupEntry,
    BackupName,
    BackupState,
    RequestText,
)
from aichat_workspace.domain.v1alpha1.field_types import DnsLabel

_NAME: str = "20261201T023000Z-0f3b9c2d"
_DESTINATION: Any = Field(
    default=None,
    description="The destination that the backup is in, as `/options` lists them; that of the list "
    "when left out. The backups of another destination are in no list, so any name is taken.",
)
_UNLISTED: Any = Field(
    default=False,
    description="Take a backup that the list does not have, as one older than the newest twenty. "
    "If the store does not have it either, the workspace's condition Restored says so.",
)


class BackupDocument(BackupEntry):
    """A backup of a workspace."""

    made_at: datetime | None = Field(
        description="When it was made, by its name; null for a name that does not say it."
    )


class LastRun(ApiModel):
    """How the last run that makes a backup went or goes."""

    state: BackupState = Field(description="How it went: Running, Done or Failed.")
    finished_at: datetime | None = Field(description="When it ended; null while it runs.")
    reason: str = Field(description="Why it failed, in one word; else empty.")
    message: str = Field(description="What is wrong and what to do; else empty.")


class BackupList(ApiModel):
    """The backups of a workspace, when they are made, and how the last run went."""

    model_config = with_example(
        {
            "items": [
                {
                    "name": _NAME,
                    "sizeBytes": 48_234_496,
                    "openWebUI": "0.6.5",
                    "madeAt": "2026-12-01T02:30:00Z",
                }
            ],
            "destination": "offsite",
            "schedule": "30 2 * * *",
            "timeZone": "Etc/UTC",
            "keep": 7,
            "isWaiting": False,
            "state": "Done",
            "reason": "",
            "message": "",
            "succeededAt": "2026-12-01T02:30:09Z",
            "lastRun": {
                "state": "Done",
                "finishedAt": "2026-12-01T02:30:09Z",
                "reason": "",
                "message": "",
            },
        }
    )

    items: tuple[BackupDocument, ...] = Field(
        description="The newest first, as of the last run; older ones than the newest twenty may "
        "be there, too."
    )
    destination: str | None = Field(description="Where they are; null before the first run.")
    schedule: str = Field(description="When they are made, as cron writes it; empty for never.")
    time_zone: str = Field(description="The time zone of the schedule.")
    keep: int | None = Field(
        description="How many stay, of scheduled and requested ones alike; null for a workspace "
        "without backups."
    )
    is_waiting: bool = Field(description="Whether one was asked for whose run has not begun.")
    state: BackupState | None = Field(
        description="How backups are: Running while one is being made; Failed where the condition "
        "BackedUp is False, also where one is overdue or has no place; else as the last run went, "
        "and null before the first."
    )
    reason: str = Field(description="Why they fail, in one word; else empty.")
    message: str = Field(
        description="What is wrong and what to do, or what a run waits for; else empty."
    )
    succeeded_at: datetime | None = Field(description="When a backup was last made; null: never.")
    last_run: LastRun | None = Field(description="How the last run went; null before the first.")


class BackupRequest(RequestBody):
    """The name of the request."""

    model_config = with_example({"request": "before-the-upgrade"})

    request: RequestText = Field(
        default="",
        description="Any text, for `spec.backup.request`. The same text makes no second backup, so "
        "a request whose answer was lost may be repeated; a new one when left out or empty.",
    )


class RestoreRequest(RequestBody):
    """The backup to restore."""

    model_config = with_example({"backup": _NAME})

    backup: BackupName = Field(description="Its name, as the list has it.")
    source: DnsLabel | None = Field(
        default=None,
        description="Another workspace of the team, whose backup it is; this one when left out.",
    )
    destination: DnsLabel | None = _DESTINATION
    unlisted: StrictBool = _UNLISTED


class CloneRequest(RequestBody):
    """The workspace to make."""

    model_config = with_example({"name": "team-a-trial"})

    name: str = Field(
        min_length=1,
        max_length=names.WORKSPACE_NAME_MAX_LENGTH,
        pattern=names.WORKSPACE_NAME_PATTERN,
        description="The new workspaceName.",
    )
    backup: BackupName | None = Field(
        default=None, description="The backup that it begins with; the newest when left out."
    )
    destination: DnsLabel | None = _DESTINATION
    unlisted: StrictBool = _UNLISTED
