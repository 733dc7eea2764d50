"""Workspaces as the API returns them, created once per state and shared by all readers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from aichat_workspace.domain import names
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.v1alpha1.workspace_status import Phase
from aichat_workspace.foundation.metadata import annotations
from aichat_workspace.kube.objects import Json, Key, key, uid

_NAME_TAKEN: Final = Reason.WORKSPACE_NAME_TAKEN


@dataclass(frozen=True, slots=True)
class View:
    """One state of one AIChatWorkspace."""

    key: Key
    """The resource's namespace and name."""
    name: str
    """The workspaceName."""
    version: int
    """The resourceVersion; 0 for one that a dry run made."""
    etag: str
    """UID, generation and version."""
    phase: str
    """The phase of the status."""
    owner: str
    """Who requested it by the API; empty where that is unknown."""
    annotations: Mapping[str, str]
    """The resource's annotations."""
    document: Mapping[str, Any]
    """The workspace as the API returns it."""
    body: bytes
    """The document as JSON."""

    @property
    def team(self) -> str:
        """The resource's namespace."""
        return self.key[0]

    @property
    def resource(self) -> str:
        """The resource's name."""
        return self.key[1]

    @property
    def order(self) -> tuple[str, str, str]:
        """The sort key of lists; it never changes while the resource exists."""
        return (self.name, *self.key)

    @property
    def rank(self) -> tuple[bool, str, str]:
        """The sort key of claimants, as in the operator: the accepted one, then the oldest."""
        conditions = self.document["status"].get("conditions", ())
        is_rejected = any(condition.get("reason") == _NAME_TAKEN for condition in conditions)
        return is_rejected, str(self.document["created"]), str(self.document["uid"])


def workspace_name(obj: Json) -> str | None:
    """Return the workspaceName; None for a resource that an older CRD accepted without one."""
    name = (obj.get("spec") or {}).get("workspaceName")
    return name if isinstance(name, str) else None


def view(obj: Json) -> View:
    """Return the view of a resource that has a workspaceName."""
    metadata = obj["metadata"]
    version = metadata.get("resourceVersion", "0")
    marks = annotations(obj)
    owner = marks.get(names.REQUESTED_BY_ANNOTATION, "")
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
        annotations=marks,
        document=document,
        body=orjson.dumps(document),
    )


def body(view: View, fields: Sequence[str]) -> bytes:
    """Return a workspace as JSON, or only these fields of it. A whole one is not serialized
    again."""
    return orjson.dumps(select(view.document, fields)) if fields else view.body


def select(document: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """Return only these fields, by their dotted paths; missing ones are left out."""
    selected: dict[str, Any] = {}
    for path in fields:
        source: Any = document
        target = selected
        *above, last = path.split(".")
        for part in above:
            source = source.get(part) if isinstance(source, dict) else None
            if not isinstance(source, dict):
                break
            target = target.setdefault(part, {})
        if isinstance(source, dict) and last in source:
            target[last] = source[last]
    return selected
