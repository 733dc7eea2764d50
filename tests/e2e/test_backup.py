"""A chat with people and documents is backed up to a real S3-compatible server, and comes back: by
spec.backup, and by the commands of docs/backup.md."""

import io
import json
import os
import re
import sqlite3
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

import pytest

from aichat_workspace.domain import names
from localcluster import certificates
from tests.e2e.conftest import (
    ROOT,
    SYSTEM,
    Node,
    credentials,
    make_workspace,
    resource_of,
    signed_in,
    wait_ready,
)
from tests.e2e.webui import WebUI
from tests.e2e.workspace import chats, condition, keep_a_chat, patch, platform, status
from tests.examples import examples, run
from tests.s3_server import ACCESS_KEY, BUCKET, SECRET_KEY, S3Server, s3_server
from tests.waiting import eventually

pytestmark = pytest.mark.slow

TENANT = "backed-up-aichat"
CLONE = "cloned-aichat"
RESOURCE = resource_of(TENANT)
PAGE = examples(ROOT / "docs" / "backup.md")
DOCUMENT = "The spare key is under the third flower pot."
KEYS, PASSPHRASE = "backup-keys", "backup-passphrase"
FOR_ALL = {"apps.aichatworkspaces.io/for-workspace": "*"}
ARCHIVE = re.compile(rf"<Key>chats/{SYSTEM}/{TENANT}/([^<]+)\.tar</Key>")
PERSON = {"name": "Ada", "email": "ada@example.org", "password": "a long password"}


@pytest.fixture(scope="module")
def address(node: Node) -> str:
    """The node's, where pods reach a server as they would one outside of the cluster."""
    (item,) = node.kube.get("nodes")["items"]
    addresses = {entry["type"]: str(entry["address"]) for entry in item["status"]["addresses"]}
    return addresses["InternalIP"]


@pytest.fixture(scope="module")
def server(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3"), address) as server:
        yield server


@pytest.fixture(scope="module")
def destination(
    node: Node, address: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[S3Server]:
    """A server with TLS that the platform's settings name. Our images trust its authority."""
    authority = certificates.ensure()
    folder = tmp_path_factory.mktemp("tls")
    pair = certificates.issue(authority, folder, [address])
    secrets = {
        KEYS: {"accessKeyID": ACCESS_KEY, "secretAccessKey": SECRET_KEY},
        PASSPHRASE: {"passphrase": "a passphrase of the platform"},
    }
    for name, data in secrets.items():
        metadata = {"name": name, "namespace": SYSTEM, "annotations": FOR_ALL}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}
        node.kube.apply(secret)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SSL_CERT_FILE", str(authority.certificate))
        with s3_server(folder / "s3", address, pair) as server:
            store = {"endpoint": server.endpoint, "bucket": BUCKET, "secretName": KEYS}
            places = [{"name": "bucket", "s3": {**store, "prefix": "chats"}}]
            backup = {"destinations": places, "passphraseSecretName": PASSPHRASE}
            platform(node, {"backup": backup})
            yield server
            platform(node, {"backup": None})
    for name in secrets:
        node.kube.delete("secret", name, SYSTEM)


@pytest.fixture(scope="module")
def chat(node: Node) -> Iterator[WebUI]:
    make_workspace(node, TENANT, patterns=[])
    wait_ready(node, RESOURCE, TENANT)
    yield signed_in(node, TENANT)
    node.kube.delete("aiws", RESOURCE, SYSTEM)


@pytest.fixture(scope="module")
def clone(node: Node) -> Iterator[str]:
    """A second workspace, by its name."""
    make_workspace(node, CLONE, patterns=[])
    wait_ready(node, resource_of(CLONE), CLONE)
    yield CLONE
    node.kube.delete("aiws", resource_of(CLONE), SYSTEM)


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


@dataclass(frozen=True)
class Saved:
    """A backup, and what was in the chat at that time."""

    name: str
    chats: set[str]
    document: str
    """Its ID."""


@pytest.fixture(scope="module")
def saved(
    node: Node, server: S3Server, chat: WebUI, tmp_path_factory: pytest.TempPathFactory
) -> Saved:
    keep_a_chat(chat)
    chat.call("/api/v1/auths/add", {**PERSON, "role": "user"})
    document = chat.upload("key.txt", DOCUMENT)
    folder = tmp_path_factory.mktemp("backup")
    output = page(node, server, folder, "prepare", "functions", "backup")[-1]
    backup = result(output)
    stored = server.send("GET", f"/{BUCKET}/{SYSTEM}/{TENANT}/{backup['name']}.tar")
    assert len(stored.content) == backup["sizeBytes"]
    wait_ready(node, RESOURCE, TENANT)
    return Saved(backup["name"], chats(chat), document)


def assert_has_all(chat: WebUI, saved: Saved) -> None:
    assert chats(chat) == saved.chats
    content = chat.call(f"/api/v1/files/{saved.document}/data/content")["content"]
    assert content.strip() == DOCUMENT
    question = {"collection_name": f"file-{saved.document}", "query": "the spare key", "k": 1}
    assert DOCUMENT in json.dumps(chat.call("/api/v1/retrieval/query/doc", question))
    WebUI(chat.address, chat.host).sign_in(PERSON["email"], PERSON["password"])


@pytest.mark.timeout(1200)
def test_chats_people_and_documents_come_back(
    node: Node, server: S3Server, saved: Saved, tmp_path: Path
) -> None:
    chat = signed_in(node, TENANT)
    for chat_id in saved.chats:
        chat.delete(f"/api/v1/chats/{chat_id}")
    chat.delete(f"/api/v1/files/{saved.document}")
    assert chats(chat) == set()
    output = page(node, server, tmp_path, "functions", "restore", name=saved.name)[-1]
    assert result(output)["name"] == saved.name
    wait_ready(node, RESOURCE, TENANT)
    assert_has_all(signed_in(node, TENANT), saved)
    page(node, server, tmp_path, "clean")
    assert "backup" not in node.kubectl("-n", TENANT, "get", "jobs,networkpolicies", "-o", "name")


@pytest.mark.timeout(1200)
def test_a_clone_shares_neither_key_nor_password_nor_host(
    node: Node, server: S3Server, chat: WebUI, saved: Saved, clone: str, tmp_path: Path
) -> None:
    variables = {
        "resource": resource_of(clone),
        "workspace": clone,
        "source": f"{SYSTEM}/{TENANT}",
        "name": saved.name,
    }
    page(node, server, tmp_path, "prepare", "functions", "clone", **variables)
    wait_ready(node, resource_of(clone), clone)
    cloned = signed_in(node, clone)
    assert_has_all(cloned, saved)
    assert cloned.host != chat.host
    assert credentials(node, clone) != credentials(node, TENANT)
    with pytest.raises(HTTPError, match=r"40[01]"):
        WebUI(cloned.address, cloned.host).sign_in(*credentials(node, TENANT))
    cloned.token = signed_in(node, TENANT).token
    with pytest.raises(HTTPError, match="401"):
        chats(cloned)


def listed(server: S3Server) -> set[str]:
    """The backups in the workspace's folder, by name."""
    return set(ARCHIVE.findall(server.send("GET", f"/{BUCKET}?list-type=2").text))


def titles(server: S3Server, backup: str, folder: Path) -> list[str]:
    """The chats' titles in a backup."""
    archive = server.send("GET", f"/{BUCKET}/chats/{SYSTEM}/{TENANT}/{backup}.tar").content
    with tarfile.open(fileobj=io.BytesIO(archive)) as content:
        member = content.extractfile("data/webui.db")
        assert member is not None
        (folder / "webui.db").write_bytes(member.read())
    with sqlite3.connect(folder / "webui.db") as database:
        return [title for (title,) in database.execute("SELECT title FROM chat")]


@pytest.mark.timeout(1200)
def test_a_running_chat_is_backed_up_by_schedule_and_on_request(
    node: Node, destination: S3Server, chat: WebUI, tmp_path: Path
) -> None:
    """People chat meanwhile, and old backups are pruned."""
    person = signed_in(node, TENANT)
    before = len(chats(person))
    keep_a_chat(person)
    seen: set[str] = set()
    request = names.backup_run(TENANT, "now")

    def has_made(count: int) -> bool:
        assert len(chats(person)) == before + 1  # it answers all the time
        seen.update(listed(destination))
        return len(seen) >= count

    patch(node, RESOURCE, {"backup": {"request": "now", "keep": 2}})
    try:
        eventually(lambda: has_made(1), "a backup on request", 300, lambda: node.story(TENANT))
        node.kubectl("-n", TENANT, "wait", f"job/{request}", "--for=condition=Complete")
        patch(node, RESOURCE, {"backup": {"schedule": "* * * * *"}})
        eventually(lambda: has_made(3), "backups each minute", 420, lambda: node.story(TENANT))
        eventually(lambda: len(listed(destination)) <= 2, "older ones are pruned", 180)
        assert chat.host == person.host
        assert titles(destination, max(listed(destination)), tmp_path).count("kept") >= 1
    finally:
        patch(node, RESOURCE, {"backup": None})
    eventually(
        lambda: "backup" not in node.kubectl("-n", TENANT, "get", "cronjobs,jobs", "-o", "name"),
        "runs end with spec.backup",
    )


@pytest.fixture(scope="module")
def backup(node: Node, destination: S3Server, chat: WebUI) -> Iterator[Saved]:
    """A backup that spec.backup asked for, and what was in the chat at that time."""
    assert destination.endpoint
    assert chat.host
    person = signed_in(node, TENANT)
    for chat_id in chats(person):
        person.delete(f"/api/v1/chats/{chat_id}")
    keep_a_chat(person)
    if not any(user["email"] == PERSON["email"] for user in _people(person)):
        person.call("/api/v1/auths/add", {**PERSON, "role": "user"})
    document = person.upload("key.txt", DOCUMENT)
    patch(node, RESOURCE, {"backup": {"request": "before restores"}})
    eventually(lambda: _listed_names(node), "a backup is listed", 300, lambda: node.story(TENANT))
    yield Saved(_listed_names(node)[0], chats(person), document)
    patch(node, RESOURCE, {"backup": None, "restore": None})


def _people(chat: WebUI) -> list[Any]:
    users = chat.call("/api/v1/users/")
    return list(users["users"] if isinstance(users, dict) else users)


def _listed_names(node: Node) -> list[str]:
    """The backups of the request, as the status lists them, the newest first."""
    record = status(node, RESOURCE).get("backup") or {}
    if record.get("request") != "before restores" or record.get("state") != "Done":
        return []
    return [entry["name"] for entry in record["items"]]


def _restored(node: Node, resource: str, tenant: str, request: str) -> None:
    """Wait until the restore of that request is done, and the chat runs again."""

    def is_done() -> bool:
        record = status(node, resource).get("restore") or {}
        is_own = record.get("target", {}).get("request", "") == request
        return is_own and record.get("state") == "Done"

    eventually(is_done, "the restore is done", 300, lambda: node.story(tenant))
    wait_ready(node, resource, tenant)
    assert condition(node, resource, "Restored")["status"] == "True"


def _empty(chat: WebUI, backup: Saved) -> None:
    for chat_id in chats(chat):
        chat.delete(f"/api/v1/chats/{chat_id}")
    chat.delete(f"/api/v1/files/{backup.document}")
    assert chats(chat) == set()


@pytest.mark.timeout(1200)
def test_spec_restore_brings_the_data_back_and_sessions_stay_valid(
    node: Node, backup: Saved
) -> None:
    person = signed_in(node, TENANT)
    _empty(person, backup)
    patch(node, RESOURCE, {"restore": {"backup": backup.name, "request": "first"}})
    _restored(node, RESOURCE, TENANT, "first")
    signed_in(node, TENANT)  # waits until the ingress serves the chat
    assert_has_all(person, backup)


@pytest.mark.timeout(1200)
def test_a_restore_whose_pod_is_killed_ends_well(node: Node, backup: Saved) -> None:
    _empty(signed_in(node, TENANT), backup)
    patch(node, RESOURCE, {"restore": {"backup": backup.name, "request": "killed"}})
    killed: list[str] = []

    def is_killed() -> bool:
        """Kill the first pod of the Job as soon as it is there."""
        pods = node.kubectl("-n", TENANT, "get", "pods", "-o", "name")
        runs = [pod for pod in pods.split() if f"{TENANT}-restore-" in pod]
        if runs:
            node.kubectl("-n", TENANT, "delete", runs[0], "--grace-period=0", "--force")
            killed.append(runs[0])
        return bool(killed)

    eventually(is_killed, "a restore's pod is killed", 300, lambda: node.story(TENANT))
    _restored(node, RESOURCE, TENANT, "killed")
    assert_has_all(signed_in(node, TENANT), backup)


@pytest.mark.timeout(1200)
def test_a_clone_by_spec_has_the_chats_and_a_host_a_key_and_an_administrator_of_its_own(
    node: Node, backup: Saved
) -> None:
    tenant = "spec-clone-aichat"
    make_workspace(node, tenant, patterns=[], restore={"backup": backup.name, "source": TENANT})
    try:
        _restored(node, resource_of(tenant), tenant, "")
        cloned = signed_in(node, tenant)
        assert_has_all(cloned, backup)
        assert credentials(node, tenant) != credentials(node, TENANT)
        with pytest.raises(HTTPError, match=r"40[01]"):
            WebUI(cloned.address, cloned.host).sign_in(*credentials(node, TENANT))
        cloned.token = signed_in(node, TENANT).token
        with pytest.raises(HTTPError, match="401"):
            chats(cloned)
    finally:
        node.kube.delete("aiws", resource_of(tenant), SYSTEM)
