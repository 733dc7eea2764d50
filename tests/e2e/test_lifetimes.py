"""A workspace through its life: stopped and started, upgraded, interrupted, left behind."""

import json
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import Request, urlopen

import pytest
import yaml

from aichat_workspace.domain.platform import Images
from tests.e2e.conftest import (
    HANDED_OVER_SECONDS,
    LOCALCLUSTER,
    REPLY,
    RESOURCE,
    ROOT,
    SECOND,
    SYSTEM,
    TENANT,
    Node,
    another_leads,
    credentials,
    kustomize,
    leader,
    wait_ready,
)
from tests.e2e.webui import WebUI
from tests.waiting import eventually

REGISTRY = "https://192.0.2.10/_control"
CHAT = ("deployment", f"{TENANT}-openwebui", "-n", TENANT)
IMAGE = Images().open_webui


def patch(node: Node, resource: str, spec: object) -> None:
    change = json.dumps({"spec": spec})
    node.kubectl("patch", "aiws", resource, "-n", SYSTEM, "--type=merge", "-p", change)


def status(node: Node, resource: str = RESOURCE) -> Any:
    return json.loads(node.kubectl("get", "aiws", resource, "-n", SYSTEM, "-o", "json"))["status"]


def condition(node: Node, resource: str, kind: str) -> Any:
    return next(each for each in status(node, resource)["conditions"] if each["type"] == kind)


def chats(chat: WebUI) -> set[str]:
    return {each["id"] for each in chat.call("/api/v1/chats/")}


@pytest.fixture(scope="module", autouse=True)
def a_chat(chat: WebUI) -> None:
    """One that has to be there still, whatever happens to the workspace."""
    kept = {"title": "kept", "messages": [], "history": {"messages": {}, "currentId": None}}
    chat.call("/api/v1/chats/new", {"chat": kept})


def registry(limits: object = None) -> Any:
    """The local registry's counters; with limits, it is slowed down from now on."""
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    data = None if limits is None else json.dumps(limits).encode()
    with urlopen(Request(REGISTRY, data), context=trust, timeout=30) as answer:
        return json.load(answer)


@contextmanager
def slow_registry(bytes_per_second: int) -> Iterator[None]:
    registry({"bytes_per_second": bytes_per_second})
    try:
        yield
    finally:
        registry({})


def test_a_suspended_workspace_stops_and_comes_back_with_everything(
    node: Node, chat: WebUI
) -> None:
    before, sent = chats(chat), registry()["blob_bytes_sent"]
    assert before, "there is a chat to keep"
    patch(node, RESOURCE, {"suspended": True})
    eventually(lambda: status(node)["phase"] == "Suspended", "it is suspended", 60)
    eventually(
        lambda: node.kubectl("get", "pods", "-n", TENANT, "-o", "name") == "",
        "its pods are gone",
        60,
    )
    patch(node, RESOURCE, {"suspended": None})
    wait_ready(node, RESOURCE, TENANT)
    eventually(lambda: answers(chat), "it answers again", 60, lambda: node.story(TENANT))
    assert chats(chat) == before
    assert registry()["blob_bytes_sent"] == sent


def answers(chat: WebUI) -> bool:
    try:
        return chat.ask("gemma2:2b", "Good morning") == REPLY
    except OSError:
        return False


def test_an_interrupted_download_goes_on_where_it_was(node: Node, chat: WebUI) -> None:
    assert chat.token
    models = ["gemma2:2b", "llama3.2:1b"]
    before = registry()["blob_bytes_sent"]
    with slow_registry(700_000):
        patch(node, RESOURCE, {"models": models})
        eventually(lambda: entry(node, models[1]).get("percent", 0) >= 30, "a third is there", 60)
        far = entry(node, models[1])
        assert far["bytesPerSecond"] > 0
        node.kubectl("delete", "pod", f"{TENANT}-ollama-0", "-n", TENANT)
    wait_ready(node, RESOURCE, TENANT)
    found = entry(node, models[1])
    assert found["state"] == "Ready"
    sent = registry()["blob_bytes_sent"] - before
    assert sent < 1.5 * found["totalBytes"], "what was downloaded was not downloaded again"
    patch(node, RESOURCE, {"models": models[:1]})
    eventually(lambda: not entry(node, models[1]), "the model is removed again", 60)


def test_a_download_outlives_the_operator_that_began_it(node: Node, chat: WebUI) -> None:
    assert chat.token
    models = ["gemma2:2b", "qwen2.5-coder:1.5b"]
    before, first = registry()["blob_bytes_sent"], leader(node)
    with slow_registry(700_000):
        patch(node, RESOURCE, {"models": models})
        eventually(lambda: entry(node, models[1]).get("percent", 0) >= 30, "a third is there", 60)
        far = entry(node, models[1])["completedBytes"]
        node.kubectl("delete", "pod", first, "-n", SYSTEM, "--wait=false")
        another_leads(node, first, HANDED_OVER_SECONDS)
        eventually(
            lambda: entry(node, models[1]).get("completedBytes", 0) > far,
            "the next one goes on with it",
            60,
            lambda: node.story(TENANT),
        )
    wait_ready(node, RESOURCE, TENANT)
    found = entry(node, models[1])
    assert found["state"] == "Ready"
    sent = registry()["blob_bytes_sent"] - before
    assert sent < 1.5 * found["totalBytes"], "what was downloaded was not downloaded again"
    patch(node, RESOURCE, {"models": models[:1]})
    eventually(lambda: not entry(node, models[1]), "the model is removed again", 60)


def platform(node: Node, spec: object) -> None:
    change = json.dumps({"spec": spec})
    node.kubectl("patch", "aichatplatform", "default", "--type=merge", "-p", change)


def test_a_model_comes_by_host_and_port_out_of_an_excepted_range_that_is_allowed(
    node: Node, chat: WebUI
) -> None:
    assert chat.token
    models = ["gemma2:2b", "registry.ollama.ai:443/library/smollm2:latest"]
    platform(
        node,
        {"network": {"egressExcept": ["192.0.2.0/24"], "egressAllow": ["192.0.2.10/32"]}},
    )
    try:
        look = ("get", "networkpolicy", f"{TENANT}-model-downloads", "-n", TENANT, "-o", "yaml")
        eventually(lambda: "192.0.2.10/32" in node.kubectl(*look), "the walls are as asked", 30)
        patch(node, RESOURCE, {"models": models})
        eventually(
            lambda: entry(node, models[1]).get("state") == "Ready",
            "the model is there",
            90,
            lambda: node.story(TENANT),
        )
    finally:
        platform(node, {"network": None})
        patch(node, RESOURCE, {"models": models[:1]})
    eventually(lambda: not entry(node, models[1]), "the model is removed again", 60)
    wait_ready(node, RESOURCE, TENANT)


def test_a_pattern_of_a_config_map_answers_by_its_text_and_by_its_changed_text(
    node: Node, chat: WebUI
) -> None:
    patterns = ["explain_code", "create_summary"]
    try:
        write_pattern(node, "You write a summary.")
        patch(node, RESOURCE, {"patterns": [*patterns, "house_style"]})
        for prompt, word in (("You write a summary.", "summary"), ("You explain code.", "explain")):
            write_pattern(node, prompt)
            eventually(
                lambda word=word: word in said_by(chat, "house_style:latest"),  # type: ignore[misc]
                f"it answers as {prompt!r} asks for",
                60,
                lambda: node.story(TENANT),
            )
    finally:
        patch(node, RESOURCE, {"patterns": patterns})
        node.kubectl("delete", "configmap", "house-patterns", "-n", SYSTEM, "--ignore-not-found")
    eventually(lambda: withdrawn(chat, "house_style:latest"), "it is offered no more", 60)
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
    node.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(document))


def said_by(chat: WebUI, model: str) -> str:
    """A model's reply; empty as long as the chat does not know the model."""
    try:
        return chat.ask(model, "Good morning") if model in offered(chat) else ""
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


def entry(node: Node, model: str) -> Any:
    return next((each for each in status(node)["models"] if each["name"] == model), {})


def test_a_quota_grows_on_the_running_workspace(node: Node, chat: WebUI) -> None:
    assert chat.token
    look = ("get", "resourcequota", TENANT, "-n", TENANT, "-o", "jsonpath={.status.hard}")
    patch(node, RESOURCE, {"quota": {"cpu": "30"}})
    eventually(
        lambda: json.loads(node.kubectl(*look)).get("limits.cpu") == "30", "30 CPUs in force", 60
    )
    patch(node, RESOURCE, {"quota": None})
    wait_ready(node, RESOURCE, TENANT)


def test_a_volume_that_can_not_grow_is_told_and_the_chat_goes_on(node: Node, chat: WebUI) -> None:
    """The class of the local cluster lets nothing grow."""
    look = ("get", "pvc", f"{TENANT}-ollama", "-n", TENANT, "-o")
    path = "jsonpath={.spec.resources.requests.storage}"
    before = node.kubectl(*look, path)
    patch(node, RESOURCE, {"storage": {"ollama": {"size": "21Gi"}}})
    try:
        eventually(
            lambda: condition(node, RESOURCE, "StorageAsAsked")["reason"] == "VolumeKept",
            "it is told",
            30,
            lambda: node.story(TENANT),
        )
        assert "does not let volumes grow" in condition(node, RESOURCE, "StorageAsAsked")["message"]
        assert status(node)["phase"] == "Ready"
        assert node.kubectl(*look, path) == before
        assert answers(chat)
    finally:
        patch(node, RESOURCE, {"storage": None})
    eventually(
        lambda: condition(node, RESOURCE, "StorageAsAsked")["status"] == "True", "all is as asked"
    )


def test_a_workspace_without_a_node_is_told_and_runs_once_that_is_mended(
    node: Node, chat: WebUI
) -> None:
    assert chat.token
    second = "aichatworkspace-team-b"
    patch(node, second, {"scheduling": {"nodeSelector": {"example.org/pool": "nowhere"}}})
    try:
        eventually(
            lambda: condition(node, second, "Ready")["reason"] == "Unschedulable",
            "that no node takes it is told, after a minute for one to come",
            150,
            lambda: node.story(SECOND),
        )
        assert "spec.scheduling" in condition(node, second, "Ready")["message"]
        assert status(node, second)["phase"] == "Degraded"
    finally:
        patch(node, second, {"scheduling": None})
    wait_ready(node, second, SECOND)


def test_a_reset_password_is_the_new_one_only_and_the_chats_stay(node: Node, chat: WebUI) -> None:
    before, old = chats(chat), credentials(node, TENANT)
    patch(node, RESOURCE, {"access": {"passwordReset": "first"}})
    eventually(lambda: credentials(node, TENANT) != old, "a new password is made", 60)
    eventually(lambda: signs_in(chat, *credentials(node, TENANT)), "it is accepted", 60)
    assert chats(chat) == before
    assert not signs_in(WebUI(chat.address, chat.host), *old)
    new = credentials(node, TENANT)
    patch(node, RESOURCE, {"access": None})
    wait_ready(node, RESOURCE, TENANT)
    assert credentials(node, TENANT) == new, "to take the wish out is no wish"
    eventually(lambda: signs_in(chat, *new), "the new one is accepted still", 60)


def signs_in(chat: WebUI, email: str, password: str) -> bool:
    try:
        chat.sign_in(email, password)
    except OSError:
        return False
    return True


@contextmanager
def images(node: Node, image: str) -> Iterator[None]:
    """The platform with another image of the chat; one workspace changes at a time."""

    platform(node, {"images": {"openWebUI": image}, "upgrades": {"concurrent": 1}})
    try:
        yield
    finally:
        platform(node, {"images": None, "upgrades": None})


def running(node: Node, tenant: str) -> str:
    return node.kubectl(
        *("get", "deployment", f"{tenant}-openwebui", "-n", tenant),
        *("-o", "jsonpath={.spec.template.spec.containers[0].image}"),
    )


def test_a_new_image_reaches_one_workspace_after_the_other_and_data_survives(
    node: Node, chat: WebUI
) -> None:
    before, new = chats(chat), f"{IMAGE}-next"
    subprocess.run([*LOCALCLUSTER, "tag", IMAGE, new, "--name", node.name], cwd=ROOT, check=True)
    with images(node, new):
        eventually(lambda: running(node, TENANT) == new, "the first one changes", 60)
        assert running(node, SECOND) == IMAGE
        eventually(
            lambda: running(node, SECOND) == new,
            "the second one follows once the first is available",
            120,
            lambda: node.story(TENANT),
        )
        assert status(node)["images"]["openWebUI"] == new
        for resource, tenant in ((RESOURCE, TENANT), ("aichatworkspace-team-b", SECOND)):
            wait_ready(node, resource, tenant)
        assert chats(chat) == before
    eventually(lambda: running(node, SECOND) == IMAGE, "both are back", 120)
    for resource, tenant in ((RESOURCE, TENANT), ("aichatworkspace-team-b", SECOND)):
        wait_ready(node, resource, tenant)


def test_an_image_that_fails_stops_with_the_first_workspace(node: Node, chat: WebUI) -> None:
    assert chat.token
    second = "aichatworkspace-team-b"
    with images(node, "192.0.2.10/no/such-image:1"):
        eventually(
            lambda: condition(node, second, "UpToDate")["reason"] == "UpgradeStopped",
            "the second one is told that it keeps its image",
            150,
            lambda: node.story(TENANT),
        )
        assert f"'{TENANT}'" in condition(node, second, "UpToDate")["message"]
        assert running(node, SECOND) == IMAGE
        assert condition(node, RESOURCE, "Ready")["reason"] == "ImagePullFailed"
        assert condition(node, second, "Ready")["status"] == "True"
    wait_ready(node, RESOURCE, TENANT)


def test_a_retained_namespace_brings_its_models_to_the_next_workspace(
    node: Node, chat: WebUI
) -> None:
    assert chat.token
    name, resource = "team-d-aichat", "aichatworkspace-team-d"
    sample = yaml.safe_load(kustomize(ROOT / "config" / "samples"))
    sample["metadata"]["name"] = resource
    sample["spec"].update(workspaceName=name, patterns=[], deletionPolicy="Retain")
    node.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(sample))
    wait_ready(node, resource, name)
    sent = registry()["blob_bytes_sent"]
    node.kubectl("delete", "aiws", resource, "-n", SYSTEM, "--timeout=60s")
    uid = node.kubectl("get", "namespace", name, "-o", "jsonpath={.metadata.uid}")
    eventually(
        lambda: node.kubectl("get", "pods", "-n", name, "-o", "name") == "", "nothing runs", 60
    )
    sample["spec"].update(namespaceUID=uid, deletionPolicy="Delete")
    node.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(sample))
    wait_ready(node, resource, name)
    assert registry()["blob_bytes_sent"] == sent
    node.kubectl("delete", "aiws", resource, "-n", SYSTEM, "--timeout=120s")
    assert name not in node.kubectl("get", "namespaces", "-o", "name")
