"""Tool sync against model servers and chats in memory."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import pytest

from aichat_workspace.domain.tools import UNTOLD, ToolStatus, entry, revision
from aichat_workspace.ollama.client import OllamaClient
from aichat_workspace.ollama.errors import ModelNotFound, OllamaUnreachable
from aichat_workspace.openwebui.client import OpenWebUIClient, Reply
from aichat_workspace.operator import retries
from aichat_workspace.operator.tool_sync import Chat, ToolSync
from tests.fakes.openwebui import EMAIL, PASSWORD, FakeOpenWebUI
from tests.unit.waiting import turns, until


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_FIRST_SECONDS", 0.01)


class Ollama:
    """A model server that says what its models can do."""

    def __init__(self, **capabilities: str) -> None:
        self.capabilities_of = {name: set(text.split()) for name, text in capabilities.items()}
        self.asked: list[str] = []
        self.is_down = False

    async def capabilities(self, name: str) -> frozenset[str]:
        self.asked.append(name)
        await asyncio.sleep(0)
        if self.is_down:
            raise OllamaUnreachable("refused")
        if name not in self.capabilities_of:
            raise ModelNotFound(name)
        return frozenset(self.capabilities_of[name])

    @property
    def digests(self) -> dict[str, str]:
        return {name: f"{name}-{sorted(able)}" for name, able in self.capabilities_of.items()}


class Workspace:
    """One workspace's servers, and the sync that sees to them."""

    def __init__(self, **capabilities: str) -> None:
        self.ollama = Ollama(**capabilities)
        self.openwebui = FakeOpenWebUI()
        self.changes: list[str] = []
        self.sync = ToolSync(self.changes.append)
        self.chat = self.connected(self.openwebui)

    def connected(self, openwebui: FakeOpenWebUI) -> Chat:
        return Chat(
            client=OpenWebUIClient(openwebui),
            ollama=cast("OllamaClient", self.ollama),
            server="pod-1",
            volume="claim-1",
            email=EMAIL,
            password=PASSWORD,
            admin_secret=None,
            recorded=UNTOLD,
        )

    @property
    def status(self) -> ToolStatus:
        return self.sync.want("w", self.chat)

    @property
    def offered(self) -> set[str]:
        return set(self.openwebui.entries)

    def list_models(self, digests: Mapping[str, str] | None = None) -> None:
        self.sync.listed("w", self.ollama.digests if digests is None else digests)

    async def settles(self, *models: str) -> None:
        """Wait until the chat follows and these models are offered tools."""
        expected = ToolStatus(revision(self.chat.volume, models))
        await until(lambda: self.status == expected)
        assert self.offered == set(models)


async def test_tools_are_offered_to_the_models_that_can_call_them() -> None:
    workspace = Workspace(caller="completion tools", talker="completion", embedder="embedding")
    assert workspace.status == UNTOLD
    workspace.list_models()
    await workspace.settles("caller")
    assert workspace.openwebui.entries["caller"]["params"] == {"function_calling": "native"}
    assert workspace.changes == ["w"]


async def test_where_no_model_can_call_tools_nobody_signs_in() -> None:
    workspace = Workspace(talker="completion")
    assert workspace.status == UNTOLD
    workspace.list_models()
    await until(lambda: workspace.ollama.asked == ["talker"])
    await turns()
    assert workspace.openwebui.requests == []
    assert workspace.changes == []


async def test_a_workspace_at_rest_asks_nobody() -> None:
    workspace = Workspace(caller="tools")
    assert workspace.status == UNTOLD
    workspace.list_models()
    await workspace.settles("caller")
    requests, asked = list(workspace.openwebui.requests), list(workspace.ollama.asked)
    workspace.list_models()
    await turns()
    assert workspace.openwebui.requests == requests
    assert workspace.ollama.asked == asked


async def test_another_operator_goes_on_from_what_is_recorded_and_asks_no_chat() -> None:
    workspace = Workspace(caller="tools")
    recorded = ToolStatus(revision("claim-1", {"caller"}))
    workspace.chat = replace(workspace.chat, recorded=recorded)
    assert workspace.status == recorded
    workspace.list_models()
    await until(lambda: workspace.ollama.asked == ["caller"])
    await turns()
    assert workspace.openwebui.requests == []
    assert workspace.changes == []


async def test_a_model_that_comes_later_and_one_that_lost_the_capability_are_seen_to() -> None:
    workspace = Workspace(first="tools")
    assert workspace.status == UNTOLD
    workspace.list_models()
    await workspace.settles("first")
    workspace.ollama.capabilities_of = {"first": {"completion"}, "second": {"tools"}}
    workspace.list_models()
    await workspace.settles("second")
    workspace.ollama.capabilities_of = {}
    workspace.list_models()
    await workspace.settles()


async def test_a_persons_entries_stay() -> None:
    workspace = Workspace(caller="tools", talker="completion")
    theirs = {name: entry(name) | {"params": {"top_k": 1}} for name in ("caller", "talker")}
    workspace.openwebui.entries.update(theirs)
    assert workspace.status == UNTOLD
    workspace.list_models()
    await until(lambda: workspace.status.revision)
    assert workspace.openwebui.entries == theirs


async def test_entries_are_made_again_on_a_new_volume() -> None:
    workspace = Workspace(caller="tools")
    assert workspace.status == UNTOLD
    workspace.list_models()
    await workspace.settles("caller")
    workspace.openwebui.entries.clear()
    workspace.chat = replace(workspace.chat, volume="claim-2", server="pod-2")
    await workspace.settles("caller")


async def test_a_refused_sign_in_is_told_and_not_repeated_until_something_changes() -> None:
    workspace = Workspace(caller="tools")
    workspace.openwebui.password = "changed by its owner"
    assert workspace.status == UNTOLD
    workspace.list_models()
    await until(lambda: workspace.status.problem)
    assert EMAIL in workspace.status.problem
    assert workspace.changes == ["w"]
    await turns()
    assert len(workspace.openwebui.requests) == 1
    workspace.list_models()  # ten minutes later
    await until(lambda: len(workspace.openwebui.requests) == 2)
    assert workspace.changes == ["w"]
    workspace.openwebui.password = "of the Secret"
    workspace.chat = replace(workspace.chat, password="of the Secret", server="pod-2")
    await workspace.settles("caller")


async def test_a_problem_is_over_when_no_model_can_call_tools_any_more() -> None:
    workspace = Workspace(caller="tools")
    workspace.openwebui.password = "changed by its owner"
    assert workspace.status == UNTOLD
    workspace.list_models()
    await until(lambda: workspace.status.problem)
    workspace.list_models({})
    await workspace.settles()


@pytest.mark.parametrize("status", [503, 500])
async def test_a_chat_that_fails_is_tried_again_by_itself(status: int) -> None:
    workspace = Workspace(caller="tools")
    failures = [Reply(status, b'{"detail":"out of order"}')] * 3
    workspace.openwebui.fail = lambda _: failures.pop() if failures else None
    assert workspace.status == UNTOLD
    workspace.list_models()
    await workspace.settles("caller")


async def test_a_chat_that_fails_once_is_no_problem() -> None:
    workspace = Workspace(caller="tools")
    failures = [Reply(401, b'{"detail":"already registered"}')]
    workspace.openwebui.fail = lambda request: (
        failures.pop() if request.endswith("/create") and failures else None
    )
    assert workspace.status == UNTOLD
    workspace.list_models()
    await workspace.settles("caller")
    assert workspace.changes == ["w"]


async def test_what_a_chat_answers_with_is_told_and_a_chat_that_is_not_there_is_not() -> None:
    workspace = Workspace(caller="tools")
    workspace.openwebui.fail = lambda _: Reply(500, b'{"detail":"out of order"}')
    assert workspace.status == UNTOLD
    workspace.list_models()
    await until(lambda: "out of order" in workspace.status.problem)
    workspace.openwebui.fail = lambda _: Reply(503, b"")
    requests = len(workspace.openwebui.requests)
    await until(lambda: len(workspace.openwebui.requests) > requests + 1)
    assert "out of order" in workspace.status.problem
    await workspace.sync.close()


async def test_a_model_server_that_is_not_there_is_asked_again() -> None:
    workspace = Workspace(caller="tools")
    workspace.ollama.is_down = True
    assert workspace.status == UNTOLD
    workspace.list_models()
    await until(lambda: len(workspace.ollama.asked) > 1)
    assert workspace.openwebui.requests == []
    workspace.ollama.is_down = False
    await workspace.settles("caller")


async def test_a_model_that_is_gone_meanwhile_keeps_nothing_from_the_others() -> None:
    workspace = Workspace(caller="tools")
    assert workspace.status == UNTOLD
    workspace.list_models({"gone": "d0", **workspace.ollama.digests})
    await workspace.settles("caller")


async def test_nobody_is_asked_while_no_chat_serves() -> None:
    workspace = Workspace(caller="tools")
    workspace.chat = replace(workspace.chat, server="")
    assert workspace.status == UNTOLD
    workspace.list_models()
    await turns()
    assert workspace.ollama.asked == workspace.openwebui.requests == []
    workspace.chat = replace(workspace.chat, server="pod-1")
    await workspace.settles("caller")


async def test_a_chat_that_hangs_delays_no_other_workspace() -> None:
    workspace = Workspace(caller="tools")
    gate = asyncio.Event()

    async def hangs(
        method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Reply:
        await gate.wait()
        return workspace.openwebui.answer(method, path, body, headers)

    slow = replace(workspace.chat, client=OpenWebUIClient(hangs))
    workspace.sync.want("slow", slow)
    workspace.sync.listed("slow", workspace.ollama.digests)
    assert workspace.status == UNTOLD
    workspace.list_models()
    await workspace.settles("caller")
    assert workspace.sync.want("slow", slow) == UNTOLD
    await workspace.sync.close()


async def test_what_is_forgotten_says_nothing_any_more() -> None:
    workspace = Workspace(caller="tools")
    assert workspace.status == UNTOLD
    workspace.list_models()
    workspace.sync.forget("w")
    workspace.list_models()
    await turns()
    assert workspace.changes == []
    assert workspace.openwebui.requests == []


async def test_a_bug_is_logged_and_tried_again() -> None:
    workspace = Workspace(caller="tools")
    bugs = [ZeroDivisionError()]

    def fail(_: str) -> None:
        if bugs:
            raise bugs.pop()

    workspace.openwebui.fail = fail
    assert workspace.status == UNTOLD
    workspace.list_models()
    await workspace.settles("caller")
