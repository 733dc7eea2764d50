"""What the operator relies on of a Kubernetes API server.

The tests hold for the real one and for the fake of unit tests, so that neither promises what the
other does not keep.
"""

from typing import Any

import pytest

from aichat_workspace.domain.kubernetes.kinds import CONFIG_MAP
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidError,
    NotFoundError,
)
from aichat_workspace.kube.objects import Json

_NAMESPACE = "default"
_FINALIZER = "example.org/hold"


def config_map(name: str, data: dict[str, str] | None = None, **metadata: Any) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": _NAMESPACE, **metadata},
        "data": data or {},
    }


async def create(client: Client, name: str, **metadata: Any) -> Json:
    return await client.create(CONFIG_MAP, config_map(name, **metadata), field_manager="tests")


async def apply(
    client: Client, name: str, data: dict[str, str] | None = None, **metadata: Any
) -> Json:
    body = config_map(name, data, **metadata)
    return await client.apply(CONFIG_MAP, body, field_manager="tests")


async def patch(client: Client, name: str, *operations: Json) -> Json:
    return await client.json_patch(CONFIG_MAP, name, _NAMESPACE, operations, field_manager="tests")


async def delete(client: Client, name: str, uid: str | None = None) -> Json | None:
    return await client.delete(CONFIG_MAP, name, _NAMESPACE, uid=uid)


async def listed(client: Client, name: str) -> list[Json]:
    pages = client.list_pages(CONFIG_MAP, field_selector=f"metadata.name={name}")
    return [item async for page in pages for item in page["items"]]


def version(obj: Json) -> int:
    return int(obj["metadata"]["resourceVersion"])


class KubernetesContract:
    """A subclass has a fixture `client`. No object's name is used twice."""

    async def test_a_created_object_has_a_uid_and_a_version_and_is_listed_by_its_name(
        self, client: Client
    ) -> None:
        created = await create(client, "created")
        assert created["metadata"]["uid"]
        assert version(created) > 0
        (stored,) = await listed(client, "created")
        assert stored["metadata"]["uid"] == created["metadata"]["uid"]
        assert await listed(client, "never-created") == []

    async def test_an_object_is_read_by_its_name(self, client: Client) -> None:
        created = await create(client, "read")
        stored = await client.get(CONFIG_MAP, "read", _NAMESPACE)
        assert stored["metadata"]["uid"] == created["metadata"]["uid"]
        with pytest.raises(NotFoundError):
            await client.get(CONFIG_MAP, "never-created", _NAMESPACE)

    async def test_objects_are_listed_by_their_labels(self, client: Client) -> None:
        await create(client, "labelled", labels={"a": "contract", "b": "2"})
        await create(client, "labelled-too", labels={"a": "contract"})
        names = [
            item["metadata"]["name"]
            async for page in client.list_pages(
                CONFIG_MAP, _NAMESPACE, label_selector="a=contract,b=2"
            )
            for item in page["items"]
        ]
        assert names == ["labelled"]

    async def test_a_replacement_is_of_the_version_that_was_read(self, client: Client) -> None:
        read = await create(client, "replaced")
        changed = await client.replace(CONFIG_MAP, {**read, "data": {"a": "1"}}, field_manager="t")
        assert changed["data"] == {"a": "1"}
        assert changed["metadata"]["uid"] == read["metadata"]["uid"]
        with pytest.raises(ConflictError):
            await client.replace(CONFIG_MAP, {**read, "data": {"a": "2"}}, field_manager="t")
        with pytest.raises(NotFoundError):
            await client.replace(CONFIG_MAP, config_map("never-created"), field_manager="t")

    async def test_nothing_is_created_twice(self, client: Client) -> None:
        await create(client, "once")
        with pytest.raises(AlreadyExistsError):
            await create(client, "once")

    async def test_an_apply_creates_or_changes(self, client: Client) -> None:
        created = await apply(client, "applied", {"a": "1", "b": "2"})
        changed = await apply(client, "applied", {"a": "3"})
        assert changed["data"] == {"a": "3"}
        assert changed["metadata"]["uid"] == created["metadata"]["uid"]
        assert version(changed) > version(created)

    async def test_an_apply_of_the_same_changes_nothing(self, client: Client) -> None:
        first = await apply(client, "same", {"a": "1"})
        assert version(await apply(client, "same", {"a": "1"})) == version(first)

    async def test_an_apply_with_a_uid_is_for_exactly_that_object(self, client: Client) -> None:
        other = (await apply(client, "another"))["metadata"]["uid"]
        with pytest.raises(ConflictError):
            await apply(client, "not-there", uid=other)
        seen = await apply(client, "exact", {"a": "1"})
        with pytest.raises(ConflictError):
            await apply(client, "exact", {"a": "2"}, uid=other)
        changed = await apply(client, "exact", {"a": "2"}, uid=seen["metadata"]["uid"])
        assert changed["data"] == {"a": "2"}

    async def test_a_patch_changes_what_it_names(self, client: Client) -> None:
        await apply(client, "patched", {"a": "1", "b": "2"}, labels={"x/y": "z"})
        changed = await patch(
            client,
            "patched",
            {"op": "replace", "path": "/data/a", "value": "3"},
            {"op": "remove", "path": "/data/b"},
            {"op": "remove", "path": "/metadata/labels/x~1y"},
        )
        assert changed["data"] == {"a": "3"}
        assert not changed["metadata"].get("labels")

    async def test_a_patch_whose_test_fails_changes_nothing(self, client: Client) -> None:
        await apply(client, "tested", {"a": "1"})
        with pytest.raises(InvalidError):
            await patch(
                client,
                "tested",
                {"op": "test", "path": "/metadata/resourceVersion", "value": "1"},
                {"op": "remove", "path": "/data/a"},
            )
        (stored,) = await listed(client, "tested")
        assert stored["data"] == {"a": "1"}

    async def test_there_is_no_patch_of_what_is_not_there(self, client: Client) -> None:
        with pytest.raises(NotFoundError):
            await patch(client, "absent", {"op": "remove", "path": "/data/a"})

    async def test_an_absent_object_counts_as_deleted(self, client: Client) -> None:
        assert await delete(client, "long-gone") is None

    async def test_a_deletion_with_a_uid_is_of_exactly_that_object(self, client: Client) -> None:
        created, other = await create(client, "to-delete"), await create(client, "to-keep")
        with pytest.raises(ConflictError):
            await delete(client, "to-delete", other["metadata"]["uid"])
        await delete(client, "to-delete", created["metadata"]["uid"])
        assert await listed(client, "to-delete") == []

    async def test_a_finalizer_holds_a_deleted_object_until_it_is_removed(
        self, client: Client
    ) -> None:
        await create(client, "finalized", finalizers=[_FINALIZER])
        await delete(client, "finalized")
        (deleted,) = await listed(client, "finalized")
        assert deleted["metadata"]["deletionTimestamp"]
        await patch(
            client,
            "finalized",
            {"op": "test", "path": "/metadata/finalizers/0", "value": _FINALIZER},
            {"op": "remove", "path": "/metadata/finalizers/0"},
        )
        assert await listed(client, "finalized") == []
