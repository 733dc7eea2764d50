"""Brings workspaces' chats to offer tools to the models that can call them, beside reconciliation.

A workspace has a task only while there is something to find out or to say, so that one at rest
costs nothing, and one whose servers hang delays no other.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import structlog

from aichat_workspace.domain.models import tools
from aichat_workspace.domain.models.tools import Offer, ToolStatus, Withdraw
from aichat_workspace.ollama.client import OllamaClient
from aichat_workspace.ollama.errors import ModelNotFoundError, OllamaError, OllamaUnreachableError
from aichat_workspace.openwebui.client import OpenWebUIClient
from aichat_workspace.openwebui.errors import (
    NotAdministratorError,
    OpenWebUIError,
    OpenWebUIUnreachableError,
    SignInRefusedError,
)
from aichat_workspace.operator.retries import retry_seconds

# A server that has just come up, or an earlier attempt that is under way, may fail so often.
_PASSING_FAILURES: Final = 3
_log: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Chat:
    """A workspace's Open WebUI, and the model server to ask what its models can do."""

    client: OpenWebUIClient = field(compare=False)
    ollama: OllamaClient = field(compare=False)
    server: str  # which pod serves; empty for none, and while the chat is to be left alone
    model_server: str  # which pod serves models; empty for none
    volume: str  # the UID of the claim that holds the entries
    email: str
    password: str = field(repr=False)
    admin_secret: str | None  # the Secret that a person gave for the administrator
    recorded: ToolStatus = field(compare=False)  # what earlier runs wrote down
    serves_since: datetime | None = field(default=None, compare=False)  # when that pod began to

    @property
    def is_up(self) -> bool:
        return bool(self.server and self.model_server)


class ToolSync:
    """`on_change` is called with a workspace whose status moved."""

    def __init__(self, on_change: Callable[[str], None]) -> None:
        self._on_change = on_change
        self._workspaces: dict[str, _WorkspaceTools] = {}

    def set_desired(self, name: str, chat: Chat) -> ToolStatus:
        """Say how a workspace's chat is reached, and get how far it is. The same as before costs
        nothing."""
        workspace = self._workspaces.get(name)
        if workspace is None:
            workspace = self._workspaces[name] = _WorkspaceTools(chat, chat.recorded)
        elif workspace.chat != chat:
            workspace.stop()
            if workspace.chat.model_server != chat.model_server:
                workspace.can_call = {}  # another version of Ollama may see it otherwise
            workspace.chat = chat
            self._start(name, workspace)
        return workspace.status if chat.is_up else replace(workspace.status, is_current=False)

    def listed(self, name: str, digests: Mapping[str, str]) -> None:
        """Say which models, with their digests, a workspace's model server has. With the same ones
        as before, what could not be done then is tried again."""
        workspace = self._workspaces.get(name)
        if workspace is None:
            return
        if workspace.digests != digests:
            workspace.stop()
            if workspace.digests is not None:  # else this operator has just started
                workspace.status = replace(workspace.status, is_current=False)
            workspace.digests = digests
        self._start(name, workspace)

    def forget(self, name: str) -> None:
        """The workspace is gone."""
        workspace = self._workspaces.pop(name, None)
        if workspace is not None:
            workspace.stop()

    async def close(self) -> None:
        workspaces = self._workspaces.values()
        tasks = [workspace.task for workspace in workspaces if workspace.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, name: str, workspace: "_WorkspaceTools") -> None:
        if workspace.task is None and workspace.chat.is_up and workspace.digests is not None:
            run = self._run(name, workspace, workspace.chat, workspace.digests)
            workspace.task = asyncio.create_task(run)

    async def _run(
        self, name: str, workspace: "_WorkspaceTools", chat: Chat, digests: Mapping[str, str]
    ) -> None:
        """Try until the chat follows, or until only a person can help."""
        failures = 0
        while True:
            lasts = failures >= _PASSING_FAILURES
            status, is_final = await self._follow(name, workspace, chat, digests, lasts=lasts)
            if workspace.task is not asyncio.current_task():
                return  # it was stopped, and what it waited for swallowed the cancellation
            if not (is_final or lasts):
                status = replace(workspace.status, is_current=False)
            if workspace.status != status:
                workspace.status = status
                self._on_change(name)
            if is_final:
                workspace.task = None
                return
            failures += 1
            await asyncio.sleep(retry_seconds(failures))

    async def _follow(
        self,
        name: str,
        workspace: "_WorkspaceTools",
        chat: Chat,
        digests: Mapping[str, str],
        *,
        lasts: bool,
    ) -> tuple[ToolStatus, bool]:
        """Bring the chat to what its models can do, once: how far it is then, and whether that is
        final until something changes. What is unclear keeps it from that only until it `lasts`."""
        revision = workspace.status.revision
        models = frozenset[str]()
        try:
            models, unclear = await _callers(chat.ollama, digests, workspace.can_call)
            if lasts or not unclear:
                target = tools.revision(chat.volume, models, unclear)
                if target != revision:
                    problem = await _offer_as(target, name, workspace, chat, models, unclear)
                    if problem:
                        return ToolStatus(revision, problem), True
                revision = target
            if unclear:
                _log.info("models unclear", workspace=name, errors=unclear)
                return ToolStatus(revision, tools.unclear(unclear)), False
        except OllamaUnreachableError as error:
            problem = tools.unreachable("Ollama", str(error))
        except OpenWebUIUnreachableError as error:
            problem = tools.unreachable("Open WebUI", str(error))
        except OpenWebUIError as error:
            problem = tools.not_taken(models, str(error))
        except Exception as error:  # a bug in one workspace's sync must not end it for ever
            _log.exception("tool sync crashed", workspace=name)
            problem = tools.failed(type(error).__name__)
        else:
            return ToolStatus(revision, is_current=True), True
        _log.info("tools wait", workspace=name, problem=problem)
        return ToolStatus(revision, problem), False


@dataclass(slots=True)
class _WorkspaceTools:
    chat: Chat
    status: ToolStatus
    digests: Mapping[str, str] | None = None  # None before the first list
    can_call: dict[str, bool] = field(default_factory=dict)  # by digest
    # The last sign-in that was of no use, and why.
    refusal: "tuple[tuple[str, ...], str] | None" = field(default=None, repr=False)
    task: "asyncio.Task[None] | None" = None

    @property
    def listed(self) -> list[str]:
        """The models that are seen to."""
        return sorted(self.digests or ())[: tools.MAX_MODELS]

    def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            self.task = None


async def _callers(
    ollama: OllamaClient, digests: Mapping[str, str], can_call: dict[str, bool]
) -> tuple[frozenset[str], dict[str, str]]:
    """The models that can call tools, and those of which the server can't say it, with its errors.
    What a model can do goes with its digest and the server's start, so that each is asked for once.
    Raises OllamaUnreachableError."""
    callers: set[str] = set()
    unclear: dict[str, str] = {}
    for model in sorted(digests)[: tools.MAX_MODELS]:
        digest = digests[model]
        if digest not in can_call:
            try:
                can_call[digest] = tools.CAPABILITY in await ollama.capabilities(model)
            except OllamaUnreachableError:
                raise
            except ModelNotFoundError:  # it was removed meanwhile
                continue
            except OllamaError as error:
                unclear[model] = str(error)
                continue
        if can_call[digest]:
            callers.add(model)
    for digest in can_call.keys() - set(digests.values()):
        del can_call[digest]
    return frozenset(callers), unclear


async def _offer_as(
    revision: str,
    name: str,
    workspace: _WorkspaceTools,
    chat: Chat,
    models: Collection[str],
    unclear: Collection[str],
) -> str:
    """Make and remove entries: what only a person can mend, or nothing. A sign-in that was refused
    is not repeated with everything the same: each one counts against the account. Raises
    OpenWebUIError."""
    attempt = (chat.server, chat.email, chat.password, revision)
    if workspace.refusal is not None and workspace.refusal[0] == attempt:
        return workspace.refusal[1]
    try:
        await _offer(name, chat, models, unclear, workspace.listed)
    except SignInRefusedError as error:
        _log.warning("sign-in refused", workspace=name, error=str(error))
        problem = tools.sign_in_refused(models, chat.email, chat.admin_secret)
    except NotAdministratorError as error:
        _log.warning("no administrator", workspace=name, error=str(error))
        problem = tools.not_administrator(models, chat.email)
    else:
        return ""
    workspace.refusal = (attempt, problem)
    return problem


async def _offer(
    name: str,
    chat: Chat,
    models: Collection[str],
    unclear: Collection[str],
    listed: Collection[str],
) -> None:
    session = await chat.client.sign_in(chat.email, chat.password)
    # The entries are let go before anything is waited for: a hostile chat may make them large.
    for action in tools.decide(models, await session.entries(listed), unclear):
        match action:
            case Offer(model):
                await session.create(tools.entry(model))
            case Withdraw(model):
                await session.delete(model)
        _log.info("tools", workspace=name, model=action.model, action=type(action).__name__)
