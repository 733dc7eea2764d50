"""A newer Open WebUI that changes a chat's data, and the way back."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.v1alpha1.platform_spec import Images
from localcluster.build.images.openwebui import ensure_layers
from localcluster.progress import reporting
from tests.e2e.conftest import (
    LOCALCLUSTER,
    RESOURCE,
    ROOT,
    SECOND,
    SYSTEM,
    Node,
    make_workspace,
    resource_of,
    signed_in,
    wait_ready,
)
from tests.e2e.newer_chat import MARK, newer_image
from tests.e2e.webui import WebUI
from tests.e2e.workspace import condition, keep_a_chat, platform
from tests.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("whole_node")]
IMAGE = Images().open_webui
TENANT = "newer-aichat"
NEWER = resource_of(TENANT)


@pytest.fixture(scope="module")
def chat(node: Node, whole_node: None) -> Iterator[WebUI]:
    """A workspace of its own, the only one that takes the platform's image."""
    assert whole_node is None
    others = (RESOURCE, resource_of(SECOND))
    for other in others:
        mark(node, other, names.SKIPPED)
    make_workspace(node, TENANT)
    wait_ready(node, NEWER, TENANT)
    yield signed_in(node, TENANT)
    node.kube.delete("aiws", NEWER, SYSTEM)
    platform(node, {"images": None, "upgrades": None})
    for other in others:
        mark(node, other, None)


def mark(node: Node, resource: str, upgrades: str | None) -> None:
    annotations = {names.UPGRADES_ANNOTATION: upgrades}
    node.kube.patch("aiws", resource, SYSTEM, {"metadata": {"annotations": annotations}})


def run(node: Node, image: str | None) -> None:
    platform(node, {"images": {"openWebUI": image}, "upgrades": {"maxFailures": 64}})


def load(node: Node, name: str, folder: Path, *, starts: bool) -> str:
    """Give the node an image of a newer Open WebUI, and return its name."""
    with reporting() as report:
        image = newer_image(name, folder, ensure_layers(report), starts=starts)
    command = [*LOCALCLUSTER, "load", str(image.archive), "--name", node.name]
    subprocess.run(command, cwd=ROOT, check=True)
    image.archive.unlink()
    return name


def titles(chat: WebUI) -> set[str]:
    return {document["title"] for document in chat.call("/api/v1/chats/")}


def log(node: Node) -> str:
    return node.kubectl("logs", "-n", TENANT, f"deployment/{TENANT}-openwebui", "-c", "prepare")


def test_an_upgrade_that_fails_after_migrating_is_rolled_back_with_its_chats(
    node: Node, chat: WebUI, tmp_path: Path
) -> None:
    keep_a_chat(chat)
    before = titles(chat)
    broken = load(node, f"{IMAGE}-broken", tmp_path, starts=False)
    run(node, broken)
    eventually(
        lambda: condition(node, NEWER, "UpToDate")["reason"] == "UpgradeFailed",
        "the newer image to fail",
        300,
        lambda: node.story(TENANT),
    )
    assert f"before {broken} changes them" in log(node)
    run(node, None)
    wait_ready(node, NEWER, TENANT)
    assert "put the chat's data back" in log(node)
    assert titles(chat) == before


def test_what_people_wrote_with_a_newer_image_is_not_taken_away_by_an_older_one(
    node: Node, chat: WebUI, tmp_path: Path
) -> None:
    before = titles(chat)
    newer = load(node, f"{IMAGE}-newer", tmp_path, starts=True)
    run(node, newer)
    eventually(
        lambda: (
            condition(node, NEWER, "UpToDate")["status"] == "True"
            and newer in node.kubectl("get", "pods", "-n", TENANT, "-o", "yaml")
        ),
        "the newer image to run",
        300,
        lambda: node.story(TENANT),
    )
    wait_ready(node, NEWER, TENANT)
    assert titles(chat) == {f"{title}{MARK}" for title in before}
    keep_a_chat(chat)
    run(node, None)
    eventually(
        lambda: "people have written since" in condition(node, NEWER, "Ready")["message"],
        "the workspace to say why its chat does not start",
        300,
        lambda: node.story(TENANT),
    )
    assert "Set the newer image again" in condition(node, NEWER, "Ready")["message"]
    run(node, newer)
    wait_ready(node, NEWER, TENANT)
    assert titles(chat) == {*(f"{title}{MARK}" for title in before), "kept"}
