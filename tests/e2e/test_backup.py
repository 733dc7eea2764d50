"""A chat with people and documents is backed up to a real S3-compatible server, and comes back: the
commands of docs/backup.md."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

import pytest

from tests.e2e.conftest import (
    ROOT,
    SYSTEM,
    Node,
    make_workspace,
    resource_of,
    signed_in,
    wait_ready,
)
from tests.e2e.webui import WebUI
from tests.e2e.workspace import chats, keep_a_chat
from tests.examples import examples, run
from tests.s3_server import ACCESS_KEY, BUCKET, SECRET_KEY, S3Server, s3_server

pytestmark = pytest.mark.slow

TENANT = "backed-up-aichat"
RESOURCE = resource_of(TENANT)
PAGE = examples(ROOT / "docs" / "backup.md")
DOCUMENT = "The spare key is under the third flower pot."
PERSON = {"name": "Ada", "email": "ada@example.org", "password": "a long password"}


@pytest.fixture(scope="module")
def server(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """At the node's address, where pods reach it as they would one outside of the cluster."""
    (item,) = node.kube.get("nodes")["items"]
    address = next(
        entry["address"] for entry in item["status"]["addresses"] if entry["type"] == "InternalIP"
    )
    with s3_server(tmp_path_factory.mktemp("s3"), address) as server:
        yield server


@pytest.fixture(scope="module")
def chat(node: Node) -> Iterator[WebUI]:
    make_workspace(node, TENANT, patterns=[])
    wait_ready(node, RESOURCE, TENANT)
    yield signed_in(node, TENANT)
    node.kube.delete("aiws", RESOURCE, SYSTEM)


def page(node: Node, server: S3Server, folder: Path, *marks: str, **variables: str) -> list[str]:
    """Run the page's blocks with these marks, and return the output of the last mark's."""
    endpoint = urlsplit(server.endpoint)
    environment = {
        **os.environ,
        "KUBECONFIG": node.kubeconfig,
        "team": SYSTEM,
        "resource": RESOURCE,
        "workspace": TENANT,
        "endpoint": server.endpoint,
        "address": str(endpoint.hostname),
        "port": str(endpoint.port),
        "bucket": BUCKET,
        "region": "us-east-1",
        "access_key": ACCESS_KEY,
        "secret_key": SECRET_KEY,
        "passphrase": "a passphrase of the team",
        **variables,
    }
    blocks = [example for mark in marks for example in PAGE if example.mark == mark]
    return run(blocks, environment, folder, 280)


def result(output: str) -> Any:
    """The program's line of JSON."""
    (line,) = [line for line in output.splitlines() if line.startswith("{")]
    return json.loads(line)


def can_sign_in(node: Node, email: str, password: str) -> bool:
    webui = signed_in(node, TENANT)
    try:
        webui.sign_in(email, password)
    except HTTPError:
        return False
    return True


@pytest.mark.timeout(900)
def test_chats_people_and_documents_come_back(
    node: Node, server: S3Server, chat: WebUI, tmp_path: Path
) -> None:
    keep_a_chat(chat)
    chat.call("/api/v1/auths/add", {**PERSON, "role": "user"})
    document = chat.upload("key.txt", DOCUMENT)
    before = chats(chat)

    backup = result(page(node, server, tmp_path, "prepare", "functions", "backup")[-1])
    stored = server.send("GET", f"/{BUCKET}/{SYSTEM}/{TENANT}/{backup['name']}.tar")
    assert len(stored.content) == backup["size_bytes"]

    wait_ready(node, RESOURCE, TENANT)
    chat = signed_in(node, TENANT)
    for chat_id in before:
        chat.delete(f"/api/v1/chats/{chat_id}")
    chat.delete(f"/api/v1/files/{document}")
    assert chats(chat) == set()

    restored = result(page(node, server, tmp_path, "functions", "restore", name=backup["name"])[-1])
    assert restored["name"] == backup["name"]
    wait_ready(node, RESOURCE, TENANT)
    chat = signed_in(node, TENANT)
    assert chats(chat) == before
    assert chat.call(f"/api/v1/files/{document}/data/content")["content"].strip() == DOCUMENT
    assert can_sign_in(node, PERSON["email"], PERSON["password"])
    answer = chat.call(
        "/api/v1/retrieval/query/doc",
        {"collection_name": f"file-{document}", "query": "Where is the spare key?", "k": 1},
    )
    assert DOCUMENT in json.dumps(answer)

    page(node, server, tmp_path, "clean")
    remains = node.kubectl("-n", TENANT, "get", "jobs,networkpolicies", "-o", "name")
    assert "backup" not in remains
