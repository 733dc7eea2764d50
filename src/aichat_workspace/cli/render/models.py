"""Models in lists."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from aichat_workspace.cli.render import words
from aichat_workspace.cli.render.lines import Line, Span, Style, line, plain
from aichat_workspace.cli.render.tables import Column, table
from aichat_workspace.cli.render.workspaces import model_state, models_of
from aichat_workspace.foundation import units

Json = Mapping[str, Any]
_UNKNOWN: Final = "-"
_FIELDS: Final = {
    "spec.resources.ollama.memoryLimit": "memory",
    "spec.storage.ollama.size": "volume",
}


def same_model(first: str, second: str) -> bool:
    """Whether Ollama takes two names for one model: by any case, and `latest` without a tag."""
    return _key(first) == _key(second)


def _key(name: str) -> str:
    path, slash, last = name.lower().rpartition("/")
    return f"{path}{slash}{last}" if ":" in last else f"{path}{slash}{last}:latest"


def usage_table(document: Json, width: int | None) -> list[Line]:
    """Return the models in use anywhere."""
    rows = [
        (Span(plain(str(model["name"]))), Span(words.count(int(model["workspaces"]), "workspace")))
        for model in document["inUse"]
    ]
    lines = [line("no model is in use yet")]
    if rows:
        lines = table((Column("MODEL", min_width=16), Column("USED BY")), rows, width)
    registries = ", ".join(document.get("allowedRegistries") or ()) or "any registry"
    return [*lines, line(f"Models may come from: {plain(registries)}", Style.FAINT)]


def installed_table(installed: Sequence[Json], workspace: Json, width: int | None) -> list[Line]:
    """Return what a workspace's server has, and what it does not have yet."""
    rows: list[tuple[Span, ...]] = [
        (
            Span(plain(str(model["name"]))),
            model_state({"state": "Ready"}),
            Span(units.size(int(model["sizeBytes"]))),
            Span(str(model["origin"])),
            Span(_tokens(model["contextLength"])),
            Span(plain(str(model["licence"] or _UNKNOWN))),
        )
        for model in installed
    ]
    rows += [
        _awaited(model)
        for model in models_of(workspace)
        if not any(same_model(str(model["name"]), str(other["name"])) for other in installed)
    ]
    columns = (Column("MODEL", min_width=16), Column("STATE", min_width=10), Column("SIZE", 1))
    more = (Column("FROM", 2), Column("CONTEXT", 3), Column("LICENCE", 4, 12))
    return table((*columns, *more), rows, width) if rows else [line("no models")]


def catalogue_table(document: Json, width: int | None, *, has_room: bool) -> list[Line]:
    """Return what is known of models, and whether they fit where that was asked."""
    columns = [
        Column("MODEL", min_width=16),
        Column("SIZE"),
        Column("MEMORY", 1),
        Column("CONTEXT", 3),
        Column("CAN", 2, 12),
        Column("LICENCE", 4, 12),
    ]
    rows = [_facts(model) for model in document["items"]]
    if has_room:
        columns.insert(1, Column("FITS", min_width=12))
        rows = [
            (row[0], _fit(model), *row[1:])
            for row, model in zip(rows, document["items"], strict=True)
        ]
    lines = table(columns, rows, width)
    checked = plain(str(document["checked"]))
    note = f"Sizes of models that no workspace has yet are rounded; looked up on {checked}."
    return [*lines, line(note, Style.FAINT)]


def _facts(model: Json) -> tuple[Span, ...]:
    texts = (
        plain(str(model["name"])),
        _size(model["sizeBytes"]),
        _size(model["memoryBytes"]),
        _tokens(model["contextLength"]),
        ", ".join(map(plain, model["capabilities"] or ())) or _UNKNOWN,
        plain(str(model["licence"] or _UNKNOWN)),
    )
    return tuple(Span(text) for text in texts)


def _size(count_bytes: int | None) -> str:
    return _UNKNOWN if count_bytes is None else units.size(count_bytes)


def _tokens(count: int | None) -> str:
    if count is None:
        return _UNKNOWN
    return f"{count // 1024}K" if count >= 1024 else str(count)


def _fit(model: Json) -> Span:
    if model["fits"] is None:
        return Span(_UNKNOWN, Style.FAINT)
    changes = ", ".join(
        f"{_FIELDS.get(str(change['field']), plain(str(change['field'])))} {plain(change['to'])}"
        for change in model["toRaise"]
    )
    if not model["fits"]:
        return Span(f"▲ needs {changes}", Style.BAD)
    return Span(f"● yes, better {changes}" if changes else "● yes", Style.GOOD)


def _awaited(model: Json) -> tuple[Span, ...]:
    total = int(model.get("totalBytes") or 0)
    state, kind = model_state(model), model.get("state")
    if kind == "Failed":
        state = Span(f"{state.text}: {plain(str(model.get('message') or ''))}", state.style)
    elif kind == "Pulling":
        state = Span(f"{state.text} {model.get('percent', 0)} %", state.style)
    return (
        Span(plain(str(model["name"]))),
        state,
        Span(units.size(total) if total else ""),
        Span("model"),
        Span(_UNKNOWN),
        Span(_UNKNOWN),
    )
