"""What concerns all workspaces of the node at once, so nothing else goes on meanwhile."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from aichat_workspace.domain.v1alpha1.platform_spec import Images
from tests.e2e.conftest import (
    LOCALCLUSTER,
    RESOURCE,
    ROOT,
    SECOND,
    SYSTEM,
    TENANT,
    Node,
    resource_of,
    wait_ready,
)
from tests.e2e.webui import WebUI
from tests.e2e.workspace import answers, bytes_sent, chats, condition, keep_a_chat, platform, status
from tests.waiting import eventually, let_pass

pytestmark = pytest.mark.usefixtures("whole_node")
IMAGE = Images().open_webui
QUIET_SECONDS = 10


def test_two_ready_workspaces_cost_the_api_server_no_request(node: Node) -> None:
    assert node.operator_requests()
    later: list[Any] = []

    def quiet() -> bool:
        before = node.operator_requests()
        last = datetime.fromisoformat(before[-1]["stageTimestamp"])
        passed = (datetime.now(UTC) - last).total_seconds()
        let_pass(max(0, QUIET_SECONDS - passed), "the operator would make a request")
        later[:] = node.operator_requests()[len(before) :]
        return not later

    eventually(
        quiet,
        f"{QUIET_SECONDS} seconds without a request",
        90,
        lambda: "\n".join(f"{entry['verb']} {entry['requestURI']}" for entry in later),
    )


@contextmanager
def images(node: Node, image: str) -> Iterator[None]:
    """The platform with another image of the chat. One workspace changes at a time, the second one
    last, and a failure stops that."""
    order = {"metadata": {"labels": {"aichatworkspaces.io/upgrade-order": "999"}}}
    node.kube.patch("aiws", resource_of(SECOND), SYSTEM, order)
    upgrades = {"concurrent": 1, "maxFailures": 0}
    platform(node, {"images": {"openWebUI": image}, "upgrades": upgrades})
    try:
        yield
    finally:
        platform(node, {"images": None, "upgrades": None})


def running(node: Node, tenant: str) -> str:
    deployment = node.kube.get("deployment", f"{tenant}-openwebui", "-n", tenant)
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])


def test_a_new_image_reaches_one_workspace_after_the_other_and_data_survives(
    node: Node, chat: WebUI
) -> None:
    keep_a_chat(chat)
    before, sent, new = chats(chat), bytes_sent(), f"{IMAGE}-next"
    subprocess.run([*LOCALCLUSTER, "tag", IMAGE, new, "--name", node.name], cwd=ROOT, check=True)
    with images(node, new):
        eventually(lambda: running(node, TENANT) == new, "the first one changes", 180)
        assert running(node, SECOND) == IMAGE
        eventually(
            lambda: running(node, SECOND) == new,
            "the second one follows once the first is available",
            120,
            lambda: node.story(TENANT),
        )
        assert status(node, RESOURCE)["images"]["openWebUI"] == new
        for resource, tenant in ((RESOURCE, TENANT), (resource_of(SECOND), SECOND)):
            wait_ready(node, resource, tenant)
        assert chats(chat) == before
        assert answers(chat, "gemma2:2b")
    eventually(lambda: running(node, SECOND) == IMAGE, "both are back", 120)
    for resource, tenant in ((RESOURCE, TENANT), (resource_of(SECOND), SECOND)):
        wait_ready(node, resource, tenant)
    assert bytes_sent() == sent, "the models stayed"


def test_an_image_that_fails_stops_with_the_first_workspace(node: Node) -> None:
    """F14: an image that cannot be pulled; the workspace recovers once it is corrected."""
    second = resource_of(SECOND)
    with images(node, "192.0.2.10/no/such-image:1"):
        eventually(
            lambda: condition(node, RESOURCE, "UpToDate")["reason"] == "UpgradeFailed",
            "the first one fails in its turn",
            150,
            lambda: node.story(TENANT),
        )
        assert condition(node, second, "UpToDate")["reason"] == "UpgradeWaiting"
        node.kubectl("label", "aiws", second, "-n", SYSTEM, "looked-at=again")
        eventually(
            lambda: condition(node, second, "UpToDate")["reason"] == "UpgradeStopped",
            "the other says so once it is looked at",
        )
        assert f"'{TENANT}'" in condition(node, second, "UpToDate")["message"]
        assert running(node, SECOND) == IMAGE
        assert condition(node, RESOURCE, "Ready")["reason"] == "ImagePullFailed"
        assert condition(node, second, "Ready")["status"] == "True"
    wait_ready(node, RESOURCE, TENANT)
