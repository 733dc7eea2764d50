"""Tool sync against model servers and chats in memory."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import pytest

from aichat_workspace.domain.models.tools import (
    MAX_MODELS,
    NOT_OFFERED_YET,
    ToolStatus,
    entry,
    revision,
)
from aichat_workspace.ollama.client import OllamaClient
from aichat_workspace.ollama.errors import ModelNotFoundError, OllamaError, OllamaUnreachableError
from aichat_workspace.openwebui.client import MAX_REPLY_BYTES, OpenWebUIClient, Reply
from aichat_workspace.operator import retries
from aichat_workspace.operator.servers.tools import Chat, ToolSync
from tests.fakes.openwebui import EMAIL, PASSWORD, FakeOpenWebUI
from tests.unit.waiting import turns, until


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_FIRST_SECONDS", 0.01)


class Ollama:
    """A model server that says what its models can do."""

    def __init__(self, **capabilities: str) -> None:
        self.capabilities_of = {name: set(text.split()) for name, text in capabilities.items()}
        self.requests: list[str] = []
        self.is_down = False
        self.errors: dict[str, OllamaError] = {}

    async def capabilities(self, name: str) -> frozenset[str]:
        self.requests.append(name)
        await asyncio.sleep(0)
        if self.is_down:
            raise OllamaUnreachableError("refused")
        if name in self.errors:
            raise self.errors[name]
        if name not in self.capabilities_of:
            raise ModelNotFoundError(name)
        return frozenset(self.capabilities_of[name])

    @property
    def digests(self) -> dict[str, str]:
        return {name: f"{name}-{sorted(able)}" for name, able in self.capabilities_of.items()}


def followed(recorded: str) -> ToolStatus:
    return ToolStatus(recorded, is_current=True)


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
            model_server="ollama-1",
            volume="claim-1",
            email=EMAIL,
            password=PASSWORD,
            admin_secret=None,
            recorded=NOT_OFFERED_YET,
        )

    @property
    def status(self) -> ToolStatus:
        return self.sync.set_desired("w", self.chat)

    @property
    def offered(self) -> set[str]:
        return set(self.openwebui.entries)

    def list_models(self, digests: Mapping[str, str] | None = None) -> None:
        self.sync.listed("w", self.ollama.digests if digests is None else digests)

    async def settles(self, *models: str) -> None:
        """Wait until the chat follows and these models are offered tools."""
        expected = ToolStatus(revision(self.chat.volume, models), is_current=True)
        await until(lambda: self.status == expected)
        assert self.offered == set(models)


async def test_tools_are_offered_to_the_models_that_can_call_them() -> None:
    workspace = Workspace(caller="completion tools", talker="completion", embedder="embedding")
    assert workspace.status == NOT_OFFERED_YET
    workspace.list_models()
    await workspace.settles("caller")
    assert workspace.openwebui.entries["caller"]["params"] == {"function_calling": "native"}
    assert workspace.changes == ["w"]


async def test_without_a_model_that_can_call_tools_the_operator_does_not_sign_in() -> None:
    workspace = Workspace(talker="completion")
    assert workspace.status == NOT_OFFERED_YET
    workspace.list_models()
    await workspace.settles()
    assert workspace.openwebui.requests == []
    assert workspace.changes == ["w"]


async def test_an_unchanged_workspace_sends_no_request() -> None:
    workspace = Workspace(caller="tools")
    assert workspace.status == NOT_OFFERED_YET
    workspace.list_models()
    await workspace.settles("caller")
    signed_in, shown = list(workspace.openwebui.requests), list(workspace.ollama.requests)
    workspace.list_models()
    await turns()
    assert workspace.openwebui.requests == signed_in
    assert workspace.ollama.requests == shown


async def test_another_operator_goes_on_from_what_is_recorded_and_asks_no_chat() -> None:
    workspace = Workspace(caller="tools")
    recorded = ToolStatus(revision("claim-1", {"caller"}), is_current=True)
    workspace.chat = replace(workspace.chat, recorded=recorded)
    assert workspace.status == recorded
    workspace.list_models()
    await until(lambda: workspace.ollama.requests == ["caller"])
    await turns()
    assert workspace.openwebui.requests == []
    assert workspace.changes == []


async def test_a_model_that_comes_later_and_one_that_lost_the_capability_are_seen_to() -> None:
    workspace = Workspace(first="tools")
    assert workspace.status == NOT_OFFERED_YET
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
    assert workspace.status == NOT_OFFERED_YET
    workspace.list_models()
    await until(lambda: workspace.status.revision)
    assert workspace.openwebui.entries == theirs


async def test_a_picture_that_a_person_gave_a_model_keeps_no_other_from_tools() -> None:
    workspace = Workspace(caller="tools", talker="completion")
    picture = {"profile_image_url": "data:image/webp;base64," + "A" * MAX_REPLY_BYTES}
    workspace.openwebui.entries["talker"] = entry("talker") | {"meta": picture}
    assert workspace.status == NOT_OFFERED_YET
    workspace.list_models()
    await until(lambda: workspace.status.is_current)
    assert workspace.offered == {"caller", "talker"}
    assert workspace.openwebui.entries["talker"]["meta"] == picture


async def test_entries_are_made_again_on_a_new_volume() -> None:
    workspace = Workspace(caller="tools")
    assert workspace.status == NOT_OFFERED_YET
    workspace.list_models()
    await workspace.settles("caller")
    workspace.openwebui.entries.clear()
    workspace.chat = replace(workspace.chat, volume="claim-2", server="pod-2")
    await workspace.settles("caller")


@pytest.mark.parametrize("cause", ["password", "role"])
async def test_a_sign_in_of_no_use_is_told_and_not_repeated_until_something_changes(
    cause: str,
) -> None:
    workspace = Workspace(caller="tools")
    if cause == "password":
        workspace.openwebui.password = "changed by its owner"
    workspace.openwebui.is_administrator = cause != "role"
    assert workspace.status == NOT_OFFERED_YET
    workspace.list_models()
    await until(lambda: workspace.status.problem)
    assert EMAIL in workspace.status.problem
    assert workspace.changes == ["w"]
    workspace.list_models()  # ten minutes later
    await turns()
    without_credentials = replace(workspace.chat, server="", password="")
    assert workspace.sync.set_desired("w", without_credentials).problem
    assert workspace.status.problem
    workspace.list_models()
    await turns()
    sign_ins = [request for request in workspace.openwebui.requests if "signin" in request]
    assert len(sign_ins) == 1
    assert workspace.changes == ["w"]
    workspace.ollama.capabilities_of["another"] = {"tools"}
    workspace.list_models()
    await until(lambda: "another" in workspace.status.problem)
    workspace.openwebui.is_administrator = True
    workspace.openwebui.password = "of the Secret"
    workspace.chat = replace(workspace.chat, password="of the Secret", server="pod-2")
    await workspace.settles("another", "caller")


async def test_a_problem_is_over_when_no_model_can_call_tools_any_more() -> None:
    workspace = Workspace(caller="tools")
    workspace.openwebui.password = "changed by its owner"
    assert workspace.status == NOT_OFFERED_YET
    workspace.list_models()
    await until(lambda: workspace.status.problem)
    workspace.list_models({})
    await workspace.settles()


@pytest.mark.parametrize("status", [503, 500])
async def test_a_chat_that_fails_is_tried_again_by_itself(status: int) -> None:
    workspace = Workspace(caller="tools")
    failures = [Reply(status, b'{"detail":"out of order"}')] * 3
    workspace.openwebui.fail = lambda _: failures.pop() if failures else None
    assert workspace.status == NOT_OFFERED_YET
    workspace.list_models()
    await workspace.settles("caller")


async def test_a_chat_that_fails_once_is_no_problem() -> None:
    workspace = Workspace(caller="tools")
    failures = [Reply(401, b'{"detail":"already registered"}')]
    workspace.openwebui.fail = lambda request: (
        failures.pop() if request.endswith("/create") and failures else None
    )
    problems: list[str] = []
    workspace.sync = ToolSync(lambda _: problems.append(workspace.status.problem))
    assert workspace.status == NOT_OFFERED_YET
    workspace.list_models()
    await workspace.settles("caller")
    assert problems == [""]


async def test_a_lasting_error_or_unreachable_server_is_reported() -> None:
    workspace = Workspace(caller="tools")
    workspace.openwebui.fail = lambda _: Reply(500, b'{"detail":"out of order"}')
    assert workspace.status == NOT_OFFERED_YET
    workspace.list_models()
    await until(lambda: "out of order" in workspace.status.problem)
    workspace.openwebui.fail = lambda _: Reply(503, b"")
    await until(lambda: "Open WebUI can't be reached" in workspace.status.problem)
    workspace.ollama.is_down = True
    workspace.chat = replace(workspace.chat, model_server="ollama-2")
    await until(lambda: "Ollama can't be reached" in workspace.status.problem)
    await workspace.sync.close()


async def test_a_model_server_that_is_not_there_is_asked_again() -> None:
    workspace = Workspace(caller="tools")
    workspace.ollama.is_down = True
    assert workspace.status == NOT_OFFERED_YET
    workspace.list_models()
    await until(lambda: len(workspace.ollama.requests) > 1)
    assert workspace.openwebui.requests == []
    workspace.ollama.is_down = False
    await workspace.settles("caller")


async def test_a_model_that_is_gone_meanwhile_keeps_nothing_from_the_others() -> None:
    workspace = Workspace(caller="tools")
    assert workspace.status == NOT_OFFERED_YET
    workspace.list_models({"gone": "d0", **workspace.ollama.digests})
    await workspace.settles("caller")


@pytest.mark.parametrize(("server", "model_server"), [("", "ollama-1"), ("pod-1", "")])
async def test_no_request_is_sent_while_a_server_is_not_ready(
    server: str, model_server: str
) -> None:
    workspace = Workspace(caller="tools")
    serving = workspace.chat
    workspace.chat = replace(serving, server=server, model_server=model_server)
    assert workspace.status == NOT_OFFERED_YET
    workspace.list_models()
    await turns()
    assert workspace.ollama.requests == workspace.openwebui.requests == []
    workspace.chat = serving
    await workspace.settles("caller")
    workspace.chat = replace(serving, server=server, model_server=model_server)
    assert not workspace.status.is_current


async def test_a_chat_that_hangs_delays_no_other_workspace() -> None:
    workspace = Workspace(caller="tools")
    gate = asyncio.Event()

    async def hangs(
        method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Reply:
        await gate.wait()
        return workspace.openwebui.answer(method, path, body, headers)

    slow = replace(workspace.chat, client=OpenWebUIClient(hangs))
    workspace.sync.set_desired("slow", slow)
    workspace.sync.listed("slow", workspace.ollama.digests)
    assert workspace.status == NOT_OFFERED_YET
    workspace.list_models()
    await workspace.settles("caller")
    assert workspace.sync.set_desired("slow", slow) == NOT_OFFERED_YET
    await workspace.sync.close()


async def test_a_forgotten_workspace_reports_nothing() -> None:
    workspace = Workspace(caller="tools")
    assert workspace.status == NOT_OFFERED_YET
    workspace.list_models()
    workspace.sync.forget("w")
    workspace.list_models()
    await turns()
    assert workspace.changes == []
    assert workspace.openwebui.requests == []


async def test_a_bug_is_told_and_tried_again() -> None:
    workspace = Workspace(caller="tools")
    bugs = [ZeroDivisionError()]

    def fail(_: str) -> None:
        if bugs:
            raise bugs[0]

    workspace.openwebui.fail = fail
    assert workspace.status == NOT_OFFERED_YET
    workspace.list_models()
    await until(lambda: "ZeroDivisionError" in workspace.status.problem)
    bugs.clear()
    await workspace.settles("caller")


async def test_a_model_that_the_server_cannot_speak_of_keeps_its_tools_and_others_get_theirs() -> (
    None
):
    workspace = Workspace(broken="tools", former="tools")
    assert workspace.status == NOT_OFFERED_YET
    workspace.list_models()
    await workspace.settles("broken", "former")
    recorded = workspace.status.revision
    workspace.sync = ToolSync(workspace.changes.append)  # another operator, which knows no digest
    workspace.chat = replace(workspace.chat, recorded=followed(recorded))
    workspace.ollama.errors["broken"] = OllamaError("out of order")
    del workspace.ollama.capabilities_of["former"]
    workspace.ollama.capabilities_of["new"] = {"tools"}
    assert workspace.status.is_current
    workspace.list_models()
    await until(lambda: "out of order" in workspace.status.problem)
    assert workspace.offered == {"broken", "new"}
    assert workspace.status.revision != recorded
    sign_ins = list(workspace.openwebui.requests)
    shown = len(workspace.ollama.requests)
    await until(lambda: len(workspace.ollama.requests) > shown + 1)
    assert workspace.openwebui.requests == sign_ins, "no sign-in is repeated meanwhile"
    workspace.ollama.errors.clear()
    await workspace.settles("broken", "new")


async def test_a_model_of_which_the_server_cannot_speak_once_costs_no_sign_in() -> None:
    workspace = Workspace(caller="tools")
    recorded = followed(revision("claim-1", {"caller"}))
    workspace.chat = replace(workspace.chat, recorded=recorded)
    workspace.ollama.errors["caller"] = OllamaError("out of order")
    assert workspace.status == recorded
    workspace.list_models()
    await until(lambda: not workspace.status.is_current)
    workspace.ollama.errors.clear()
    await until(lambda: workspace.status == recorded)
    assert workspace.openwebui.requests == []


async def test_capabilities_are_read_again_from_a_new_ollama() -> None:
    workspace = Workspace(caller="tools")
    assert workspace.status == NOT_OFFERED_YET
    digests = workspace.ollama.digests
    workspace.list_models(digests)
    await workspace.settles("caller")
    workspace.ollama.capabilities_of["caller"] = {"completion"}
    workspace.list_models(digests)
    await turns()
    assert workspace.offered == {"caller"}
    workspace.chat = replace(workspace.chat, model_server="ollama-2")
    assert workspace.sync.set_desired("w", workspace.chat)
    await workspace.settles()


async def test_chats_do_not_follow_a_changed_list_before_they_do() -> None:
    workspace = Workspace(first="tools")
    assert workspace.status == NOT_OFFERED_YET
    workspace.list_models()
    await workspace.settles("first")
    workspace.ollama.capabilities_of["second"] = {"tools"}
    workspace.list_models()
    assert not workspace.status.is_current
    await workspace.settles("first", "second")


async def test_of_an_endless_list_the_first_models_are_seen_to() -> None:
    workspace = Workspace(**{f"m{n:05}": "tools" for n in range(2 * MAX_MODELS)})
    assert workspace.status == NOT_OFFERED_YET
    workspace.list_models()
    await until(lambda: workspace.status.is_current)
    assert workspace.offered == {f"m{n:05}" for n in range(MAX_MODELS)}
    assert len(workspace.ollama.requests) == MAX_MODELS
