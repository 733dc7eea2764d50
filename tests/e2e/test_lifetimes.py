"""A workspace through its life: stopped and started, changed, left behind."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import (
    QUESTION,
    SYSTEM,
    Node,
    credentials,
    make_workspace,
    resource_of,
    signed_in,
    wait_ready,
)
from tests.e2e.webui import WebUI
from tests.e2e.workspace import (
    answers,
    bytes_sent,
    chats,
    condition,
    keep_a_chat,
    patch,
    pods,
    status,
)
from tests.waiting import eventually

TENANT, NOWHERE = "life-aichat", "nowhere-aichat"
RESOURCE = resource_of(TENANT)
# No other tests' workspaces have these models, so that what is sent of them is sent to these.
MODEL, EMBEDDING, RETAINED = "codegemma:2b", "all-minilm:latest", "llama3.2:1b"
SENT = ("library/codegemma", "library/all-minilm")


@pytest.fixture(scope="module")
def chat(node: Node) -> Iterator[WebUI]:
    """Of a workspace of these tests' own; beside it is one that no node takes."""
    unschedulable = {"nodeSelector": {"topology.kubernetes.io/zone": "nowhere"}}
    make_workspace(node, NOWHERE, patterns=[], scheduling=unschedulable)
    make_workspace(node, TENANT, models=[MODEL], embeddingModel=EMBEDDING)
    wait_ready(node, RESOURCE, TENANT)
    session = signed_in(node, TENANT)
    keep_a_chat(session)
    yield session
    for resource in (RESOURCE, resource_of(NOWHERE)):
        node.kube.delete("aiws", resource, SYSTEM)


def test_a_suspended_workspace_stops_and_comes_back_with_everything(
    node: Node, chat: WebUI
) -> None:
    before, sent = chats(chat), bytes_sent(*SENT)
    assert before, "there is a chat to keep"
    patch(node, RESOURCE, {"suspended": True})
    eventually(lambda: status(node, RESOURCE)["phase"] == "Suspended", "it is suspended", 180)
    eventually(lambda: not pods(node, TENANT), "its pods are gone", 180)
    patch(node, RESOURCE, {"suspended": None})
    wait_ready(node, RESOURCE, TENANT)
    eventually(lambda: answers(chat, MODEL), "it answers again", 60, lambda: node.story(TENANT))
    assert chats(chat) == before
    assert bytes_sent(*SENT) == sent


def test_a_pattern_of_a_config_map_answers_by_its_text_and_by_its_changed_text(
    node: Node, chat: WebUI
) -> None:
    patterns = ["explain_code", "create_summary"]
    try:
        write_pattern(node, "Answer in Spanish.")
        patch(node, RESOURCE, {"patterns": [*patterns, "house_style"]})
        for prompt in ("Answer in Spanish.", "Answer like a pirate of the sea."):
            write_pattern(node, prompt)
            reply = chat.ask(MODEL, QUESTION, system=prompt)
            eventually(
                lambda reply=reply: said_by(chat, "house_style:latest") == reply,  # type: ignore[misc]
                f"it answers as {prompt!r} asks for",
                180,
                lambda: node.story(TENANT),
            )
    finally:
        patch(node, RESOURCE, {"patterns": patterns})
        node.kubectl("delete", "configmap", "house-patterns", "-n", SYSTEM, "--ignore-not-found")
    eventually(lambda: withdrawn(chat, "house_style:latest"), "it is offered no more", 180)
    wait_ready(node, RESOURCE, TENANT)


def write_pattern(node: Node, prompt: str) -> None:
    document = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "house-patterns",
            "namespace": SYSTEM,
            "labels": {"aichatworkspaces.io/patterns": ""},
        },
        "data": {"house_style": prompt},
    }
    node.kube.apply(document)


def said_by(chat: WebUI, model: str) -> str:
    """A model's reply; empty as long as the chat does not know the model."""
    try:
        return chat.ask(model, QUESTION) if model in offered(chat) else ""
    except OSError:
        return ""


def withdrawn(chat: WebUI, model: str) -> bool:
    """Whether the chat answers, and offers a model no more."""
    try:
        return model not in offered(chat)
    except OSError:
        return False


def offered(chat: WebUI) -> set[str]:
    return {model["id"] for model in chat.call("/api/models")["data"]}


def test_a_quota_grows_on_the_running_workspace(node: Node, chat: WebUI) -> None:
    assert chat.token
    look = ("resourcequota", TENANT, "-n", TENANT)
    patch(node, RESOURCE, {"quota": {"cpu": "30"}})
    eventually(
        lambda: node.kube.get(*look)["status"]["hard"].get("limits.cpu") == "30",
        "30 CPUs in force",
        180,
    )
    patch(node, RESOURCE, {"quota": None})
    wait_ready(node, RESOURCE, TENANT)


def test_a_volume_that_can_not_grow_is_told_and_the_chat_goes_on(node: Node, chat: WebUI) -> None:
    """The class of the local cluster lets nothing grow."""

    def size() -> str:
        claim = node.kube.get("pvc", f"{TENANT}-ollama", "-n", TENANT)
        return str(claim["spec"]["resources"]["requests"]["storage"])

    before = size()
    patch(node, RESOURCE, {"storage": {"ollama": {"size": "21Gi"}}})
    try:
        eventually(
            lambda: condition(node, RESOURCE, "StorageAsAsked")["reason"] == "VolumeKept",
            "it is told",
            180,
            lambda: node.story(TENANT),
        )
        assert "does not let volumes grow" in condition(node, RESOURCE, "StorageAsAsked")["message"]
        assert status(node, RESOURCE)["phase"] == "Ready"
        assert size() == before
        assert answers(chat, MODEL)
    finally:
        patch(node, RESOURCE, {"storage": None})
    eventually(
        lambda: condition(node, RESOURCE, "StorageAsAsked")["status"] == "True", "all is as asked"
    )


@pytest.mark.usefixtures("chat")
def test_a_workspace_without_a_node_is_told_and_runs_once_that_is_mended(node: Node) -> None:
    resource = resource_of(NOWHERE)
    eventually(
        lambda: condition(node, resource, "Ready")["reason"] == "Unschedulable",
        "that no node takes it is told, after a minute for one to come",
        150,
        lambda: node.story(NOWHERE),
    )
    assert "spec.scheduling" in condition(node, resource, "Ready")["message"]
    assert status(node, resource)["phase"] == "Degraded"
    patch(node, resource, {"scheduling": None})
    wait_ready(node, resource, NOWHERE)


def test_a_reset_password_is_the_new_one_only_and_the_chats_stay(node: Node, chat: WebUI) -> None:
    before, old = chats(chat), credentials(node, TENANT)
    patch(node, RESOURCE, {"access": {"passwordReset": "first"}})
    eventually(lambda: credentials(node, TENANT) != old, "a new password is made", 180)
    eventually(lambda: signs_in(chat, *credentials(node, TENANT)), "it is accepted", 180)
    assert chats(chat) == before
    assert not signs_in(WebUI(chat.address, chat.host), *old)
    new = credentials(node, TENANT)
    patch(node, RESOURCE, {"access": None})
    wait_ready(node, RESOURCE, TENANT)
    assert credentials(node, TENANT) == new, "to take the wish out is no wish"
    eventually(lambda: signs_in(chat, *new), "the new one is accepted still", 180)


def signs_in(chat: WebUI, email: str, password: str) -> bool:
    try:
        chat.sign_in(email, password)
    except OSError:
        return False
    return True


def test_a_retained_namespace_brings_its_models_to_the_next_workspace(node: Node) -> None:
    name, resource = "team-d-aichat", "aichatworkspace-team-d"
    spec: dict[str, Any] = {"patterns": [], "models": [RETAINED], "embeddingModel": "none"}
    make_workspace(node, name, **spec, deletionPolicy="Retain")
    wait_ready(node, resource, name)
    sent = bytes_sent("library/llama3.2")
    assert sent
    node.kubectl("delete", "aiws", resource, "-n", SYSTEM, "--timeout=170s")
    uid = node.kube.get("namespace", name)["metadata"]["uid"]
    eventually(lambda: not pods(node, name), "nothing runs", 180)
    make_workspace(node, name, **spec, namespaceUID=uid, deletionPolicy="Delete")
    wait_ready(node, resource, name)
    assert bytes_sent("library/llama3.2") == sent
    node.kubectl("delete", "aiws", resource, "-n", SYSTEM, "--timeout=120s")
    assert name not in node.kubectl("get", "namespaces", "-o", "name")
