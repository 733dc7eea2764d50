"""The main job, through the public ways in: a resource goes in, a person chats.

The images are built from source here. A real, small model answers under the names that the sample
and the defaults ask for (docs/models.md), and is held to what it can be: its likeliest reply is the
same each time.
"""

import json
import re
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier
from typing import Any
from urllib.error import HTTPError

import pytest

from aichat_workspace.kube.client import Client
from aichat_workspace.runtime.servers import by_proxy
from tests.e2e.conftest import (
    ANSWER,
    DOMAIN,
    LOCALCLUSTER,
    QUESTION,
    RESOURCE,
    ROOT,
    SECOND,
    SYSTEM,
    TENANT,
    Node,
    credentials,
    signed_in,
    wait_ready,
)
from tests.e2e.webui import WebUI, text_of
from tests.e2e.workspace import answers
from tests.waiting import eventually

CODE = "for (i = 0; i < 3; i++) print(i);"
STORY = "Tell me a story about a fox."
WIFI = "The password of the guest network is maple-syrup-42. It changes every Monday."
PASSWORD = "What is the password of the guest network?"
PRINTERS = "The printer on the third floor is called Gutenberg. Its paper is in the green cupboard."
PRINTER = "What is the printer on the third floor called?"
# So many characters are the same each time. A prompt that is cached is computed in other steps,
# whose rounding may make another word the likeliest later on.
BEGINNING = 30
# Kubernetes' own controllers make these in every namespace, or of what we make.
OF_KUBERNETES = {"ConfigMap/kube-root-ca.crt", "ServiceAccount/default"}
OF_CONTROLLERS = {
    "ControllerRevision",
    "Endpoints",
    "EndpointSlice",
    "Event",
    "Pod",
    "ReplicaSet",
}


@pytest.mark.usefixtures("workspaces")
def test_the_workspaces_objects_exist_and_nothing_else(node: Node) -> None:
    kinds = node.kubectl("api-resources", "--namespaced", "--verbs=list", "-o", "name").split()
    listed = json.loads(node.kubectl("get", ",".join(kinds), "-n", TENANT, "-o", "json"))["items"]
    objects = {
        f"{manifest['kind']}/{manifest['metadata']['name']}"
        for manifest in listed
        if manifest["kind"] not in OF_CONTROLLERS
    }
    (secret,) = {name for name in objects if name.startswith("Secret/")}
    assert objects - OF_KUBERNETES == {
        secret,
        f"ResourceQuota/{TENANT}",
        f"LimitRange/{TENANT}",
        f"ServiceAccount/{TENANT}-ollama",
        f"ServiceAccount/{TENANT}-openwebui",
        f"PersistentVolumeClaim/{TENANT}-ollama",
        f"PersistentVolumeClaim/{TENANT}-openwebui",
        f"StatefulSet/{TENANT}-ollama",
        f"Service/{TENANT}-ollama",
        f"Deployment/{TENANT}-openwebui",
        f"Service/{TENANT}-openwebui",
        f"Ingress/{TENANT}-openwebui",
        f"NetworkPolicy/{TENANT}-default-deny",
        f"NetworkPolicy/{TENANT}-ollama",
        f"NetworkPolicy/{TENANT}-openwebui",
    }


@pytest.mark.usefixtures("workspaces")
def test_the_namespace_refuses_pods_that_restricted_does_not_admit(node: Node) -> None:
    refused = node.try_kubectl(
        *("run", "weak", "-n", TENANT, "--image=docker.io/localcluster/base:1"),
        *("--privileged", "--dry-run=server"),
    )
    assert refused.returncode != 0
    assert 'violates PodSecurity "restricted' in refused.stderr


@pytest.mark.usefixtures("workspaces")
def test_both_workloads_are_rolled_out(node: Node) -> None:
    node.kubectl(
        "-n", TENANT, "rollout", "status", f"statefulset/{TENANT}-ollama", "--timeout=170s"
    )
    node.kubectl(
        "-n", TENANT, "rollout", "status", f"deployment/{TENANT}-openwebui", "--timeout=170s"
    )


@pytest.mark.usefixtures("workspaces")
def test_the_pods_run_without_root_under_their_own_accounts(node: Node) -> None:
    pods = json.loads(node.kubectl("get", "pods", "-n", TENANT, "-o", "json"))["items"]
    accounts = {pod["spec"]["serviceAccountName"] for pod in pods}
    assert accounts == {f"{TENANT}-ollama", f"{TENANT}-openwebui"}
    for pod in pods:
        user_id = node.kubectl("exec", "-n", TENANT, pod["metadata"]["name"], "--", "id", "-u")
        assert user_id.strip() == "1000"


def test_the_downloaded_model_and_the_patterns_are_offered(chat: WebUI) -> None:
    offered = {model["id"] for model in chat.call("/api/models")["data"]}
    assert offered == {
        "gemma2:2b",
        "nomic-embed-text:latest",
        "explain_code:latest",
        "create_summary:latest",
    }


def test_a_prompt_through_the_ingress_is_answered_by_the_model(chat: WebUI) -> None:
    assert ANSWER in chat.ask("gemma2:2b", QUESTION)


def test_a_patterns_system_prompt_changes_the_reply_and_the_same_one_gives_the_same(
    chat: WebUI,
) -> None:
    models = ("gemma2:2b", "explain_code:latest", "create_summary:latest")
    replies = [chat.ask(model, CODE)[:BEGINNING] for model in models]
    assert len(set(replies)) == 3
    assert [chat.ask(model, CODE)[:BEGINNING] for model in models] == replies


def test_a_reply_comes_in_many_pieces_through_the_ingress(chat: WebUI) -> None:
    moments, text = [time.monotonic()], ""
    for piece in chat.pieces("gemma2:2b", STORY):
        moments.append(time.monotonic())
        text += piece
    assert text[:BEGINNING] == chat.ask("gemma2:2b", STORY)[:BEGINNING]
    assert len(moments) > 20
    first, last = moments[1] - moments[0], moments[-1] - moments[0]
    print(f"{len(moments) - 1} pieces, the first after {first:.2f} s, the last after {last:.2f} s")
    assert last - first > 0.2 * last, "they come as they are made, and not all at the end"


def test_the_ingress_serves_a_certificate_of_the_local_authority(node: Node, chat: WebUI) -> None:
    assert chat.token
    host = f"{TENANT}.{DOMAIN}"
    trust = ssl.create_default_context(cafile=node.authority)
    with (
        socket.create_connection(("127.0.0.1", 443), timeout=10) as plain,
        trust.wrap_socket(plain, server_hostname=host) as secure,
    ):
        secure.sendall(f"GET /health HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert b" 200 " in secure.recv(100)
    url = node.kubectl("get", "aiws", RESOURCE, "-n", SYSTEM, "-o", "jsonpath={.status.url}")
    assert url == f"https://{host}"


@pytest.fixture
def searched_as_asked(chat: WebUI) -> None:
    """Documents are searched for what a person asks. Otherwise the model writes what to search for,
    which so small a model does at random and about anything."""
    settings = chat.call("/api/v1/tasks/config")
    settings["ENABLE_RETRIEVAL_QUERY_GENERATION"] = False
    chat.call("/api/v1/tasks/config/update", settings)


@pytest.mark.usefixtures("searched_as_asked")
def test_a_question_is_answered_from_an_uploaded_document_whose_name_is_told(chat: WebUI) -> None:
    document = chat.upload("wifi.txt", WIFI)
    reply = chat.reply("gemma2:2b", PASSWORD, documents=[document])
    assert sources(reply) == {"wifi.txt"}
    assert "maple-syrup-42" in text_of(reply).lower()


@pytest.mark.usefixtures("searched_as_asked")
@pytest.mark.parametrize(
    ("question", "name", "answer"),
    [(PASSWORD, "wifi.txt", "maple-syrup-42"), (PRINTER, "printers.txt", "Gutenberg")],
)
def test_of_two_documents_the_right_one_is_found_and_answered_from(
    chat: WebUI, question: str, name: str, answer: str
) -> None:
    documents = [chat.upload("wifi.txt", WIFI), chat.upload("printers.txt", PRINTERS)]
    collections = [f"file-{document}" for document in documents]
    query = {"collection_names": collections, "query": question, "k": 1}
    nearest = chat.call("/api/v1/retrieval/query/collection", query)
    assert [metadata["name"] for metadata in nearest["metadatas"][0]] == [name]
    reply = chat.reply("gemma2:2b", question, documents=documents)
    assert name in sources(reply)
    assert answer.lower() in text_of(reply).lower()


def sources(reply: Any) -> set[str]:
    """The names of the documents that a reply was drawn from."""
    passages = [passage for source in reply["sources"] for passage in source["metadata"]]
    return {passage["name"] for passage in passages}


def test_sign_up_is_refused(chat: WebUI) -> None:
    assert chat.call("/api/config")["features"]["enable_signup"] is False
    stranger = WebUI(chat.address, chat.host)
    new = {"name": "Eve", "email": "eve@example.org", "password": "a-Long-passw0rd"}
    with pytest.raises(HTTPError) as refused:
        stranger.call("/api/v1/auths/signup", new)
    assert refused.value.code == 403
    refused.value.close()


def test_the_second_workspace_answers_under_its_own_account_only(node: Node, chat: WebUI) -> None:
    second = signed_in(node, SECOND)
    assert ANSWER in second.ask("gemma2:2b", QUESTION)
    with pytest.raises(HTTPError) as refused:
        WebUI(second.address, second.host).sign_in(*credentials(node, TENANT))
    assert refused.value.code == 400
    refused.value.close()
    assert chat.token != second.token


def test_two_workspaces_answer_side_by_side(node: Node, chat: WebUI) -> None:
    webuis, both = (chat, signed_in(node, SECOND)), Barrier(2)
    for webui in webuis:
        webui.ask("gemma2:2b", QUESTION)  # the model is in memory now

    def ask(webui: WebUI) -> tuple[float, float, str]:
        both.wait()
        pieces = [(time.monotonic(), piece) for piece in webui.pieces("gemma2:2b", STORY)]
        return pieces[0][0], pieces[-1][0], "".join(piece for _, piece in pieces)

    with ThreadPoolExecutor() as pool:
        first, second = pool.map(ask, webuis)
    assert max(first[0], second[0]) < min(first[1], second[1]), "neither waited for the other's end"
    assert first[2] == second[2] != "", "the same model, prompt and seed"


async def test_the_models_are_listed_through_the_api_servers_proxy_as_on_a_laptop(
    node: Node, chat: WebUI
) -> None:
    """What the operator does with ENV=dev."""
    assert chat.token
    async with await Client.connect(node.kubeconfig, user_agent="test") as client:
        listed = await by_proxy(client)(TENANT).models()
    assert {model.name for model in listed} >= {"gemma2:2b", "explain_code:latest"}


def test_a_port_forward_serves_the_chat_too(node: Node, chat: WebUI, tmp_path: Path) -> None:
    assert chat.token
    with forwarded(node, f"service/{TENANT}-openwebui", 8080, tmp_path / "told") as port:
        local = WebUI(f"http://127.0.0.1:{port}", f"localhost:{port}")
        local.sign_in(*credentials(node, TENANT))
        assert ANSWER in local.ask("gemma2:2b", QUESTION)


@contextmanager
def forwarded(node: Node, service: str, port: int, log: Path) -> Iterator[int]:
    """A free port of this machine that leads to a port of a tenant's service; kubectl tells which
    it is."""
    with log.open("w") as out:
        forward = subprocess.Popen(
            [
                *("kubectl", f"--kubeconfig={node.kubeconfig}", "port-forward", "-n", TENANT),
                *(service, f":{port}"),
            ],
            stdout=out,
            stderr=subprocess.STDOUT,
        )

    def ports() -> list[str]:
        return re.findall(r"^Forwarding from 127\.0\.0\.1:(\d+) ->", log.read_text(), re.MULTILINE)

    try:
        eventually(lambda: ports() != [], "kubectl forwards", 30, log.read_text)
        yield int(ports()[0])
    finally:
        forward.terminate()
        forward.wait(timeout=10)


@pytest.mark.usefixtures("chat")
def test_an_edited_child_is_restored(node: Node) -> None:
    deployment = f"deployment/{TENANT}-openwebui"

    def template() -> Any:
        return node.kube.get(deployment, "-n", TENANT)["spec"]["template"]

    def enforced() -> Any:
        labels = node.kube.get("namespace", TENANT)["metadata"]["labels"]
        return labels.get("pod-security.kubernetes.io/enforce")

    before = template()
    edit = ["ENABLE_SIGNUP=true", "SOMETHING=else"]
    node.kubectl("set", "env", deployment, "-n", TENANT, *edit)
    node.kubectl("label", f"namespace/{TENANT}", "pod-security.kubernetes.io/enforce-")
    eventually(lambda: template() == before, "the pod template is as it was", 180)
    eventually(lambda: enforced() == "restricted", "the namespace enforces restricted again", 180)
    node.kubectl("-n", TENANT, "rollout", "status", deployment, "--timeout=120s")


def test_a_deleted_workload_comes_back_and_keeps_its_models(node: Node, chat: WebUI) -> None:
    workload = f"statefulset/{TENANT}-ollama"
    pod, pulls = f"{TENANT}-ollama-0", pulled(node)

    def uids() -> set[str]:
        pods = node.kube.get("pods", "-n", TENANT, f"--field-selector=metadata.name={pod}")
        return {item["metadata"]["uid"] for item in pods["items"]}

    before = uids()
    node.kubectl("delete", workload, "-n", TENANT)
    eventually(lambda: uids() - before, "another pod is there", 180)
    node.kubectl("-n", TENANT, "rollout", "status", workload, "--timeout=170s")
    eventually(
        lambda: answers(chat, "gemma2:2b"),
        "the model answers again",
        90,
        lambda: node.story(TENANT),
    )
    wait_ready(node, RESOURCE, TENANT)
    assert pulled(node) == pulls


def pulled(node: Node) -> int:
    """How many downloads of the workspace's models the operator has begun."""
    log = node.kubectl(
        *("logs", "-n", SYSTEM, "--tail=-1", "-l", "app.kubernetes.io/component=manager")
    )
    begun = (line for line in log.splitlines() if '"event": "model pull"' in line)
    return sum(f'"workspace": "{TENANT}"' in line for line in begun)


@pytest.mark.usefixtures("chat")
def test_a_second_node_is_refused_while_this_one_runs(node: Node) -> None:
    for name in (node.name, "another"):
        refused = subprocess.run(
            [*LOCALCLUSTER, "up", "--full", "--name", name],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert refused.returncode == 3
        assert f"down --name {node.name}" in refused.stderr
