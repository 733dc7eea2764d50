import asyncio
import base64
from typing import Any, cast

import pytest
import structlog

from aichat_workspace.domain import names
from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import AlreadyExistsError, UnreachableError
from aichat_workspace.kube.objects import Json
from aichat_workspace.operator.observed.caches import Caches
from aichat_workspace.operator.records import keeping, session_key
from aichat_workspace.operator.writer import Writer
from tests.unit.waiting import turns


class FakeCluster:
    """Raises its errors first, then creates."""

    def __init__(self) -> None:
        self.created: list[Json] = []
        self.errors: list[Exception] = []

    async def create(self, _: Resource, body: Json, **__: Any) -> Json:
        if self.errors:
            raise self.errors.pop(0)
        version = str(len(self.created) + 1)
        created = {**body, "metadata": {**body["metadata"], "resourceVersion": version, "uid": "u"}}
        self.created.append(created)
        return created


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def caches(cluster: FakeCluster) -> Caches:
    return Caches(cast("Client", cluster), lambda _: None)


async def maintain_for_a_while(cluster: FakeCluster, caches: Caches) -> None:
    task = asyncio.create_task(
        session_key.maintain(Writer(cast("Client", cluster), caches), caches)
    )
    await turns()
    assert not task.done()
    task.cancel()


async def test_the_key_is_created_once_and_again_after_its_deletion(
    cluster: FakeCluster, caches: Caches
) -> None:
    await maintain_for_a_while(cluster, caches)
    await maintain_for_a_while(cluster, caches)
    assert len(cluster.created) == 1
    task = asyncio.create_task(
        session_key.maintain(Writer(cast("Client", cluster), caches), caches)
    )
    await turns()
    caches.secrets._store.remove(cluster.created[0])
    await turns()
    task.cancel()
    assert len(cluster.created) == 2
    first, second = (secret["data"][names.SESSION_KEY] for secret in cluster.created)
    assert first != second
    assert len(base64.b64decode(first)) >= 32


async def test_the_operator_stores_no_copy_of_the_key(cluster: FakeCluster, caches: Caches) -> None:
    await maintain_for_a_while(cluster, caches)
    secret = caches.secrets.get(names.SYSTEM_NAMESPACE, names.API_SESSION)
    assert secret is not None
    assert "data" not in secret


async def test_an_existing_key_is_not_replaced(cluster: FakeCluster, caches: Caches) -> None:
    cluster.errors = [AlreadyExistsError(409, "AlreadyExists", "")]
    await maintain_for_a_while(cluster, caches)
    assert not cluster.created


async def test_a_crash_is_logged_and_the_key_is_kept_all_the_same(
    cluster: FakeCluster, caches: Caches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "_RETRY_SECONDS", 0.0)
    cluster.errors = [ZeroDivisionError()]
    with structlog.testing.capture_logs() as logs:
        await maintain_for_a_while(cluster, caches)
    assert [line["event"] for line in logs if line["log_level"] == "error"] == [
        "keeping the key for sessions crashed"
    ]
    assert len(cluster.created) == 1


async def test_a_fault_is_tried_again(
    cluster: FakeCluster, caches: Caches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "_RETRY_SECONDS", 0.0)
    cluster.errors = [UnreachableError("gone")]
    await maintain_for_a_while(cluster, caches)
    assert len(cluster.created) == 1
