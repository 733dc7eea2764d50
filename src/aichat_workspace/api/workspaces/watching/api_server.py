"""How far the API server is, beside what the cluster view has of it."""

from dataclasses import dataclass, field
from typing import Final

from aichat_workspace.api.ttl_cache import CoalescedCall
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.objects import Key, key, resource_version

_WORKSPACE: Final = kinds.WORKSPACE


@dataclass(frozen=True, slots=True)
class ApiServer:
    """Asked when a watch resumes; concurrent callers share a request."""

    client: Client
    cluster: ClusterView
    version_call: CoalescedCall[int] = field(default_factory=CoalescedCall)
    """The request that `version` shares."""
    completeness_call: CoalescedCall[bool] = field(default_factory=CoalescedCall)
    """The request that `is_complete` shares."""

    async def version(self) -> int:
        """Return the version that the API server has reached."""
        return await self.version_call.get(self._read_version)

    async def is_complete(self) -> bool:
        """Return whether the cluster view has everything that the API server has."""
        return await self.completeness_call.get(self._check_complete)

    async def _read_version(self) -> int:
        page = await anext(self.client.list_pages(_WORKSPACE, page_size=1))
        return int(page["metadata"]["resourceVersion"])

    async def _check_complete(self) -> bool:
        stored: dict[Key, int] = {}
        version = 0
        async for page in self.client.list_pages(_WORKSPACE):
            version = int(page["metadata"]["resourceVersion"])
            stored |= {key(obj): resource_version(obj) for obj in page["items"]}
        cached = {key(obj): resource_version(obj) for obj in self.cluster.workspaces.all()}
        if stored != cached:
            return False
        self.cluster.mark_complete(version)
        return True
