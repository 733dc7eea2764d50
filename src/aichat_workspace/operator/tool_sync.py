"""Brings workspaces' chats to offer tools to the models that can call them, beside reconciliation.

A workspace has a task only while there is something to find out or to say, so that one at rest
costs nothing, and one whose servers hang delays no other.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

from aichat_workspace.domain import tools
from aichat_workspace.domain.tools import Offer, ToolStatus, Withdraw
from aichat_workspace.ollama.client import OllamaClient
from aichat_workspace.ollama.errors import OllamaError, OllamaUnreachable
from aichat_workspace.openwebui.client import OpenWebUIClient
from aichat_workspace.openwebui.errors import (
    OpenWebUIError,
    OpenWebUIUnreachableError,
    SignInRefusedError,
)
from aichat_workspace.operator.retries import retry_seconds

_log: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Chat:
    """A workspace's Open WebUI, and the model server to ask what its models can do."""

    client: OpenWebUIClient = field(compare=False)
    ollama: OllamaClient = field(compare=False)
    server: str  # which pod serves; empty for none, and while the chat is to be left alone
    volume: str  # the UID of the claim that holds the entries
    email: str
    password: str = field(repr=False)
    admin_secret: str | None  # the Secret that a person gave for the administrator
    recorded: ToolStatus = field(compare=False)  # what earlier runs wrote down


class ToolSync:
    """`on_change` is called with a workspace whose status moved."""

    def __init__(self, on_change: Callable[[str], None]) -> None:
        self._on_change = on_change
        self._workspaces: dict[str, _Workspace] = {}

    def want(self, name: str, chat: Chat) -> ToolStatus:
        """Say how a workspace's chat is reached, and get how far it is. The same as before costs
        nothing."""
        workspace = self._workspaces.get(name)
        if workspace is None:
            workspace = self._workspaces[name] = _Workspace(chat, chat.recorded)
        elif workspace.chat != chat:
            workspace.stop()
            workspace.chat = chat
            self._start(name, workspace)
        return workspace.status

    def listed(self, name: str, digests: Mapping[str, str]) -> None:
        """Say which models, with their digests, a workspace's model server has. With the same ones
        as before, what could not be done then is tried again."""
        workspace = self._workspaces.get(name)
        if workspace is None:
            return
        if workspace.digests != digests:
            workspace.stop()
            workspace.digests = digests
        self._start(name, workspace)

    def forget(self, name: str) -> None:
        """The workspace is gone."""
        workspace = self._workspaces.pop(name, None)
        if workspace is not None:
            workspace.stop()

    async def close(self) -> None:
        tasks = [each.task for each in self._workspaces.values() if each.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, name: str, workspace: "_Workspace") -> None:
        if workspace.task is None and workspace.chat.server and workspace.digests is not None:
            run = self._run(name, workspace, workspace.chat, workspace.digests)
            workspace.task = asyncio.create_task(run)

    async def _run(
        self, name: str, workspace: "_Workspace", chat: Chat, digests: Mapping[str, str]
    ) -> None:
        """Try until the chat follows, or until only a person can help."""
        failures = 0
        while True:
            status, is_final = await self._follow(name, workspace, chat, digests)
            if workspace.task is not asyncio.current_task():
                return  # it was stopped, and what it waited for swallowed the cancellation
            # What fails once may only have met an earlier attempt that was under way.
            if (is_final or failures) and workspace.status != status:
                workspace.status = status
                self._on_change(name)
            if is_final:
                workspace.task = None
                return
            failures += 1
            await asyncio.sleep(retry_seconds(failures))

    async def _follow(
        self, name: str, workspace: "_Workspace", chat: Chat, digests: Mapping[str, str]
    ) -> tuple[ToolStatus, bool]:
        """Bring the chat to what its models can do, once: how far it is then, and whether that is
        final until something changes."""
        before = workspace.status
        models = frozenset[str]()
        try:
            models = await _capable(chat.ollama, digests, workspace.capabilities)
            revision = tools.revision(chat.volume, models)
            if revision != before.revision:
                await _tell(name, chat, models)
        except (OllamaUnreachable, OpenWebUIUnreachableError) as error:
            _log.info("tools wait", workspace=name, error=str(error))
            return before, False
        except SignInRefusedError as error:
            _log.warning("tools not offered", workspace=name, error=str(error))
            problem = tools.sign_in_refused(models, chat.email, chat.admin_secret)
            return ToolStatus(before.revision, problem), True
        except OpenWebUIError as error:
            _log.warning("tools not offered", workspace=name, error=str(error))
            return ToolStatus(before.revision, tools.not_taken(models, str(error))), False
        except Exception:  # a bug in one workspace's sync must not end it for ever
            _log.exception("tool sync broke", workspace=name)
            return before, False
        return ToolStatus(revision), True


@dataclass(slots=True)
class _Workspace:
    chat: Chat
    status: ToolStatus
    digests: Mapping[str, str] | None = None  # None before the first list
    capabilities: dict[str, frozenset[str]] = field(default_factory=dict)  # by digest
    task: "asyncio.Task[None] | None" = None

    def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            self.task = None


async def _capable(
    ollama: OllamaClient, digests: Mapping[str, str], known: dict[str, frozenset[str]]
) -> frozenset[str]:
    """The models that can call tools. What a model can do never changes with its digest the same,
    so each is asked for once. Raises OllamaUnreachable."""
    found: dict[str, frozenset[str]] = {}
    for model, digest in digests.items():
        if digest not in known:
            try:
                known[digest] = await ollama.capabilities(model)
            except OllamaUnreachable:
                raise
            except OllamaError:  # it is gone, or can't be read
                continue
        found[model] = known[digest]
    for digest in known.keys() - set(digests.values()):
        del known[digest]
    return tools.capable(found)


async def _tell(name: str, chat: Chat, models: Collection[str]) -> None:
    """Make and remove entries. Raises OpenWebUIError."""
    session = await chat.client.sign_in(chat.email, chat.password)
    for action in tools.decide(models, await session.entries()):
        match action:
            case Offer(model):
                await session.create(tools.entry(model))
            case Withdraw(model):
                await session.delete(model)
        _log.info("tools", workspace=name, model=action.model, action=type(action).__name__)
