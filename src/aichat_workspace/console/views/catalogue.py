"""Models to choose from, and whether they fit."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from aichat_workspace.console.texts import TEXTS
from aichat_workspace.console.views.rows import safe_url
from aichat_workspace.console.views.states import Document
from aichat_workspace.foundation import units
from aichat_workspace.foundation.states import State

_FIELDS: Final = {
    "spec.resources.ollama.memoryLimit": "raise_memory",
    "spec.storage.ollama.size": "raise_volume",
}


@dataclass(frozen=True, slots=True)
class CatalogueModel:
    """A model that a workspace may have."""

    name: str
    size: str
    memory: str
    context: str
    abilities: str
    licence: str
    source: str | None
    """Where more is said of it."""
    fit: State | None
    """None where it was not asked for, or is not known."""
    change: str
    """What has to be raised, or better is."""
    workspaces: int
    """How many ask for it."""


def catalogue(documents: Iterable[Document]) -> tuple[CatalogueModel, ...]:
    """Return the rows of the catalogue; what is not known is a dash."""
    return tuple(map(_model, documents))


def _model(document: Document) -> CatalogueModel:
    changes = ", ".join(map(_change, document["toRaise"]))
    return CatalogueModel(
        name=document["name"],
        size=_size(document["sizeBytes"]),
        memory=_size(document["memoryBytes"]),
        context=_tokens(document["contextLength"]),
        abilities=", ".join(document["capabilities"] or ()) or TEXTS["not_known"],
        licence=document["licence"] or TEXTS["not_known"],
        source=safe_url(document["source"]),
        fit=_fit(document["fits"], is_changed=bool(changes)),
        change=changes,
        workspaces=document["workspaces"],
    )


def _fit(fits: bool | None, *, is_changed: bool) -> State | None:
    if fits is None:
        return None
    if not fits:
        return State(TEXTS["fits_not"], "trouble")
    if is_changed:
        return State(TEXTS["fits_better"], "working")
    return State(TEXTS["fits"], "good")


def _change(document: Document) -> str:
    words = TEXTS.get(_FIELDS.get(document["field"], ""), document["field"])
    return f"{words} {document['to']}"


def _size(count_bytes: int | None) -> str:
    return TEXTS["not_known"] if count_bytes is None else units.size(count_bytes)


def _tokens(count: int | None) -> str:
    if count is None:
        return TEXTS["not_known"]
    return f"{count // 1024}K" if count >= 1024 else str(count)
