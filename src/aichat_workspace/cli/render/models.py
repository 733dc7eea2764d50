"""Models in lists."""

from collections.abc import Mapping, Sequence
from typing import Any

from aichat_workspace.cli.render import words
from aichat_workspace.cli.render.lines import Line, Span, Style, line, plain
from aichat_workspace.cli.render.tables import Column, table
from aichat_workspace.cli.render.workspaces import model_state, models_of
from aichat_workspace.foundation import units

Json = Mapping[str, Any]


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
    rows = [
        (
            Span(plain(str(model["name"]))),
            model_state({"state": "Ready"}),
            Span(units.size(int(model["sizeBytes"]))),
            Span(str(model["origin"])),
        )
        for model in installed
    ]
    rows += [
        _awaited(model)
        for model in models_of(workspace)
        if not any(same_model(str(model["name"]), str(other["name"])) for other in installed)
    ]
    columns = (Column("MODEL", min_width=16), Column("STATE", min_width=10), Column("SIZE", 1))
    return table((*columns, Column("FROM", 2)), rows, width) if rows else [line("no models")]


def _awaited(model: Json) -> tuple[Span, Span, Span, Span]:
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
    )
