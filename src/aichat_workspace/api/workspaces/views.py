"""A workspace as the API shows it, made once for each state and shared by all who read it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from aichat_workspace.domain import names
from aichat_workspace.domain.v1alpha1.workspace_status import Phase
from aichat_workspace.kube.objects import Json, Key, annotations, key, uid

_NAME_TAKEN: Final = "WorkspaceNameTaken"


@dataclass(frozen=True, slots=True)
class View:
    """One state of one AIChatWorkspace. `body` is its JSON; `document` the same as data."""

    key: Key
    name: str
    version: int
    etag: str
    phase: str
    owner: str
    document: Mapping[str, Any]
    body: bytes

    @property
    def team(self) -> str:
        return self.key[0]

    @property
    def resource(self) -> str:
        return self.key[1]

    @property
    def order(self) -> tuple[str, str, str]:
        """By which lists are sorted; it never changes while the resource lives."""
        return (self.name, *self.key)

    @property
    def rank(self) -> tuple[bool, str, str]:
        """Which of several resources of one workspaceName counts: the one that was not turned
        away, then the oldest, as the operator decides."""
        conditions = self.document["status"].get("conditions", ())
        turned_away = any(each.get("reason") == _NAME_TAKEN for each in conditions)
        return turned_away, str(self.document["created"]), str(self.document["uid"])


def workspace_name(obj: Json) -> str | None:
    """None for a resource that has none, and so was let through by an older CRD."""
    name = (obj.get("spec") or {}).get("workspaceName")
    return name if isinstance(name, str) else None


def view(obj: Json) -> View:
    """The view of a resource that has a workspaceName; one that was never stored, of a dry run,
    has version 0."""
    metadata = obj["metadata"]
    version = metadata.get("resourceVersion", "0")
    owner = annotations(obj).get(names.REQUESTED_BY_ANNOTATION, "")
    status = obj.get("status") or {"phase": Phase.PENDING}
    document = {
        "name": obj["spec"]["workspaceName"],
        "team": metadata["namespace"],
        "resource": metadata["name"],
        "uid": metadata["uid"],
        "generation": metadata.get("generation", 1),
        "created": metadata["creationTimestamp"],
        "deleting": "deletionTimestamp" in metadata,
        "requestedBy": owner or None,
        "spec": obj["spec"],
        "status": status,
    }
    return View(
        key=key(obj),
        name=document["name"],
        version=int(version),
        etag=f'"{uid(obj)}.{document["generation"]}.{version}"',
        phase=status.get("phase", Phase.PENDING),
        owner=owner,
        document=document,
        body=orjson.dumps(document),
    )


def select(document: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """Only these fields, by their dotted paths; one that is not there is left out."""
    chosen: dict[str, Any] = {}
    for path in fields:
        source: Any = document
        target = chosen
        *above, last = path.split(".")
        for part in above:
            source = source.get(part) if isinstance(source, dict) else None
            if not isinstance(source, dict):
                break
            target = target.setdefault(part, {})
        if isinstance(source, dict) and last in source:
            target[last] = source[last]
    return chosen
