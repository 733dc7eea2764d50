"""OpenAI's Python client, unchanged, talks to a workspace through the API and a real API server."""

from collections.abc import Iterator

import openai
import pytest
from openai import OpenAI

from tests.api import person, running_api, token_request
from tests.integration.conftest import SYSTEM, Cluster, workspace
from tests.integration.model_server import model_server
from tests.integration.tenants import condition
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("operator")
NAME, MODEL, _PERSON = "as-openai", "talker:1", "openai-reader"


@pytest.fixture(scope="module")
def client(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAI]:
    for document in person(_PERSON):
        cluster.apply(document)
    token = cluster.kubectl(*token_request(_PERSON)).strip()
    log = tmp_path_factory.mktemp("api") / "log"
    with running_api(cluster.kubeconfig, log) as address:
        yield OpenAI(base_url=f"{address}/api/v1/workspaces/{NAME}/v1", api_key=token)


def test_openais_client_talks_to_a_workspace(cluster: Cluster, client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match=NAME):
        client.models.list()
    cluster.apply(workspace(NAME, embeddingModel="none", suspended=True))
    eventually(lambda: condition(cluster, NAME).get("status") == "True", f"{NAME} is provisioned")
    with pytest.raises(openai.ConflictError, match="Resume it first"):
        client.models.list()
    with model_server(cluster, NAME):
        cluster.apply(workspace(NAME, embeddingModel="none", models=[MODEL]))
        eventually(lambda: _models(client) == [MODEL], "the model is there")
        whole = client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "Hello"}]
        )
        assert whole.choices[0].message.content == "Good morning"
        assert whole.usage is not None
        assert whole.usage.total_tokens == 4
        stream = client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "Hello"}], stream=True
        )
        pieces = [chunk.choices[0] for chunk in stream]
        assert "".join(piece.delta.content or "" for piece in pieces) == "Good morning"
        assert pieces[-1].finish_reason == "stop"
        vectors = client.embeddings.create(model=MODEL, input="Hello")
        assert vectors.data[0].embedding == [1.0]
    cluster.kubectl("delete", "aiws", NAME, "-n", SYSTEM, "--wait=false")


def _models(client: OpenAI) -> list[str]:
    """The models; none as long as the API does not know the workspace's new state."""
    try:
        return [model.id for model in client.models.list()]
    except (openai.ConflictError, openai.InternalServerError):
        return []
