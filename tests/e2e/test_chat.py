"""The main job, through the public ways in: a resource goes in, a person chats.

The images are built from source here and the model is a stand-in that the local registry serves
under the real name: Ollama, Open WebUI and the way between them are real, the answers are canned.
"""

import base64
import json
import subprocess
from typing import Any
from urllib.request import Request, urlopen

import pytest
import yaml

from tests.e2e.conftest import DOMAIN, ROOT, SYSTEM, Node, eventually

TENANT = "team-a-aichat"
SECOND = "team-b-aichat"


class WebUI:
    """Open WebUI's own API, at an address under a host name."""

    def __init__(self, address: str, host: str) -> None:
        self.address = address
        self.host = host
        self.token = ""

    def call(self, path: str, body: object = None) -> Any:
        headers = {"Host": self.host, "Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.address}{path}", data=data, headers=headers)  # noqa: S310
        with urlopen(request, timeout=60) as answer:  # noqa: S310
            return json.load(answer)

    def sign_in(self, email: str, password: str) -> None:
        body = {"email": email, "password": password}
        self.token = self.call("/api/v1/auths/signin", body)["token"]

    def ask(self, model: str, prompt: str) -> str:
        messages = [{"role": "user", "content": prompt}]
        body = {"model": model, "stream": False, "messages": messages}
        answer = self.call("/api/chat/completions", body)
        return str(answer["choices"][0]["message"]["content"])


def credentials(node: Node, tenant: str) -> tuple[str, str]:
    found = json.loads(
        node.kubectl("get", "secret", f"{tenant}-credentials", "-n", SYSTEM, "-o", "json")
    )["data"]
    email, password = (
        base64.b64decode(found[key]).decode()
        for key in ("WEBUI_ADMIN_EMAIL", "WEBUI_ADMIN_PASSWORD")
    )
    return email, password


def wait_ready(node: Node, resource: str, tenant: str) -> None:
    try:
        node.kubectl(
            *("wait", f"aiws/{resource}", "-n", SYSTEM, "--for=condition=Ready"), "--timeout=170s"
        )
    except AssertionError as error:
        raise AssertionError(f"{error}\n{node.story(tenant)}") from error


@pytest.fixture(scope="module")
def workspaces(node: Node) -> None:
    """The sample, applied as the README says, and a second workspace beside it."""
    samples = str(ROOT / "config" / "samples")
    documents = node.kubectl("kustomize", samples)
    node.kubectl("-n", SYSTEM, "apply", "-f", "-", stdin=documents)
    second = yaml.safe_load(documents)
    second["metadata"]["name"] = "aichatworkspace-team-b"
    second["spec"].update(workspaceName=SECOND, patterns=[])
    node.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(second))
    wait_ready(node, "aichatworkspace-team-a", TENANT)
    wait_ready(node, "aichatworkspace-team-b", SECOND)


@pytest.fixture(scope="module")
def chat(node: Node, workspaces: None) -> WebUI:
    """Signed in through the ingress as the administrator that was made from the Secret."""
    assert workspaces is None
    webui = WebUI("http://127.0.0.1", f"{TENANT}.{DOMAIN}")

    def answers() -> bool:
        try:
            return bool(webui.call("/health")["status"])
        except OSError:
            return False

    eventually(answers, "the ingress serves Open WebUI")
    webui.sign_in(*credentials(node, TENANT))
    return webui


@pytest.mark.usefixtures("workspaces")
def test_both_workloads_are_rolled_out(node: Node) -> None:
    node.kubectl("-n", TENANT, "rollout", "status", f"statefulset/{TENANT}-ollama", "--timeout=60s")
    node.kubectl(
        "-n", TENANT, "rollout", "status", f"deployment/{TENANT}-openwebui", "--timeout=60s"
    )


@pytest.mark.usefixtures("workspaces")
def test_the_pods_run_without_root_under_their_own_accounts(node: Node) -> None:
    pods = json.loads(node.kubectl("get", "pods", "-n", TENANT, "-o", "json"))["items"]
    accounts = {pod["spec"]["serviceAccountName"] for pod in pods}
    assert accounts == {f"{TENANT}-ollama", f"{TENANT}-openwebui"}
    for pod in pods:
        told = node.kubectl("exec", "-n", TENANT, pod["metadata"]["name"], "--", "id", "-u")
        assert told.strip() == "1000"


def test_the_downloaded_model_and_the_patterns_are_offered(chat: WebUI) -> None:
    offered = {model["id"] for model in chat.call("/api/models")["data"]}
    assert offered == {"gemma2:2b", "explain_code:latest", "create_summary:latest"}


def test_a_prompt_through_the_ingress_is_answered_by_the_model(chat: WebUI) -> None:
    assert chat.ask("gemma2:2b", "Good morning") == "Hello from your private workspace."


def test_a_patterns_system_prompt_changes_the_reply(chat: WebUI) -> None:
    plain = chat.ask("gemma2:2b", "Good morning")
    explained = chat.ask("explain_code:latest", "Good morning")
    summarised = chat.ask("create_summary:latest", "Good morning")
    assert len({plain, explained, summarised}) == 3
    assert "explain" in explained
    assert "summary" in summarised


def test_nobody_can_sign_up(chat: WebUI) -> None:
    assert chat.call("/api/config")["features"]["enable_signup"] is False


def test_a_port_forward_serves_the_chat_too(node: Node, chat: WebUI) -> None:
    assert chat.token
    forward = subprocess.Popen(
        [
            *("kubectl", f"--kubeconfig={node.kubeconfig}", "port-forward", "-n", TENANT),
            *(f"service/{TENANT}-openwebui", "18080:8080"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert forward.stdout is not None
        assert "Forwarding from" in forward.stdout.readline()
        local = WebUI("http://127.0.0.1:18080", "localhost:18080")
        local.sign_in(*credentials(node, TENANT))
        assert local.ask("gemma2:2b", "Good morning") == "Hello from your private workspace."
    finally:
        forward.terminate()
        forward.communicate(timeout=10)


def test_a_deleted_workload_comes_back_and_keeps_its_models(node: Node, chat: WebUI) -> None:
    node.kubectl("delete", "statefulset", f"{TENANT}-ollama", "-n", TENANT)

    def answers() -> bool:
        """While the server is away Open WebUI says so with an error."""
        try:
            return chat.ask("gemma2:2b", "Good morning") == "Hello from your private workspace."
        except OSError:
            return False

    eventually(answers, "the model answers again")
    wait_ready(node, "aichatworkspace-team-a", TENANT)


@pytest.mark.usefixtures("chat")
def test_one_workspace_goes_and_the_other_stays(node: Node) -> None:
    node.kubectl("delete", "aiws", "aichatworkspace-team-b", "-n", SYSTEM, "--timeout=120s")
    assert SECOND not in node.kubectl("get", "namespaces", "-o", "name")
    wait_ready(node, "aichatworkspace-team-a", TENANT)
