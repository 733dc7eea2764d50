"""Workspaces' model servers: many reads cost one request, and what is wrong is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import orjson
import pytest

from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.api.workspaces import model_server
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.api.workspaces.model_server import (
    ModelServers,
    model_documents,
    model_server_problem,
)
from aichat_workspace.api.workspaces.views import View
from aichat_workspace.ollama.client import OllamaClient
from aichat_workspace.ollama.errors import OllamaError, OllamaUnreachableError, RequestRefusedError
from aichat_workspace.ollama.installed import InstalledModel
from aichat_workspace.ollama.transport import Response as OllamaResponse
from tests.fakes.workspace_client import FakeWorkspaceClient
from tests.unit.api.samples import OWN_NAMESPACE, running_view, sample_view


@pytest.fixture
def view() -> View:
    return running_view()


@dataclass
class FakeModelServer:
    """Has one model."""

    never_finishes: bool = False
    """Sends something all the time, but never the whole list."""
    requests: int = 0
    status: int = 200

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        return self._read()

    shown: dict[str, object] | None = None
    """What is shown of the model; None where that is refused."""
    shows: int = 0

    async def _read(self) -> AsyncIterator[bytes]:
        while self.never_finishes:
            yield b" "
            await asyncio.sleep(0.001)
        yield orjson.dumps({"models": [{"name": "m:1", "digest": "d", "size": 1}]})

    @asynccontextmanager
    async def __call__(
        self, method: str, path: str, body: bytes | None, idle_seconds: float
    ) -> AsyncIterator[OllamaResponse]:
        assert idle_seconds > 0
        if path == "/api/show":
            self.shows += 1
            yield Shown(self.shown)
            return
        assert (method, path, body) == ("GET", "/api/tags", None)
        self.requests += 1
        await asyncio.sleep(0)
        yield self


@dataclass
class Shown:
    """The answer about one model."""

    document: dict[str, object] | None

    @property
    def status(self) -> int:
        return 404 if self.document is None else 200

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        return self._read()

    async def _read(self) -> AsyncIterator[bytes]:
        yield orjson.dumps(self.document or {"error": "model 'm:1' not found"})


def create_service(models: FakeModelServer, monkeypatch: pytest.MonkeyPatch) -> ModelServers:
    monkeypatch.setattr(ClusterView, "namespace", lambda *_: OWN_NAMESPACE)
    client = FakeWorkspaceClient()
    return ModelServers(ClusterView(client, {}), lambda _: OllamaClient(models))


async def test_many_reads_of_models_cost_one_request_to_the_server(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeModelServer()
    service = create_service(server, monkeypatch)
    for _ in range(2):
        answers = await asyncio.gather(*(service.models(view) for _ in range(20)))
        documents = [model_documents(view, models, {}) for models in answers]
        fields = ("parameters", "quantization", "contextLength", "licence")
        document = {"name": "m:1", "sizeBytes": 1, "origin": "person"}
        assert documents == [[{**document, **dict.fromkeys(fields)}]] * 20
    assert server.requests == 1


async def test_what_a_server_states_of_a_model_is_asked_for_once(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = {"general.architecture": "llama", "llama.context_length": 8192}
    server = FakeModelServer(shown={"model_info": info, "license": "\n  MIT   License\n\nText"})
    service = create_service(server, monkeypatch)
    models = await service.models(view)
    for _ in range(2):
        (document,) = model_documents(view, models, await service.facts(view, models))
        assert (document["contextLength"], document["licence"]) == (8192, "MIT License")
    assert server.shows == 1


async def test_what_a_server_does_not_state_is_unknown_and_asked_for_again(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeModelServer()
    service = create_service(server, monkeypatch)
    models = await service.models(view)
    for _ in range(2):
        assert await service.facts(view, models) == {}
    assert server.shows == 2


async def test_a_well_known_model_has_what_is_known_of_it(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeModelServer(shown={})
    service = create_service(server, monkeypatch)
    models = (InstalledModel("gemma2:2b", "d", 1),)
    (document,) = model_documents(view, models, await service.facts(view, models))
    assert (document["contextLength"], document["licence"]) == (8192, "Gemma Terms of Use")
    assert not server.shows


async def test_a_model_server_that_never_finishes_is_a_problem(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_server, "_MODELS_SECONDS", 0.05)
    service = create_service(FakeModelServer(never_finishes=True), monkeypatch)
    with pytest.raises(ProblemError, match="does not answer"):
        await service.models(view)


_PROVISIONED = {"namespace": {"name": "team-a", "uid": "uid-of-namespace"}}


@pytest.mark.parametrize(
    ("view", "code"),
    [
        (sample_view(spec={"suspended": True}, status=_PROVISIONED), "suspended"),
        (sample_view(status={"phase": "Suspended", **_PROVISIONED}), "suspended"),
        (
            sample_view(status={"namespace": {"name": "team-a", "uid": "another"}}),
            "not-provisioned",
        ),
    ],
    ids=["suspended", "expired", "not provisioned"],
)
async def test_a_workspace_without_a_server_is_409_and_asks_nothing(
    view: View, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeModelServer()
    with pytest.raises(ProblemError) as caught:
        await create_service(server, monkeypatch).models(view)
    problem = caught.value
    assert (problem.status, problem.code, problem.retry_after_seconds) == (409, code, None)
    assert not server.requests


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (
            OllamaUnreachableError("no connection to x.team-a.svc:11434 [('10.1.2.3', 1)]"),
            503,
        ),
        (OllamaError("dial tcp [fd00::7]:11434: refused by 10.1.2.3:443."), 502),
        (RequestRefusedError("at x.team-a.svc.cluster.local:11434"), 422),
    ],
)
def test_no_problem_tells_an_address(view: View, error: OllamaError, status: int) -> None:
    problem = model_server_problem(view, error)
    assert problem.status == status
    for address in ("10.1.2.3", "fd00", ".svc", "11434"):
        assert address not in problem.detail
