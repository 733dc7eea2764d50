"""Leases in memory, with the API server's checks of names, versions and UIDs."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count

from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.errors import AlreadyExistsError, ApiError, ConflictError, NotFoundError
from aichat_workspace.kube.objects import Json


@dataclass
class FakeLeases:
    """What `SharedSessions` needs of a client."""

    leases: dict[str, Json] = field(default_factory=dict)
    error: ApiError | None = None
    """Raised by every request."""
    requests: int = 0
    versions: "count[int]" = field(default_factory=lambda: count(1))

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Json:
        await self._require(resource, namespace)
        if name not in self.leases:
            raise NotFoundError(404, "NotFound", name)
        return self.leases[name]

    async def create(self, resource: Resource, body: Json, *, field_manager: str) -> Json:
        assert field_manager == "aichat-workspace-api"
        await self._require(resource, body["metadata"]["namespace"])
        name = body["metadata"]["name"]
        if name in self.leases:
            raise AlreadyExistsError(409, "AlreadyExists", name)
        return self._store(body, f"uid-of-{name}")

    async def replace(self, resource: Resource, body: Json, *, field_manager: str) -> Json:
        assert field_manager == "aichat-workspace-api"
        await self._require(resource, body["metadata"]["namespace"])
        before = self.leases[body["metadata"]["name"]]["metadata"]
        if body["metadata"]["resourceVersion"] != before["resourceVersion"]:
            raise ConflictError(409, "Conflict", before["name"])
        return self._store(body, before["uid"])

    async def delete(
        self, resource: Resource, name: str, namespace: str | None = None, *, uid: str | None
    ) -> Json | None:
        await self._require(resource, namespace)
        assert self.leases[name]["metadata"]["uid"] == uid
        return self.leases.pop(name)

    async def list_pages(
        self, resource: Resource, namespace: str | None = None, *, label_selector: str = ""
    ) -> AsyncIterator[Json]:
        await self._require(resource, namespace)
        labels = dict(term.split("=") for term in label_selector.split(","))
        for lease in [*self.leases.values()]:
            if labels.items() <= lease["metadata"].get("labels", {}).items():
                yield {"items": [lease]}

    async def _require(self, resource: Resource, namespace: str | None) -> None:
        self.requests += 1
        await asyncio.sleep(0)  # others come between
        assert (resource.plural, namespace) == ("leases", "aichat-workspace-operator-system")
        if self.error is not None:
            raise self.error

    def _store(self, body: Json, uid: str) -> Json:
        metadata = {**body["metadata"], "uid": uid, "resourceVersion": str(next(self.versions))}
        lease = self.leases[metadata["name"]] = {**body, "metadata": metadata}
        return lease
