"""The platform's choices."""

import httpx2

from aichat_workspace.api.app import build
from aichat_workspace.api.dependencies import Services, get_caller
from aichat_workspace.api.metrics import Metrics
from aichat_workspace.api.settings import Settings
from aichat_workspace.runtime import servers
from tests.fakes.workspace_client import FakeWorkspaceClient
from tests.unit.api.samples import resource
from tests.unit.api.workspaces.test_service import ANN


async def test_models_in_use_are_counted_with_the_sizes_that_are_known() -> None:
    kubernetes = FakeWorkspaceClient()
    settings = Settings.read({}, in_cluster=False)
    services = Services.create(settings, kubernetes, servers.by_proxy(kubernetes), {})
    kubernetes.cluster = services.cluster
    reported = [
        {"name": "gemma2:2b", "state": "Ready", "totalBytes": 7},
        {"name": "llama3.2:latest", "state": "Pulling", "totalBytes": 9},
    ]
    models = {"models": ["gemma2:2b", "llama3.2"]}
    kubernetes.watch_event(resource("team-a", spec=models, status={"models": reported}))
    kubernetes.watch_event(resource("team-b", spec={"models": ["Gemma2:2b"]}))
    app = build(services, Metrics(lambda: 0, lambda: 0))
    app.dependency_overrides[get_caller] = lambda: ANN
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://api") as client:
        answer = (await client.get("/api/v1/models")).json()
    assert answer["inUse"] == [
        {"name": "gemma2:2b", "workspaces": 2, "sizeBytes": 7},
        {"name": "llama3.2:latest", "workspaces": 1, "sizeBytes": None},
    ]
