"""A Kubernetes API server in memory, as far as the operator writes to it.

tests/contracts/kubernetes.py has what it has in common with the real one.
"""

import asyncio
import copy
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    InvalidError,
    NotFoundError,
    UnreachableError,
)
from aichat_workspace.kube.objects import Json

Key = tuple[str, str, str]


@dataclass
class FakeKubernetes:
    """Keeps objects by kind, namespace and name, and records writes as `verb kind name`."""

    objects: dict[Key, Json] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    refusals: dict[str, ApiError | UnreachableError] = field(default_factory=dict)
    """Writes that are refused, by how they are recorded."""
    error: ApiError | UnreachableError | None = None
    """Raised by every request."""
    requests: int = 0
    """How many there were, reads among them."""
    _versions: "count[int]" = field(default_factory=lambda: count(1_000))

    def refuse(self, write: str, error: ApiError | UnreachableError | None = None) -> None:
        """Refuse a write from now on."""
        self.refusals[write] = error or ApiError(403, "Forbidden", "the quota is full")

    def store(self, obj: Mapping[str, Any]) -> Json:
        """Keep an object under a new version, with a UID."""
        stored = copy.deepcopy(dict(obj))
        metadata = stored["metadata"]
        key = (stored["kind"], metadata.get("namespace", ""), metadata["name"])
        metadata.setdefault("uid", f"uid-{'-'.join(key)}")
        metadata["resourceVersion"] = str(next(self._versions))
        self.objects[key] = stored
        return copy.deepcopy(stored)

    def of_kind(self, kind: str) -> dict[str, Json]:
        """Return the objects of a kind by their names."""
        return {key[2]: obj for key, obj in self.objects.items() if key[0] == kind}

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Json:
        await self._request()
        key = self._key(resource, name, namespace)
        if key not in self.objects:
            raise NotFoundError(404, "NotFound", "there is none")
        return copy.deepcopy(self.objects[key])

    async def create(self, resource: Resource, body: Json, *, field_manager: str) -> Json:
        del field_manager
        key = self._key(resource, body["metadata"]["name"], body["metadata"].get("namespace"))
        await self._write("create", resource, body["metadata"]["name"])
        if key in self.objects:
            raise AlreadyExistsError(409, "AlreadyExists", "there is one")
        return self.store({**body, "kind": resource.kind})

    async def apply(
        self,
        resource: Resource,
        body: Mapping[str, Any],
        *,
        field_manager: str,
        subresource: str | None = None,
    ) -> Json:
        del field_manager
        metadata = body["metadata"]
        verb = f"apply/{subresource}" if subresource else "apply"
        await self._write(verb, resource, metadata["name"])
        key = self._key(resource, metadata["name"], metadata.get("namespace"))
        stored = self.objects.get(key, {"metadata": {}})
        _require_uid(stored, metadata.get("uid"))
        merged = {**stored, **body, "kind": resource.kind}
        merged["metadata"] = {**stored["metadata"], **metadata}
        return copy.deepcopy(stored) if merged == stored else self.store(merged)

    async def replace(self, resource: Resource, body: Json, *, field_manager: str) -> Json:
        del field_manager
        metadata = body["metadata"]
        await self._write("replace", resource, metadata["name"])
        key = self._key(resource, metadata["name"], metadata.get("namespace"))
        if key not in self.objects:
            raise NotFoundError(404, "NotFound", "there is none")
        present = self.objects[key]["metadata"]
        if metadata.get("resourceVersion", "") not in ("", present["resourceVersion"]):
            raise ConflictError(409, "Conflict", "the object has been modified")
        identity = {name: present[name] for name in ("uid", "creationTimestamp") if name in present}
        return self.store({**body, "kind": resource.kind, "metadata": {**metadata, **identity}})

    async def json_patch(
        self,
        resource: Resource,
        name: str,
        namespace: str,
        operations: Sequence[Json],
        *,
        field_manager: str,
    ) -> Json:
        del field_manager
        await self._write("patch", resource, name)
        key = self._key(resource, name, namespace)
        if key not in self.objects:
            raise NotFoundError(404, "NotFound", "there is none")
        obj = copy.deepcopy(self.objects[key])
        for operation in operations:
            _carry_out(operation, obj)
        if "deletionTimestamp" in obj["metadata"] and not obj["metadata"].get("finalizers"):
            del self.objects[key]
            return obj
        return self.store(obj)

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None,
        version: str | None = None,
    ) -> None:
        del version
        await self._write("delete", resource, name)
        key = self._key(resource, name, namespace)
        obj = self.objects.get(key)
        if obj is None:
            return
        _require_uid(obj, uid)
        if obj["metadata"].get("finalizers"):
            deleted = {**obj["metadata"], "deletionTimestamp": "2026-11-23T12:00:00Z"}
            self.store({**obj, "metadata": deleted})
        else:
            del self.objects[key]

    async def list_pages(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[Json]:
        await self._request()
        name = field_selector.removeprefix("metadata.name=")
        labels = dict(term.split("=") for term in label_selector.split(",") if term)
        items = [
            obj
            for key, obj in self.objects.items()
            if key[0] == resource.kind
            and namespace in (None, key[1])
            and name in ("", key[2])
            and labels.items() <= obj["metadata"].get("labels", {}).items()
        ]
        yield {"items": copy.deepcopy(items)}

    async def _request(self) -> None:
        self.requests += 1
        await asyncio.sleep(0)  # others come between
        if self.error is not None:
            raise self.error

    async def _write(self, verb: str, resource: Resource, name: str) -> None:
        await self._request()
        if resource.kind == "Event":
            return
        write = f"{verb} {resource.kind} {name}"
        self.writes.append(write)
        if write in self.refusals:
            raise self.refusals[write]

    @staticmethod
    def _key(resource: Resource, name: str, namespace: str | None) -> Key:
        return (resource.kind, namespace or "", name)


def _require_uid(obj: Json, uid: str | None) -> None:
    if uid and obj["metadata"].get("uid") != uid:
        raise ConflictError(409, "Conflict", "Precondition failed: UID in precondition differs")


def _carry_out(operation: Json, document: Json) -> None:
    """Carry out one operation of a JSON Patch (RFC 6902)."""
    *parents, last = (
        part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]
    )
    parent: Any = document
    for part in parents:
        parent = parent[int(part) if isinstance(parent, list) else part]
    key: Any = int(last) if isinstance(parent, list) else last
    if operation["op"] == "remove":
        del parent[key]
    elif operation["op"] == "test":
        if parent[key] != operation["value"]:
            raise InvalidError(422, "Invalid", "the server rejected our request: a test failed")
    else:
        parent[key] = operation["value"]
