"""The tenant's network policies, with real packets: the local cluster enforces network policies."""

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import IMAGE, SECOND, SYSTEM, TENANT, Node
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("chat")
CHAT = f"deployment/{TENANT}-openwebui"
MODELS = f"statefulset/{TENANT}-ollama"
API = "deployment/aichat-workspace-api"
OPERATOR = "deployment/aichat-workspace-operator"
VISITOR = "pod/visitor"
# Namespaces without policies of their own; ours let in the last two, each where it belongs.
STRANGERS, PROMETHEUS, INGRESS = "strangers", "monitoring", "haproxy-controller"
VISITORS = (STRANGERS, PROMETHEUS, INGRESS)
WAYS_IN = [
    (f"aichat-workspace-api.{SYSTEM}.svc", 80, INGRESS),
    (f"aichat-workspace-api-metrics.{SYSTEM}.svc", 8091, PROMETHEUS),
    (f"aichat-workspace-operator-metrics.{SYSTEM}.svc", 8081, PROMETHEUS),
]


def reaches(node: Node, workload: str, host: str, port: int, namespace: str = TENANT) -> bool:
    """Whether a TCP connection from the workload's pod is accepted within three seconds."""
    connect = f"import socket; socket.create_connection(({host!r}, {port}), timeout=3)"
    tried = node.try_kubectl("exec", "-n", namespace, workload, "--", "python3", "-c", connect)
    assert tried.returncode == 0 or "Error" in tried.stderr, tried.stderr
    return tried.returncode == 0


def test_pods_that_come_and_go_bring_the_machine_no_addresses(node: Node) -> None:
    """Browsers on the machine break off what they load when its addresses change."""
    assert node.kube.get("pods", "-A")["items"]
    listed = subprocess.run(["ip", "-json", "address"], check=True, capture_output=True).stdout
    ends = [device for device in json.loads(listed) if device["ifname"].startswith("veth")]
    assert ends
    assert not [device for device in ends if device["addr_info"]]


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


@pytest.fixture(scope="module")
def visitors(node: Node) -> Iterator[None]:
    """A pod in each of two namespaces, which nothing keeps from opening connections."""
    waits = ("--image-pull-policy=IfNotPresent", "--command", "--", "python3", "-c")
    for namespace in VISITORS:
        node.kubectl("create", "namespace", namespace)
        account = ("serviceaccount/default", "-n", namespace)  # its pods are refused before
        node.kubectl("wait", *account, "--for=create", "--timeout=170s")
        node.kubectl(
            *("run", "visitor", "-n", namespace, f"--image={IMAGE}", *waits),
            "import time; time.sleep(3600)",
        )
    for namespace in VISITORS:
        node.kubectl("wait", VISITOR, "-n", namespace, "--for=condition=Ready", "--timeout=170s")
    yield
    for namespace in VISITORS:
        node.kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.mark.usefixtures("visitors")
@pytest.mark.parametrize(("host", "port", "friend"), WAYS_IN)
def test_our_pods_are_reached_from_where_their_policies_say_and_from_nowhere_else(
    node: Node, host: str, port: int, friend: str
) -> None:
    eventually(lambda: reaches(node, VISITOR, host, port, friend), "the policy lets it in", 180)
    for namespace in {*VISITORS} - {friend}:
        assert not reaches(node, VISITOR, host, port, namespace), namespace


@pytest.mark.parametrize("program", [OPERATOR, API])
def test_the_operator_and_the_api_reach_model_servers_and_chats(node: Node, program: str) -> None:
    for service, port in ((f"{TENANT}-ollama", 11434), (f"{TENANT}-openwebui", 8080)):
        assert reaches(node, program, f"{service}.{TENANT}.svc", port, SYSTEM)
