"""Workspaces of the node as tests change and read them, and the registry that they pull from."""

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.request import Request, urlopen

from tests.e2e.conftest import ANSWER, QUESTION, SYSTEM, Node
from tests.e2e.webui import WebUI

_REGISTRY: Final = "https://192.0.2.10/_control"


def patch(node: Node, resource: str, spec: object) -> None:
    node.kube.patch("aiws", resource, SYSTEM, {"spec": spec})


def status(node: Node, resource: str) -> Any:
    return node.kube.get("aiws", resource, "-n", SYSTEM)["status"]


def condition(node: Node, resource: str, kind: str) -> Any:
    return next(
        condition for condition in status(node, resource)["conditions"] if condition["type"] == kind
    )


def entry(node: Node, resource: str, model: str) -> Any:
    """What is told of a model; empty while nothing is."""
    return next((entry for entry in status(node, resource)["models"] if entry["name"] == model), {})


def platform(node: Node, spec: object) -> None:
    node.kube.patch("aichatplatform", "default", "", {"spec": spec})


def pods(node: Node, namespace: str) -> list[Any]:
    return list(node.kube.get("pods", "-n", namespace)["items"])


def chats(chat: WebUI) -> set[str]:
    return {document["id"] for document in chat.call("/api/v1/chats/")}


def keep_a_chat(chat: WebUI) -> None:
    """Make a chat that has to survive each change of the workspace."""
    document = {"title": "kept", "messages": [], "history": {"messages": {}, "currentId": None}}
    chat.call("/api/v1/chats/new", {"chat": document})


def answers(chat: WebUI, model: str) -> bool:
    """Whether the model answers, and rightly: until it has noticed that the server is back, Open
    WebUI answers with an error."""
    try:
        return ANSWER in chat.ask(model, QUESTION)
    except OSError:
        return False


def bytes_sent(*repositories: str) -> int:
    """How much of these models' repositories, or of all, the local registry has sent to anybody."""
    sent = _control()["bytes_sent_of"]
    return sum(sent.get(repository, 0) for repository in repositories or sent)


@contextmanager
def disturbed_registry(repository: str, **limits: int) -> Iterator[None]:
    """The registry with what `localcluster.registry.throttle` knows, for one model's repository."""
    _control({"repository": repository, **limits})
    try:
        yield
    finally:
        _control({})


def _control(limits: object = None) -> Any:
    """The registry's counters; with limits, it is slowed down from now on."""
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    data = None if limits is None else json.dumps(limits).encode()
    with urlopen(Request(_REGISTRY, data), context=trust, timeout=30) as answer:
        return json.load(answer)
