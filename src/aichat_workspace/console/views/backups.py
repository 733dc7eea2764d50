"""The backups of a workspace on its page: when they are made, and what there is."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from aichat_workspace.console.texts import TEXTS
from aichat_workspace.console.views.rows import Row
from aichat_workspace.console.views.states import Document, Time, time
from aichat_workspace.foundation import units
from aichat_workspace.foundation.states import RUNS, State, run_state

_MAX_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Rights:
    """What the person may do with the workspace's team."""

    can_change: bool
    can_create: bool
    has_destination: bool
    """Whether the platform has a place for the team's backups."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup, and the pages that it can be used on."""

    name: str
    time: Time | None
    """None where its name does not say when."""
    size: str
    open_webui: str
    restore_path: str
    clone_path: str


@dataclass(frozen=True, slots=True)
class Backups:
    """The card of a workspace's backups."""

    items: tuple[Backup, ...]
    last: Time | None
    """When one was last made."""
    schedule: str
    state: State | None
    """How they are, by the condition where that is False; None before the first run."""
    message: str
    """What is wrong with it, or what it waits for."""
    restore_state: State | None
    restore_message: str
    can_back_up: bool
    can_restore: bool
    can_clone: bool
    has_destination: bool


def backups(
    document: Document, listing: Document, row: Row, rights: Rights, now: datetime
) -> Backups:
    """Return the view of a workspace's backups, as the API lists them."""
    is_settled, items = not row.is_deleting, tuple(_items(listing, row, now))
    succeeded_at, restore = listing["succeededAt"], document["status"].get("restore") or {}
    return Backups(
        items=items,
        last=time(succeeded_at, now) if succeeded_at else None,
        schedule=_schedule(listing),
        state=_state(listing),
        message=listing["message"],
        restore_state=run_state(restore["state"]) if restore else None,
        restore_message=str(restore.get("message") or ""),
        can_back_up=is_settled and rights.can_change and rights.has_destination,
        can_restore=is_settled and rights.can_change,
        can_clone=is_settled and rights.can_create,
        has_destination=rights.has_destination,
    )


def _items(listing: Document, row: Row, now: datetime) -> Iterator[Backup]:
    for backup in listing["items"][:_MAX_SHOWN]:
        query = urlencode({"backup": backup["name"]})
        yield Backup(
            name=backup["name"],
            time=time(backup["madeAt"], now) if backup["madeAt"] else None,
            size=units.size(backup["sizeBytes"]),
            open_webui=backup["openWebUI"] or TEXTS["not_known"],
            restore_path=f"{row.action('restore')}&{query}",
            clone_path=f"{row.action('clone')}&{query}",
        )


def _schedule(listing: Document) -> str:
    if not listing["schedule"]:
        return TEXTS["backup_on_demand"]
    return TEXTS["backup_schedule"].format(
        schedule=listing["schedule"], zone=listing["timeZone"], keep=listing["keep"]
    )


def _state(listing: Document) -> State | None:
    if listing["isWaiting"]:
        return RUNS["Running"]
    return run_state(listing["state"]) if listing["state"] else None
