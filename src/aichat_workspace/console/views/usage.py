"""What is used of what there is, as gauges."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from aichat_workspace.console.texts import TEXTS
from aichat_workspace.console.views.states import Document
from aichat_workspace.foundation import units

_RESOURCES: Final = ("limits.cpu", "limits.memory", "requests.storage", "pods")
"""What most people want to know of a quota, in their order; and graphics processors."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """An amount of something, and how much of it is used."""

    title: str
    text: str
    """As `3 of 6`."""
    percent: int | None
    """None where it is not known."""


@dataclass(frozen=True, slots=True)
class TeamRow:
    """A team among others."""

    name: str
    workspaces: int
    gauges: tuple[Gauge, ...]

    def in_order(self, titles: Iterable[str]) -> list[Gauge | None]:
        """Return the gauge of each title; None for what the team does not have."""
        by_title = {gauge.title: gauge for gauge in self.gauges}
        return [by_title.get(title) for title in titles]


def titles(rows: Iterable[TeamRow]) -> tuple[str, ...]:
    """Return the titles of all gauges, each once."""
    return tuple(dict.fromkeys(gauge.title for row in rows for gauge in row.gauges))


def workspace_gauges(document: Document) -> tuple[Gauge, ...]:
    """Return the gauges of a workspace: its quota and its volumes."""
    volumes = [_volume(volume) for volume in document["volumes"]]
    return (*_quota(document["quota"]), *volumes)


def team_gauges(document: Document) -> tuple[Gauge, ...]:
    """Return the gauges of a team: the sums of its quotas, and its models."""
    models, volumes = document["models"], document["volumes"]
    size, capacity = units.size(models["bytes"]), volumes["capacityBytes"]
    # No volume is bound yet, or none may be seen.
    text = _of(size, units.size(capacity)) if capacity else size
    return (*_quota(document["quota"]), Gauge(TEXTS["gauge_models"], text, None))


def team_rows(documents: Iterable[Document]) -> tuple[TeamRow, ...]:
    """Return each team with its gauges."""
    return tuple(
        TeamRow(document["team"], document["workspaces"], tuple(_quota(document["quota"])))
        for document in documents
    )


def _quota(entries: Iterable[Document]) -> Iterator[Gauge]:
    by_name = {entry["resource"]: entry for entry in entries}
    devices = sorted(name for name in by_name if "/" in name)
    for name in (*_RESOURCES, *devices):
        if entry := by_name.get(name):
            title = TEXTS.get(f"gauge_{name}", name)
            yield Gauge(title, _of(entry["used"], entry["hard"]), entry["percent"])


def _volume(volume: Document) -> Gauge:
    known = f"gauge_volume_{volume['name']}"
    title = TEXTS.get(known, volume["name"])
    used, capacity = volume["modelBytes"], volume["capacityBytes"]
    if capacity is None:
        return Gauge(title, _of(volume["phase"], units.size(volume["requestedBytes"])), None)
    if used is None:
        return Gauge(title, units.size(capacity), None)
    percent = used * 100 // capacity if capacity else None
    return Gauge(title, _of(units.size(used), units.size(capacity)), percent)


def _of(used: str, total: str) -> str:
    return TEXTS["about"].format(bytes=used, total=total)
