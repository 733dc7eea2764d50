"""The leader records the settings in force, and says what a person has to know of them."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, cast

import pytest

from aichat_workspace.domain import names
from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import UnreachableError
from aichat_workspace.kube.objects import Json
from aichat_workspace.operator.observed.caches import Caches
from aichat_workspace.operator.records import keeping, settings_record
from aichat_workspace.operator.writer import Writer
from tests.unit.domain.samples import NOW
from tests.unit.waiting import turns


class FakeCluster:
    """Raises its errors first, then takes what is written."""

    def __init__(self) -> None:
        self.records: list[Json] = []
        self.events: list[Json] = []
        self.errors: list[Exception] = []

    async def apply(self, _: Resource, body: Mapping[str, Any], **__: Any) -> Json:
        if self.errors:
            raise self.errors.pop(0)
        version = str(len(self.records) + 1)
        metadata = {**body["metadata"], "resourceVersion": version, "uid": "record"}
        self.records.append({**body, "metadata": metadata})
        return self.records[-1]

    async def json_patch(self, *_: Any, **__: Any) -> Json:
        return {}

    async def create(self, _: Resource, body: Json, **__: Any) -> Json:
        self.events.append(body)
        return body

    @property
    def recorded(self) -> list[Any]:
        return [json.loads(record["data"]["spec"]) for record in self.records]

    @property
    def notes(self) -> list[tuple[str, str]]:
        return [(event["reason"], event["note"]) for event in self.events]


class Leader:
    """Keeps the record for as long as the context lasts."""

    def __init__(self, cluster: FakeCluster) -> None:
        client = cast("Client", cluster)
        self.caches = Caches(client, lambda _: None)
        self._writer = Writer(client, self.caches)
        self._version = 0

    async def __aenter__(self) -> "Leader":
        self._task = asyncio.create_task(
            settings_record.maintain(self._writer, self.caches, lambda: NOW)
        )
        await turns()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert not self._task.done()
        self._task.cancel()

    async def apply(self, **spec: Any) -> None:
        self.caches.platform._store.put(self._platform(spec))
        await turns()

    async def delete(self) -> None:
        self.caches.platform._store.remove(self._platform({}))
        await turns()

    def _platform(self, spec: Json) -> Json:
        self._version += 1
        metadata = {"name": "default", "resourceVersion": str(self._version)}
        return {"kind": "AIChatPlatform", "metadata": metadata, "spec": spec}


DOMAIN = {"domain": "ai.corp.example"}


async def test_nothing_is_recorded_where_there_never_was_a_platform() -> None:
    async with Leader(cluster := FakeCluster()):
        assert cluster.records == cluster.events == []


async def test_each_change_is_recorded_once() -> None:
    async with Leader(cluster := FakeCluster()) as leader:
        await leader.apply(ingress=DOMAIN)
        await leader.apply(ingress=DOMAIN)
        await leader.apply()
        assert cluster.recorded == [{"ingress": DOMAIN}, {}]
        assert cluster.events == []


async def test_a_deleted_platform_is_told_with_the_way_back_and_not_recorded_again() -> None:
    async with Leader(cluster := FakeCluster()) as leader:
        await leader.apply(ingress=DOMAIN)
        await leader.delete()
        assert cluster.recorded == [{"ingress": DOMAIN}]
        ((reason, note),) = cluster.notes
        assert reason == "SettingsKept"
        assert "apply it again, or for the defaults apply one with an empty spec" in note
        (event,) = cluster.events
        assert event["regarding"]["name"] == names.SETTINGS_RECORD
        assert event["metadata"]["namespace"] == names.SYSTEM_NAMESPACE


async def test_a_record_that_was_removed_is_written_again() -> None:
    async with Leader(cluster := FakeCluster()) as leader:
        await leader.apply(ingress=DOMAIN)
        await leader.delete()
        leader.caches.records._store.remove(cluster.records[0])
        await turns()
        assert cluster.recorded == [{"ingress": DOMAIN}] * 2


async def test_a_refused_field_is_told_with_what_becomes_of_it() -> None:
    async with Leader(cluster := FakeCluster()) as leader:
        await leader.apply(ingress={"domain": 7})
        ((reason, note),) = cluster.notes
        assert reason == "SettingsNotUnderstood"
        assert "spec.ingress.domain" in note
        assert "no earlier value of ingress is known" in note
        await leader.apply(ingress=DOMAIN)
        await leader.apply(ingress={"domain": 7})
        ((_, note),) = settings_record.announcements(leader.caches.settings.in_force)
        assert "the earlier values stay in force" in note
        assert cluster.recorded[-1] == {"ingress": DOMAIN}


async def test_an_unreadable_record_is_left_for_a_person_to_mend() -> None:
    async with Leader(cluster := FakeCluster()) as leader:
        metadata = {
            "name": names.SETTINGS_RECORD,
            "namespace": names.SYSTEM_NAMESPACE,
            "uid": "record",
            "resourceVersion": "1",
        }
        record = {"kind": "ConfigMap", "metadata": metadata, "data": {"spec": "{"}}
        leader.caches.records._store.put(record)
        await turns()
        assert cluster.records == []
        assert [reason for reason, _ in cluster.notes] == ["SettingsKept", "SettingsNotUnderstood"]
        await leader.apply(ingress=DOMAIN)
        assert cluster.recorded == [{"ingress": DOMAIN}]


async def test_a_fault_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "_RETRY_SECONDS", 0.0)
    cluster = FakeCluster()
    cluster.errors = [UnreachableError("gone")]
    async with Leader(cluster) as leader:
        await leader.apply(ingress=DOMAIN)
        await turns()
        assert cluster.recorded == [{"ingress": DOMAIN}]
