"""The tenant's walls, with real packets: the local cluster enforces network policies."""

import pytest

from tests.e2e.conftest import SECOND, SYSTEM, TENANT, Node

pytestmark = pytest.mark.usefixtures("chat")
CHAT = f"deployment/{TENANT}-openwebui"
MODELS = f"statefulset/{TENANT}-ollama"


def reaches(node: Node, workload: str, host: str, port: int) -> bool:
    """Whether a TCP connection from the workload's pod is accepted within three seconds."""
    connect = f"import socket; socket.create_connection(({host!r}, {port}), timeout=3)"
    tried = node.try_kubectl("exec", "-n", TENANT, workload, "--", "python3", "-c", connect)
    assert tried.returncode == 0 or "Error" in tried.stderr, tried.stderr
    return tried.returncode == 0


def test_the_chat_reaches_its_own_models(node: Node) -> None:
    assert reaches(node, CHAT, f"{TENANT}-ollama", 11434)


def test_models_reach_the_registry(node: Node) -> None:
    assert reaches(node, MODELS, "registry.ollama.ai", 443)


@pytest.mark.parametrize(
    ("workload", "host", "port"),
    [
        (CHAT, f"{SECOND}-ollama.{SECOND}.svc", 11434),
        (MODELS, f"{SECOND}-ollama.{SECOND}.svc", 11434),
        (CHAT, f"{SECOND}-openwebui.{SECOND}.svc", 8080),
        (MODELS, f"{TENANT}-openwebui", 8080),
        (CHAT, "kubernetes.default.svc", 443),
        (MODELS, "kubernetes.default.svc", 443),
        (CHAT, "registry.ollama.ai", 443),
        (CHAT, "169.254.169.254", 80),
        (MODELS, "169.254.169.254", 80),
        (CHAT, f"aichat-workspace-operator-metrics.{SYSTEM}.svc", 8081),
        (CHAT, f"aichat-workspace-api.{SYSTEM}.svc", 80),
    ],
)
def test_nothing_else_is_reached(node: Node, workload: str, host: str, port: int) -> None:
    assert not reaches(node, workload, host, port)
