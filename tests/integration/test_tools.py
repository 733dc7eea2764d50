"""Chats offer tools to the models that can call them: the operator against a real API server, a
model server and an Open WebUI in memory."""

from collections.abc import Iterator

import pytest

from aichat_workspace.domain.models.tools import entry
from aichat_workspace.domain.render.components import OPENWEBUI
from tests.fakes.openwebui import FakeOpenWebUI
from tests.integration.chat_server import chat_server, follow_secret
from tests.integration.conftest import SYSTEM, Cluster, workspace
from tests.integration.model_server import ModelRequests, model_server
from tests.integration.pods import restart
from tests.integration.tenants import condition, settled
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("operator")
NAME = "calling"
CALLER, TALKER, LATER = "caller:1", "talker:1", "later:1"


@pytest.fixture
def servers(cluster: Cluster) -> Iterator[tuple[ModelRequests, FakeOpenWebUI]]:
    cluster.apply(workspace(NAME, embeddingModel="none", suspended=True))
    eventually(lambda: condition(cluster, NAME).get("status") == "True", f"{NAME} is provisioned")
    with model_server(cluster, NAME) as ollama, chat_server(cluster, NAME) as openwebui:
        ollama.capable.update({CALLER, LATER})
        yield ollama, openwebui
    cluster.kubectl("delete", "aiws", NAME, "-n", SYSTEM, "--wait=false")


def ask_for(cluster: Cluster, *models: str, **access: str) -> None:
    cluster.apply(workspace(NAME, embeddingModel="none", models=list(models), access=access))


def test_a_workspaces_chat_follows_what_its_models_can_do(
    cluster: Cluster, servers: tuple[ModelRequests, FakeOpenWebUI]
) -> None:
    ollama, openwebui = servers
    assert openwebui.requests == [], "the operator does not sign in before a model can call tools"
    ask_for(cluster, CALLER, TALKER)
    eventually(lambda: set(openwebui.entries) == {CALLER}, "the caller is offered tools")
    assert ollama.present == {CALLER, TALKER}
    assert openwebui.entries[CALLER]["params"] == entry(CALLER)["params"]

    openwebui.entries[CALLER]["params"] = {"function_calling": "legacy"}  # a person's wish
    openwebui.password = "changed by a person"
    ask_for(cluster, CALLER, TALKER, LATER)
    eventually(
        lambda: condition(cluster, NAME, "ToolsOffered").get("reason") == "ToolsNotOffered",
        "it is told that the operator can't sign in",
    )
    assert LATER in condition(cluster, NAME, "ToolsOffered")["message"]
    assert condition(cluster, NAME, "ModelsReady")["status"] == "True"

    ask_for(cluster, CALLER, TALKER, LATER, passwordReset="once")
    settled(cluster, NAME)
    follow_secret(cluster, NAME, openwebui)
    restart(cluster, NAME, OPENWEBUI)
    eventually(lambda: LATER in openwebui.entries, "the later one is offered tools, too")
    assert openwebui.entries[CALLER]["params"] == {"function_calling": "legacy"}
    assert TALKER not in openwebui.entries
    eventually(
        lambda: condition(cluster, NAME, "ToolsOffered").get("status") == "True",
        "all is told to be well",
    )

    revision = cluster.get("aiws", NAME, "-n", SYSTEM)["status"]["toolsRevision"]
    ask_for(cluster, TALKER)
    eventually(
        lambda: not cluster.get("aiws", NAME, "-n", SYSTEM)["status"].get("toolsRevision"),
        "no model is left that can call tools",
    )
    assert revision
    assert set(openwebui.entries) == {CALLER}, "what a person changed stays"
