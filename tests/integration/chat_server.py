"""Open WebUI in memory, where the API server's proxy leads to it."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager

from aichat_workspace.domain.render.components import OPENWEBUI
from tests.fakes.openwebui import FakeOpenWebUI
from tests.integration.conftest import SYSTEM, Cluster
from tests.integration.pods import served


@contextmanager
def chat_server(cluster: Cluster, workspace: str) -> Iterator[FakeOpenWebUI]:
    """Its administrator is the Secret's."""
    openwebui = FakeOpenWebUI()

    def respond(method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        reply = openwebui.answer(method, path, body, headers)
        return reply.status, reply.body

    follow_secret(cluster, workspace, openwebui)
    with served(cluster, workspace, OPENWEBUI, respond):
        yield openwebui


def follow_secret(cluster: Cluster, workspace: str, openwebui: FakeOpenWebUI) -> None:
    """What the container before the chat does when the Secret has changed."""
    data = cluster.get("secret", f"{workspace}-credentials", "-n", SYSTEM)["data"]
    openwebui.email, openwebui.password = (
        base64.b64decode(data[key]).decode()
        for key in ("WEBUI_ADMIN_EMAIL", "WEBUI_ADMIN_PASSWORD")
    )
