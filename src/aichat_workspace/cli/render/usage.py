"""Usage as tables with bars."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from aichat_workspace.cli.render import words
from aichat_workspace.cli.render.lines import Line, Span, Style, line, paragraph, plain
from aichat_workspace.cli.render.tables import Column, table
from aichat_workspace.foundation import activity, units

Json = Mapping[str, Any]
Row = tuple[Span, Span, Span, Span]

_BAR: Final = 20
_TITLES: Final = {
    "limits.cpu": "CPU",
    "limits.memory": "memory",
    "requests.storage": "volumes",
    "pods": "pods",
}
"""What most people want to know of a quota; the rest is for `-o wide`."""
_COLUMNS: Final = (
    Column("WHAT", min_width=10),
    Column("USED"),
    Column("OF"),
    Column("", rank=1),
)
_TEAM_COLUMNS: Final = (
    Column("TEAM", min_width=8),
    Column("WORKSPACES"),
    Column("CPU", rank=1),
    Column("MEMORY", rank=1),
    Column("VOLUMES", rank=2),
    Column("MODELS", rank=3),
)
_UNKNOWN: Final = "not known"


def workspace_usage(document: Json, now: datetime, width: int | None, *, wide: bool) -> list[Line]:
    """Return what a workspace uses of what it has, and when people last used it."""
    rows = [*_quota_rows(document["quota"], wide=wide)]
    rows += [_volume_row(volume) for volume in document["volumes"]]
    rows.append(_objects_row(document["objects"]))
    rows += [
        _row(plain(str(model["name"])), units.size(int(model["bytes"])), "", None)
        for model in document["models"]
    ]
    heading = line(f"{plain(document['name'])}  team {plain(document['team'])}", Style.TITLE)
    used = f"last used: {plain(activity.sentence(document.get('activity'), now))}"
    return [heading, *table(_COLUMNS, rows, width), *paragraph(used, width)]


def team_usage(document: Json, width: int | None, *, wide: bool) -> list[Line]:
    """Return what a team's workspaces use together."""
    count = words.count(int(document["workspaces"]), "workspace")
    heading = line(f"team {plain(document['team'])}  {count}", Style.TITLE)
    return [heading, *_sums(document, width, wide=wide)]


def platform_usage(document: Json, width: int | None, *, wide: bool) -> list[Line]:
    """Return what all workspaces use together, and then each team."""
    total = document["total"]
    count = words.count(int(total["workspaces"]), "workspace")
    heading = line(f"the platform  {count}", Style.TITLE)
    teams = table(_TEAM_COLUMNS, [_team_row(team) for team in document["teams"]], width)
    return [heading, *_sums(total, width, wide=wide), line(""), *teams]


def _sums(sums: Json, width: int | None, *, wide: bool) -> list[Line]:
    models, volumes = sums["models"], sums["volumes"]
    rows = [*_quota_rows(sums["quota"], wide=wide), _objects_row(sums["objects"])]
    size, capacity = int(models["bytes"]), int(volumes["capacityBytes"])
    count = words.count(int(models["count"]), "model")
    room = f"{units.size(capacity)} of volumes" if capacity else ""
    rows.append(_row(count, units.size(size), room, None))
    return table(_COLUMNS, rows, width)


def _quota_rows(quota: Sequence[Json], *, wide: bool) -> Iterator[Row]:
    for entry in quota:
        name = str(entry["resource"])
        if name in _TITLES or "/" in name or wide:
            title = name if wide else _TITLES.get(name, name)
            yield _row(plain(title), str(entry["used"]), str(entry["hard"]), entry["percent"])


def _volume_row(volume: Json) -> Row:
    title = "models' volume" if volume["name"] == "ollama" else "chat's volume"
    if volume["capacityBytes"] is None:
        return _row(title, plain(str(volume["phase"])), units.size(volume["requestedBytes"]), None)
    used, capacity = volume["modelBytes"], int(volume["capacityBytes"])
    if used is None:
        return _row(title, _UNKNOWN, units.size(capacity), None)
    percent = int(used) * 100 // capacity if capacity else None
    return _row(title, units.size(int(used)), units.size(capacity), percent)


def _objects_row(objects: Json) -> Row:
    present, expected = int(objects["present"]), int(objects["expected"])
    percent = present * 100 // expected if expected else None
    return _row("objects", str(present), str(expected), percent)


def _row(what: str, used: str, total: str, percent: int | None) -> Row:
    return Span(what), Span(used), Span(total), Span("" if percent is None else _bar(percent))


def _bar(percent: int) -> str:
    full = min(_BAR * max(percent, 0) // 100, _BAR)
    return f"{'━' * full}{'─' * (_BAR - full)} {percent:3} %"


def _team_row(team: Json) -> tuple[Span, ...]:
    entries = {entry["resource"]: entry for entry in team["quota"]}
    shares = (_share(entries.get(name)) for name in _TITLES if name != "pods")
    models = units.size(int(team["models"]["bytes"]))
    texts = (plain(str(team["team"])), str(team["workspaces"]), *shares, models)
    return tuple(Span(text) for text in texts)


def _share(entry: Json | None) -> str:
    return f"{entry['used']} of {entry['hard']}" if entry else "-"
