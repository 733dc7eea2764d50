"""The application above a cluster in memory, called without a network."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx2
from starlette.types import Receive, Scope, Send

from aichat_workspace.api.app import build
from aichat_workspace.api.dependencies import Services
from aichat_workspace.api.metrics import Metrics
from aichat_workspace.api.settings import Settings
from aichat_workspace.domain import names
from aichat_workspace.foundation.resource import Resource
from aichat_workspace.openwebui.client import OpenWebUIClient
from aichat_workspace.runtime import servers
from tests.fakes.openwebui import FakeOpenWebUI
from tests.fakes.workspace_client import FakeWorkspaceClient
from tests.unit.api.samples import ANN, resource

QUOTA: Final = {
    "hard": {"limits.cpu": "6", "limits.memory": "10Gi", "services.nodeports": "0"},
    "used": {"limits.cpu": "4500m", "limits.memory": "5Gi", "services.nodeports": "0"},
}


def only_in(*teams: str) -> Callable[[dict[str, Any]], bool]:
    """Return a decision of reviews that allows everything in these teams, and nothing elsewhere."""
    return lambda attributes: attributes.get("namespace") in teams


class Cluster(FakeWorkspaceClient):
    """A cluster with tenants, below the services that read it."""

    services: Services
    chat: FakeOpenWebUI
    """The chat of all workspaces."""

    def __init__(self) -> None:
        super().__init__()
        self.lists: dict[tuple[str, str | None], list[dict[str, Any]]] = {}
        """What a list of a kind returns, by its plural and the namespace."""
        self.requests: list[tuple[str, str | None]] = []
        """The plural and the namespace of each list."""

    async def list_pages(self, *arguments: Any, **_: Any) -> AsyncIterator[Any]:
        kind: Resource = arguments[0]
        namespace = arguments[1] if len(arguments) > 1 else None
        self.requests.append((kind.plural, namespace))
        items = self.lists.get((kind.plural, namespace), [])
        yield {"metadata": {"resourceVersion": "20"}, "items": items}

    def put_tenant(self, name: str, team: str, **parts: Any) -> None:
        """Let there be a workspace with a namespace of its own."""
        uid = f"namespace-of-{name}"
        status = {"namespace": {"name": name, "uid": uid}, **parts.pop("status", {})}
        self.watch_event(resource(name, team=team, status=status, **parts))
        owner = {names.OWNER_UID_ANNOTATION: f"uid-of-{name}"}
        metadata = {"name": name, "uid": uid, "annotations": owner, "resourceVersion": "1"}
        self.services.cluster._namespaces._store.put({"metadata": metadata})

    def put_quota(self, namespace: str, status: dict[str, Any] = QUOTA) -> None:
        """Let the namespace have its quota."""
        metadata = {"name": namespace, "namespace": namespace, "resourceVersion": "1"}
        self._put("_quotas", {"metadata": metadata, "status": status})

    def put_claim(self, namespace: str, name: str, size: str, capacity: str | None) -> None:
        """Let the namespace have a claim; with a capacity it is bound."""
        bound = {"phase": "Bound", "capacity": {"storage": capacity}} if capacity else {}
        self._put(
            "_claims",
            {
                "metadata": {"name": name, "namespace": namespace, "resourceVersion": "1"},
                "spec": {"storageClassName": "fast", "resources": {"requests": {"storage": size}}},
                "status": bound,
            },
        )

    def _put(self, name: str, obj: dict[str, Any]) -> None:
        cache = getattr(self.services.cluster, name)
        cache._store.put(cache._transform_news(obj))


@asynccontextmanager
async def calling() -> AsyncIterator[tuple[Cluster, httpx2.AsyncClient]]:
    """Yield the cluster, and a client of the API above it whose caller is Ann."""
    cluster = Cluster()
    settings = Settings.read({}, in_cluster=False)
    cluster.chat = FakeOpenWebUI()
    services = Services.create(
        settings, cluster, servers.by_proxy(cluster), lambda _: OpenWebUIClient(cluster.chat), {}
    )
    cluster.cluster, cluster.services = services.cluster, services
    app = build(services, Metrics(lambda: 0, lambda: 0))

    async def called_by_ann(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": {"caller": ANN}}, receive, send)

    transport = httpx2.ASGITransport(called_by_ann)
    headers = {"Authorization": "Bearer of-ann"}
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://api", headers=headers
    ) as client:
        yield cluster, client
