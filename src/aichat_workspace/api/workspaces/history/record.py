"""The record of a workspace's changes: an annotation of its resource, of bounded size, which the
API writes together with each change.

Anyone who may write to the resource may change it, so it informs people and proves nothing.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

import orjson
from pydantic import ValidationError

from aichat_workspace.api.schemas.history import HistoryEntry
from aichat_workspace.api.workspaces.history.changes import Change
from aichat_workspace.domain import names
from aichat_workspace.kube.objects import Json

MAX_ENTRIES: Final = 20
MAX_BYTES: Final = 8 * 1024
MAX_ANNOTATIONS_BYTES: Final = 256 * 1024
"""Of all names and values of a resource's annotations; Kubernetes refuses more.
https://github.com/kubernetes/apimachinery/blob/master/pkg/api/validation/objectmeta.go
"""
_MAX_CHARACTERS: Final = 64
_MAX_USER_CHARACTERS: Final = 128
_MAX_NAMES: Final = 5
_ANNOTATION: Final = names.HISTORY_ANNOTATION
_POINTER: Final = "/metadata/annotations"


def entry(change: Change, user: str, now: datetime, request_id: str) -> HistoryEntry:
    """Return the entry of a change. What is long is cut: a full one has less than MAX_BYTES."""
    return HistoryEntry(
        time=now.astimezone(UTC).replace(microsecond=0),
        action=change.action,
        user=_cut(user, _MAX_USER_CHARACTERS),
        changed=cut_all(change.fields),
        added=cut_all(change.added),
        removed=cut_all(change.removed),
        request_id=_cut(request_id) or None,
    )


def cut_all(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the first of the texts, with a … for what is left out."""
    texts = tuple(map(_cut, texts))
    return texts if len(texts) <= _MAX_NAMES else (*texts[: _MAX_NAMES - 1], "…")


def _cut(text: str, characters: int = _MAX_CHARACTERS) -> str:
    return text if len(text) <= characters else text[: characters - 1] + "…"


def parse(annotations: Mapping[str, str]) -> list[HistoryEntry]:
    """Return the record's entries, the oldest first; without those that the API did not write so.

    Anyone who edits the annotation may have put anything there.
    """
    text = annotations.get(_ANNOTATION, "")
    if len(text) > MAX_BYTES:
        return []
    try:
        items = orjson.loads(text or "[]")
    except orjson.JSONDecodeError:
        return []
    entries = map(_parse_entry, items if isinstance(items, list) else ())
    return [parsed for parsed in entries if parsed is not None]


def _parse_entry(item: object) -> HistoryEntry | None:
    try:
        parsed = HistoryEntry.model_validate(item)
    except ValidationError:
        return None
    return parsed if parsed.user is not None else None


def text(entries: Iterable[HistoryEntry], max_bytes: int = MAX_BYTES) -> str:
    """Return the annotation's text with the newest of the entries that there is room for; empty
    where there is none for any."""
    documents = [
        document.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        for document in entries
    ][-MAX_ENTRIES:]
    while documents and len(orjson.dumps(documents)) > max_bytes:
        del documents[0]
    return orjson.dumps(documents).decode() if documents else ""


def annotation(new_entry: HistoryEntry) -> dict[str, str]:
    """Return the annotation of a new resource."""
    return {_ANNOTATION: text([new_entry])}


def operations(annotations: Mapping[str, str], new_entry: HistoryEntry) -> list[Json]:
    """Return the JSON patch's operations that add an entry to the record, as far as the resource's
    other annotations leave room: a change is worth more than its record.

    Where a resource has no annotations, they test that none have come meanwhile: to add the map
    would replace them.
    """
    record = text([*parse(annotations), new_entry], _max_bytes(annotations))
    if not record and _ANNOTATION not in annotations:
        return []
    if annotations:
        member = _ANNOTATION.replace("~", "~0").replace("/", "~1")
        return [{"op": "add", "path": f"{_POINTER}/{member}", "value": record}]
    return [
        {"op": "test", "path": _POINTER, "value": None},
        {"op": "add", "path": _POINTER, "value": {_ANNOTATION: record}},
    ]


def _max_bytes(annotations: Mapping[str, str]) -> int:
    """Return how long the record may be beside the other annotations."""
    others = sum(
        len(name.encode()) + len(value.encode())
        for name, value in annotations.items()
        if name != _ANNOTATION
    )
    return min(MAX_BYTES, MAX_ANNOTATIONS_BYTES - others - len(_ANNOTATION))
