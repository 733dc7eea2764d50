import asyncio
import base64
from typing import Any, cast

import pytest

from aichat_workspace.domain import names
from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import AlreadyExistsError, UnreachableError
from aichat_workspace.kube.objects import Json
from aichat_workspace.operator import session_key
from aichat_workspace.operator.caches import Caches
from aichat_workspace.operator.writer import Writer
from tests.unit.waiting import turns


class Cluster:
    """Takes what is created, after the errors that it was told to raise."""

    def __init__(self) -> None:
        self.made: list[Json] = []
        self.errors: list[Exception] = []

    async def create(self, _: Resource, body: Json, **__: Any) -> Json:
        if self.errors:
            raise self.errors.pop(0)
        version = str(len(self.made) + 1)
        made = {**body, "metadata": {**body["metadata"], "resourceVersion": version, "uid": "u"}}
        self.made.append(made)
        return made


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def caches(cluster: Cluster) -> Caches:
    return Caches(cast("Client", cluster), lambda _: None)


async def kept(cluster: Cluster, caches: Caches) -> None:
    """Let it be kept for a while."""
    task = asyncio.create_task(
        session_key.maintain(Writer(cast("Client", cluster), caches), caches)
    )
    await turns()
    assert not task.done()
    task.cancel()


async def test_the_key_is_made_once_and_again_when_it_was_deleted(
    cluster: Cluster, caches: Caches
) -> None:
    await kept(cluster, caches)
    await kept(cluster, caches)
    assert len(cluster.made) == 1
    task = asyncio.create_task(
        session_key.maintain(Writer(cast("Client", cluster), caches), caches)
    )
    await turns()
    caches.secrets._store.remove(cluster.made[0])
    await turns()
    task.cancel()
    assert len(cluster.made) == 2
    first, second = (each["data"][names.SESSION_KEY] for each in cluster.made)
    assert first != second
    assert len(base64.b64decode(first)) >= 32


async def test_the_operator_keeps_no_copy_of_the_key(cluster: Cluster, caches: Caches) -> None:
    await kept(cluster, caches)
    held = caches.secrets.get(names.SYSTEM_NAMESPACE, names.API_SESSION)
    assert held is not None
    assert "data" not in held


async def test_a_key_that_is_there_already_is_not_made(cluster: Cluster, caches: Caches) -> None:
    cluster.errors = [AlreadyExistsError(409, "AlreadyExists", "")]
    await kept(cluster, caches)
    assert not cluster.made


async def test_a_fault_is_tried_again(
    cluster: Cluster, caches: Caches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_key, "_RETRY_SECONDS", 0.0)
    cluster.errors = [UnreachableError("gone")]
    await kept(cluster, caches)
    assert len(cluster.made) == 1
