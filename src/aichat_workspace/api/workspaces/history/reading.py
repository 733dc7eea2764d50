"""The history of a workspace: the API's record, and what Kubernetes recorded of field managers."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from aichat_workspace.api.schemas.history import Action, HistoryEntry
from aichat_workspace.api.workspaces.history import record
from aichat_workspace.domain import names
from aichat_workspace.foundation.metadata import annotations
from aichat_workspace.kube.objects import Json

_OWN_MANAGERS: Final = frozenset({names.API, names.OPERATOR})
_MAX_MANAGERS: Final = 20
_MAX_DEPTH: Final = 5
_UNNAMED: Final = "an unnamed client"
_METADATA: Final = ("labels", "annotations")


def history(obj: Json) -> list[HistoryEntry]:
    """Return the changes of a resource with its managedFields, the newest first."""
    metadata, marks = obj["metadata"], annotations(obj)
    is_own = names.REQUESTED_BY_ANNOTATION in marks
    entries = [*record.parse(marks)[::-1], *_managers(metadata, is_own=is_own)]
    if deleted := metadata.get("deletionTimestamp"):
        entries.append(HistoryEntry(time=datetime.fromisoformat(deleted), action=Action.DELETE))
    return sorted(entries, key=lambda entry: entry.time, reverse=True)


def _managers(metadata: Mapping[str, Any], *, is_own: bool) -> list[HistoryEntry]:
    """Return the last change of each other field manager, the newest first.

    Status is the operator's report. What the API has created (`is_own`), none of them has, though
    one may have changed it within the same second.
    """
    created = None if is_own else metadata["creationTimestamp"]
    entries = [
        HistoryEntry(
            time=datetime.fromisoformat(owned["time"]),
            action=Action.CREATE if owned["time"] == created else Action.EDIT,
            manager=record.cut_all([owned.get("manager") or _UNNAMED])[0],
            changed=record.cut_all(_paths(owned.get("fieldsV1") or {})),
        )
        for owned in metadata.get("managedFields") or ()
        if owned.get("manager") not in _OWN_MANAGERS
        and not owned.get("subresource")
        and owned.get("time")
    ]
    return sorted(entries, key=lambda entry: entry.time, reverse=True)[:_MAX_MANAGERS]


def _paths(fields: Mapping[str, Any]) -> Iterator[str]:
    """Yield the paths of the spec's fields; of labels and annotations, only that there are some."""
    if "f:spec" in fields:
        yield from _leaves(fields["f:spec"], "spec")
    metadata = fields.get("f:metadata") or {}
    yield from (f"metadata.{part}" for part in _METADATA if f"f:{part}" in metadata)


def _leaves(fields: Mapping[str, Any], path: str, depth: int = 1) -> Iterator[str]:
    """Yield the paths of a field's innermost fields; those that are too deep are one field."""
    children = {name[2:]: child for name, child in fields.items() if name.startswith("f:")}
    if not children or depth == _MAX_DEPTH:
        yield path
        return
    for name, child in children.items():
        yield from _leaves(child, f"{path}.{name}", depth + 1)
