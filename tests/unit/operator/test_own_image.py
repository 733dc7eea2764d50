"""The image that backups run is that of the operator's own pod."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from aichat_workspace.domain import names
from aichat_workspace.kube.errors import UnreachableError
from aichat_workspace.operator import own_image as module
from aichat_workspace.operator.own_image import own_image

CONTAINERS = [
    {"name": "sidecar", "image": "mesh:1"},
    {"name": "manager", "image": "registry.example.org/operator:0.1.0"},
]


class Pods:
    """The system namespace's pods, as a client lists them."""

    def __init__(self, *items: dict[str, Any], failures: int = 0) -> None:
        self.items = items
        self.failures = failures
        self.asked: list[tuple[str, str]] = []

    async def list_pages(
        self, _resource: object, namespace: str, *, field_selector: str
    ) -> AsyncIterator[dict[str, Any]]:
        self.asked.append((namespace, field_selector))
        if self.failures:
            self.failures -= 1
            raise UnreachableError("no answer")
        yield {"items": list(self.items)}


async def image_of(pods: Pods) -> str:
    return await own_image(pods, "operator-1")  # type: ignore[arg-type]


async def test_it_is_the_managers_in_the_pod_of_this_name() -> None:
    pods = Pods({"spec": {"containers": CONTAINERS}})
    assert await image_of(pods) == "registry.example.org/operator:0.1.0"
    assert pods.asked == [(names.SYSTEM_NAMESPACE, "metadata.name=operator-1")]


async def test_without_its_pod_it_is_unknown() -> None:
    assert await image_of(Pods()) == ""


async def test_it_waits_for_the_api_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.0)
    pods = Pods({"spec": {"containers": CONTAINERS}}, failures=2)
    assert await image_of(pods) == "registry.example.org/operator:0.1.0"
    assert len(pods.asked) == 3
