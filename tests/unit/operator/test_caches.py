import asyncio
from typing import Any, cast

from aichat_workspace.kube.client import Client
from aichat_workspace.operator.caches import Caches
from aichat_workspace.operator.downloads import Places


def platform(version: int, pulls: int) -> dict[str, Any]:
    return {
        "apiVersion": "apps.aichatworkspaces.io/v1alpha1",
        "kind": "AIChatPlatform",
        "metadata": {"name": "default", "resourceVersion": str(version)},
        "spec": {"models": {"concurrentPulls": pulls}},
    }


async def test_a_raised_limit_lets_waiting_downloads_go_on_at_once() -> None:
    places = Places(lambda: caches.settings().models.concurrent_pulls)
    caches = Caches(cast("Client", None), lambda _: None, places.fill)
    caches.platform.observe(platform(1, pulls=1))
    inside: list[str] = []
    enough = asyncio.Event()

    async def download(name: str) -> None:
        async with places.place(name):
            inside.append(name)
            await enough.wait()

    async with asyncio.TaskGroup() as group:
        for name in ("first", "second"):
            group.create_task(download(name))
        await asyncio.sleep(0.01)
        assert inside == ["first"]
        caches.platform.observe(platform(2, pulls=2))
        await asyncio.sleep(0.01)
        assert inside == ["first", "second"]
        enough.set()


def test_without_a_platform_the_defaults_hold() -> None:
    assert Caches(cast("Client", None), lambda _: None).settings().models.concurrent_pulls == 4
