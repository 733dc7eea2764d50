"""A real chat on a volume of a real CSI driver is backed up by snapshots, and comes back."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from localcluster.node.layout import NODE, Layout
from tests import csi
from tests.e2e.conftest import SYSTEM, Node, make_workspace, resource_of, signed_in, wait_ready
from tests.e2e.webui import WebUI
from tests.e2e.workspace import chats, condition, keep_a_chat, patch, platform, status
from tests.waiting import eventually

pytestmark = pytest.mark.slow

TENANT: Final = "snapped-aichat"
RESOURCE: Final = resource_of(TENANT)
DOCUMENT: Final = "The spare key is under the third flower pot."


@pytest.fixture(scope="module")
def logs(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The logs of a CSI driver that the node has for a while, and the platform names."""
    for path in csi.definitions():
        node.kubectl("apply", "-f", str(path))
    crds = [f"crd/{kind}.{csi.SNAPSHOT_GROUP}" for kind in csi.SNAPSHOT_KINDS]
    node.kubectl("wait", *crds, "--for=condition=Established", "--timeout=30s")
    for manifest in (*csi.OBJECTS, csi.SNAPSHOT_CLASS):
        node.kube.apply(manifest)
    kubelet = Layout(Path(node.kubeconfig).parent / "node").kubelet
    folder = tmp_path_factory.mktemp("csi")
    with csi.csi_driver(folder, kubelet, node.kubeconfig, NODE) as logs:
        backup = {"destinations": [{"name": "snapshots", "snapshot": {}}]}
        platform(node, {"backup": backup, "allowed": {"storageClasses": [csi.CLASS]}})
        yield logs
        platform(node, {"backup": None, "allowed": None})
        node.kubectl("delete", *crds, "--timeout=60s")
    for manifest in csi.OBJECTS:
        node.kubectl("delete", manifest["kind"], manifest["metadata"]["name"])


@pytest.fixture(scope="module")
def chat(node: Node, logs: Path) -> Iterator[WebUI]:
    assert logs.exists()
    volume = {"openWebUI": {"storageClassName": csi.CLASS}}
    make_workspace(node, TENANT, patterns=[], storage=volume)
    wait_ready(node, RESOURCE, TENANT)
    yield signed_in(node, TENANT)
    node.kube.delete("aiws", RESOURCE, SYSTEM)
    node.kubectl("wait", f"namespace/{TENANT}", "--for=delete", "--timeout=170s")


def backups(node: Node, request: str) -> list[Any]:
    """The backups that the status lists once this request is met, the newest first."""
    record = status(node, RESOURCE).get("backup") or {}
    is_done = record.get("request") == request and record.get("state") == "Done"
    return list(record["items"]) if is_done else []


def back_up(node: Node, request: str, logs: Path) -> str:
    patch(node, RESOURCE, {"backup": {"request": request, "keep": 2}})
    eventually(
        lambda: backups(node, request),
        "a snapshot is a backup",
        300,
        lambda: story(node, logs),
    )
    return str(backups(node, request)[0]["name"])


def story(node: Node, logs: Path) -> str:
    ran = node.try_kubectl("get", "volumesnapshots,pvc,jobs", "-n", TENANT, "-o", "yaml")
    texts = [f"{path.name}:\n{path.read_text()[-3000:]}" for path in sorted(logs.iterdir())]
    return "\n".join((node.story(TENANT), ran.stdout, *texts))


@pytest.mark.timeout(1200)
def test_a_running_chats_snapshot_brings_it_back(node: Node, chat: WebUI, logs: Path) -> None:
    keep_a_chat(chat)
    document = chat.upload("key.txt", DOCUMENT)
    before = chats(chat)
    backup = back_up(node, "before", logs)
    assert condition(node, RESOURCE, "BackedUp")["status"] == "True"
    for chat_id in before:
        chat.delete(f"/api/v1/chats/{chat_id}")
    chat.delete(f"/api/v1/files/{document}")
    keep_a_chat(chat)
    assert chats(chat).isdisjoint(before)
    patch(node, RESOURCE, {"restore": {"backup": backup}})
    eventually(
        lambda: (status(node, RESOURCE).get("restore") or {}).get("state") == "Done",
        "the restore is done",
        300,
        lambda: story(node, logs),
    )
    wait_ready(node, RESOURCE, TENANT)
    person = signed_in(node, TENANT)
    assert chats(person) == before
    content = person.call(f"/api/v1/files/{document}/data/content")["content"]
    assert content.strip() == DOCUMENT
    question = {"collection_name": f"file-{document}", "query": "the spare key", "k": 1}
    assert DOCUMENT in json.dumps(person.call("/api/v1/retrieval/query/doc", question))
    eventually(
        lambda: "restore" not in node.kubectl("get", "pvc", "-n", TENANT, "-o", "name"),
        "the volume of the restore is gone",
        story=lambda: story(node, logs),
    )


@pytest.mark.timeout(1200)
def test_as_many_snapshots_stay_as_the_spec_says(node: Node, chat: WebUI, logs: Path) -> None:
    names = [back_up(node, f"request {number}", logs) for number in range(3)]
    assert chats(chat) is not None, "it has run all the time"

    def contents() -> int:
        listing = node.kubectl("get", "volumesnapshotcontents", "-o", "name")
        return len(listing.split())

    eventually(lambda: contents() == 2, "the driver has two", 120, lambda: story(node, logs))
    listed = [entry["name"] for entry in backups(node, "request 2")]
    assert listed == sorted(names[1:], reverse=True)
