"""When people last used a workspace: what is asked of chats in memory, and how often."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import cast

from aichat_workspace.domain.models.tools import NOT_OFFERED_YET
from aichat_workspace.domain.v1alpha1.workspace_status import ActivityRecord
from aichat_workspace.ollama.client import OllamaClient
from aichat_workspace.openwebui.client import OpenWebUIClient, Reply
from aichat_workspace.operator.servers import activity
from aichat_workspace.operator.servers.activity import ActivitySync
from aichat_workspace.operator.servers.tools import Chat
from tests.fakes.openwebui import EMAIL, PASSWORD, FakeOpenWebUI
from tests.unit.waiting import turns, until

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
USED = NOW - timedelta(hours=3)
SIGN_IN = "POST /api/v1/auths/signin"


class World:
    """One workspace's chat, and the sync that asks it."""

    def __init__(self, recorded: ActivityRecord | None = None) -> None:
        self.now = NOW
        self.openwebui = FakeOpenWebUI(last_active={"ann@example.org": int(USED.timestamp())})
        self.changes: list[str] = []
        self.recorded = recorded
        self.serves_since: datetime | None = None
        self.sync = ActivitySync(self.changes.append, lambda: self.now)

    def report(self, server: str = "pod-1", password: str = PASSWORD) -> ActivityRecord | None:
        """Return what the sync says after the chat was desired so."""
        chat = Chat(
            client=OpenWebUIClient(self.openwebui),
            ollama=cast("OllamaClient", None),
            server=server,
            model_server="ollama-1",
            volume="claim-1",
            email=EMAIL,
            password=password,
            admin_secret=None,
            recorded=NOT_OFFERED_YET,
            serves_since=self.serves_since,
        )
        return self.sync.set_desired("w", chat, self.recorded)

    async def looks(self, **later: float) -> int:
        """Look at the model server some time later. Return how often the chat was then asked."""
        self.now += timedelta(**later)
        before = self.sign_ins
        self.sync.looked("w")
        await turns()
        return self.sign_ins - before

    @property
    def sign_ins(self) -> int:
        return self.openwebui.requests.count(SIGN_IN)


async def test_a_chat_is_asked_when_it_comes_up_and_then_once_a_day() -> None:
    world = World()
    assert world.report(server="") is None
    await turns()
    assert world.openwebui.requests == [], "a chat that is not up is left alone"
    world.report()
    await until(lambda: world.changes == ["w"])
    assert world.report() == ActivityRecord(used_at=USED, asked_at=NOW)
    assert await world.looks(minutes=10) == 0
    assert await world.looks(hours=23) == 0
    assert await world.looks(hours=1) == 1
    assert world.report() == ActivityRecord(used_at=USED, asked_at=world.now)


async def test_another_pod_is_asked_at_once() -> None:
    world = World()
    world.report()
    await until(lambda: world.changes == ["w"])
    world.openwebui.last_active["bo@example.org"] = int(NOW.timestamp())
    world.report(server="pod-2")
    await until(lambda: world.changes == ["w", "w"])
    assert world.report(server="pod-2") == ActivityRecord(used_at=NOW, asked_at=NOW)


async def test_a_chat_that_nobody_used_has_no_time_and_was_asked() -> None:
    world = World()
    world.openwebui.last_active.clear()
    world.report()
    await until(lambda: world.changes == ["w"])
    assert world.report() == ActivityRecord(asked_at=NOW)


async def test_an_operator_that_takes_over_asks_nobody_before_the_day_is_over() -> None:
    recorded = ActivityRecord(used_at=USED, asked_at=NOW - timedelta(hours=20))
    world = World(recorded)
    assert world.report() == recorded
    assert await world.looks() == 0
    assert await world.looks(hours=4) == 1


async def test_an_operator_that_takes_over_asks_a_pod_that_the_former_one_did_not_ask() -> None:
    world = World(ActivityRecord(asked_at=NOW - timedelta(hours=1)))
    world.serves_since = NOW - timedelta(hours=2)
    world.report()
    await turns()
    assert world.sign_ins == 0
    world = World(ActivityRecord(asked_at=NOW - timedelta(hours=1)))
    world.serves_since = NOW - timedelta(minutes=5)
    world.report()
    await until(lambda: world.changes == ["w"])
    assert world.report() == ActivityRecord(used_at=USED, asked_at=NOW)


async def test_a_later_time_stays_when_an_account_is_gone() -> None:
    recorded = ActivityRecord(used_at=USED, asked_at=NOW - timedelta(days=2))
    world = World(recorded)
    world.openwebui.last_active.clear()
    world.report()
    assert await world.looks() == 1
    assert world.report() == ActivityRecord(used_at=USED, asked_at=NOW)


async def test_a_time_that_is_still_to_come_is_now() -> None:
    world = World()
    world.openwebui.last_active["ann@example.org"] = 10**12
    world.report()
    await until(lambda: world.changes == ["w"])
    assert world.report() == ActivityRecord(used_at=NOW, asked_at=NOW)


async def test_a_chat_that_does_not_answer_is_unknown_since_it_last_did_and_asked_again() -> None:
    recorded = ActivityRecord(used_at=USED, asked_at=NOW - timedelta(days=2))
    world = World(recorded)
    world.openwebui.fail = lambda _: Reply(503, b"no")
    world.report()
    assert await world.looks() == 1
    unknown = world.report()
    assert unknown is not None
    assert unknown.message == "Open WebUI does not say it: no"
    assert unknown == recorded.model_copy(update={"message": unknown.message})
    assert world.changes == ["w"]
    assert await world.looks(minutes=10) == 1
    assert world.changes == ["w"], "nothing new is no reason to write"
    world.openwebui.fail = lambda _: None
    assert await world.looks(minutes=10) == 1
    assert world.report() == ActivityRecord(used_at=USED, asked_at=world.now)


async def test_a_refused_sign_in_is_not_repeated_for_a_day_unless_the_password_is_another() -> None:
    world = World()
    world.report(password="changed there")
    await until(lambda: world.changes == ["w"])
    unknown = world.report(password="changed there")
    assert unknown is not None
    assert unknown.asked_at is None
    assert EMAIL in unknown.message
    assert await world.looks(minutes=10) == 0
    assert await world.looks(hours=24) == 1
    assert await world.looks(minutes=10) == 0
    world.report()
    assert await world.looks(minutes=10) == 1
    assert world.report() == ActivityRecord(used_at=USED, asked_at=world.now)


async def test_a_few_chats_are_asked_at_once() -> None:
    busy, most = 0, 0
    released = asyncio.Event()

    async def answer(method: str, path: str, body: bytes | None, headers: object) -> Reply:
        del method, path, body, headers
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await released.wait()
        busy -= 1
        return Reply(503, b"no")

    world = World()
    world.report()
    chat = world.sync._workspaces["w"].chat
    object.__setattr__(chat, "client", OpenWebUIClient(answer))
    for number in range(50):
        world.sync.set_desired(f"w{number}", chat, None)
    await turns()
    released.set()
    await until(lambda: len(world.changes) == 51)
    assert most == activity._CONCURRENT


async def test_a_workspace_that_goes_is_not_reported() -> None:
    world = World()
    world.report()
    world.sync.forget("w")
    world.sync.forget("w")
    world.sync.looked("w")
    await turns()
    assert world.changes == []
    await world.sync.close()


async def test_the_end_waits_for_what_is_under_way() -> None:
    world = World()
    world.report()
    await world.sync.close()
    assert world.changes == []
