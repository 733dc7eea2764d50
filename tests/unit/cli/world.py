"""The real API on loopback, in a thread, above a cluster in memory; and the command line."""

import asyncio
import base64
import functools
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import typer
from typer.testing import CliRunner

from aichat_workspace.api.app import build
from aichat_workspace.api.dependencies import Services
from aichat_workspace.api.metrics import Metrics
from aichat_workspace.api.settings import Settings
from aichat_workspace.api.workspaces.cluster_view import FIRST
from aichat_workspace.cli import main
from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.domain.v1alpha1.platform_spec import PLATFORM_NAME
from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.client import Stream
from aichat_workspace.ollama.errors import OllamaUnreachableError
from aichat_workspace.ollama.installed import InstalledModel
from aichat_workspace.ollama.replies import ReplyEnd, ReplyPiece
from aichat_workspace.openwebui.client import OpenWebUIClient
from tests.fakes.openwebui import FakeOpenWebUI
from tests.fakes.reviews import Object
from tests.fakes.workspace_client import FakeWorkspaceClient
from tests.unit.api.samples import resource
from tests.unit.api.serving import serve
from tests.unit.api.teams.team_cluster import TeamCluster, namespace

TOKEN: Final = "eyJhbGciOiJub25lIn0.e30.ann"
ANN: Final = {"username": "ann", "groups": ["red"]}
SYSTEM: Final = names.SYSTEM_NAMESPACE
PATTERNS: Final = {"explain_code": "You explain code."}
_PEOPLE: Final = (kinds.ROLE_BINDING, kinds.SERVICE_ACCOUNT)
TIME: Final = "2026-01-01T00:00:00Z"


def condition(kind: str, status: str = "True", message: str = "", **more: Any) -> Object:
    """Return a condition as the operator writes it."""
    base = {"reason": "Any", "lastTransitionTime": TIME, "observedGeneration": 1}
    return {"type": kind, "status": status, "message": message, **base, **more}


READY_STATUS: Final[Object] = {
    "observedGeneration": 1,
    "phase": "Ready",
    "url": "https://red-chat.ai.example.org",
    "isCreated": True,
    "modelsReady": "1/1",
    "namespace": {"name": "red-chat", "uid": "its-namespace"},
    "conditions": [
        condition(kind)
        for kind in ("Ready", "Provisioned", "OllamaAvailable", "OpenWebUIAvailable", "ModelsReady")
    ],
    "models": [{"name": "gemma2:2b", "state": "Ready", "totalBytes": 1_629_518_495}],
}
PULLING_STATUS: Final[Object] = {
    **READY_STATUS,
    "phase": "PullingModels",
    "modelsReady": "0/1",
    "conditions": [
        condition("Ready", "False", "models are being downloaded"),
        condition("Provisioned"),
        condition("OllamaAvailable"),
        condition("OpenWebUIAvailable"),
    ],
    "models": [
        {
            "name": "llama3.3:70b",
            "state": "Pulling",
            "completedBytes": 17_287_000_000,
            "totalBytes": 42_520_000_000,
            "percent": 41,
            "bytesPerSecond": 71_000_000,
            "etaSeconds": 355,
        }
    ],
}
STALLED_STATUS: Final[Object] = {
    **READY_STATUS,
    "phase": "Degraded",
    "conditions": [
        condition("Ready", "False", "the models' volume is full", reason="ModelsVolumeFull"),
        condition("ModelsReady", "False", "the models' volume is full", reason="ModelsVolumeFull"),
        condition("Stalled", "True", "the models' volume is full", reason="ModelsVolumeFull"),
    ],
    "models": [],
}

_SETTINGS_VERSIONS: Final = count(1, 100)  # changes by commands come between


@dataclass
class FakeModel:
    """A model server that knows one model, which thinks and repeats a reply."""

    words: list[str] = field(default_factory=lambda: ["Good ", "morning"])
    questions: list[str] = field(default_factory=list)
    breaks_off: bool = False

    async def chat(self, model: str, prompt: str, **_: Any) -> AsyncGenerator[ReplyPiece, None]:
        assert model
        self.questions.append(prompt)
        yield ReplyPiece(thinking="Whether it is morning?")
        for word in self.words:
            yield ReplyPiece(word)
        if self.breaks_off:
            raise OllamaUnreachableError("reset")
        yield ReplyPiece(end=ReplyEnd("stop", 11, 2, 0.5))

    async def models(self) -> list[InstalledModel]:
        return [InstalledModel("gemma2:2b", "sha256:0", 1_629_518_495)]


def _verb(review: Object) -> str:
    return f"{review['verb']} {review.get('subresource') or ''}".strip()


@dataclass
class FakeCluster(FakeWorkspaceClient):
    """Keeps workspaces, and knows Ann by her token; everything is allowed unless forbidden."""

    user: Callable[[str], Object | None] = lambda token: ANN if token == TOKEN else None
    forbidden: set[str] = field(default_factory=set)
    """Verbs, or verb and part as `get log`, that are refused."""
    log: bytes = b"a line\n"
    cluster_events: list[Object] = field(default_factory=list)
    new_status: Object = field(default_factory=dict)
    """The status of what is created."""
    people: TeamCluster = field(default_factory=TeamCluster)
    """Keeps RoleBindings and service accounts."""
    _versions: "count[int]" = field(default_factory=lambda: count(100))

    def __post_init__(self) -> None:
        self.allows = lambda review: _verb(review) not in self.forbidden

    async def create(self, *arguments: Any, **options: Any) -> Any:
        body = arguments[1]
        if arguments[0] in _PEOPLE:
            return await self.people.create(*arguments, **options)
        name, team = body["spec"]["workspaceName"], body["metadata"]["namespace"]
        created = resource(
            name,
            team=team,
            resource=body["metadata"]["name"],
            version=next(self._versions),
            spec=body["spec"],
            status=self.new_status,
        )
        created["metadata"]["annotations"] |= body["metadata"]["annotations"]
        if not options.get("dry_run"):
            self.watch_event(created)
        return created

    async def review(self, path: str, body: Object) -> Any:
        if body["kind"] == "TokenRequest":
            return await self.people.review(path, body)
        return await super().review(path, body)

    async def list_pages(self, *arguments: Any, **options: Any) -> AsyncIterator[Any]:
        kind: Resource = arguments[0]
        if kind in _PEOPLE:
            async for page in self.people.list_pages(*arguments, **options):
                yield page
            return
        items: list[Object] = []
        if kind.kind == "Event" and not options.get("field_selector"):
            items = self.cluster_events
        elif kind.kind == "Pod":
            items = [{"metadata": {"name": "pod", "creationTimestamp": TIME}}]
        yield {"metadata": {"resourceVersion": "20"}, "items": items}

    async def get(self, *arguments: Any) -> Any:
        if arguments[0] == kinds.PLATFORM:
            return await super().get(*arguments)
        kind, name, namespace = arguments
        if kind in _PEOPLE:
            return await self.people.get(*arguments)
        if kind.kind == "AIChatWorkspace":
            assert self.cluster is not None
            return self.cluster.workspaces.get(namespace or "", name)
        data = {"WEBUI_ADMIN_EMAIL": "ann@example.org", "WEBUI_ADMIN_PASSWORD": "correct-horse"}
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        owner = {names.OWNER_UID_ANNOTATION: "uid-of-red-chat"}
        return {"metadata": {"annotations": owner}, "data": encoded}

    async def delete(self, *arguments: Any, **options: Any) -> None:
        if arguments[0] in _PEOPLE:
            await self.people.delete(*arguments, **options)
        else:
            await super().delete(*arguments, **options)

    @asynccontextmanager
    async def stream(self, *_: Any, **__: Any) -> AsyncIterator[Stream]:
        async def chunks() -> AsyncIterator[bytes]:
            yield self.log

        yield Stream(200, {}, chunks())


@dataclass
class Result:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


@dataclass
class World:
    """A served API and what stands behind it."""

    url: str
    cluster: FakeCluster
    model: FakeModel
    chat: FakeOpenWebUI
    services: Services
    _loop: asyncio.AbstractEventLoop
    folder: Path = Path("/nonexistent")

    def begin(self, folder: Path) -> None:
        """Forget what earlier tests have left; the configuration is in this folder."""
        self.folder = folder
        present = [view.key for view in self.services.cluster.sorted_from(FIRST)]
        for team, name in present:
            self.remove(name, team)
        fresh, fresh_model = FakeCluster(), FakeModel()
        of_cluster = ("forbidden", "log", "cluster_events", "new_status", "error", "deleted")
        for field_name in (*of_cluster, "people"):
            setattr(self.cluster, field_name, getattr(fresh, field_name))
        for field_name in ("words", "questions", "breaks_off"):
            setattr(self.model, field_name, getattr(fresh_model, field_name))
        self.chat.accounts = {}
        self.forget_reviews()
        self.call(lambda: self.services.cluster._namespaces._store.remove(namespace("red")))
        self.put_platform()
        for cache in (
            self.services.details._events_cache,
            self.services.details._history_cache,
            self.services.model_servers._models_cache,
            self.services.model_servers._facts_cache,
            self.services.usage._sums,
            self.services.catalogue._in_use,
        ):
            self.call(cache._answers.clear)

    def forget_reviews(self) -> None:
        """Let every permission be reviewed again."""
        self.call(self.services.authorizer._answers._answers.clear)

    team: str = SYSTEM
    """Where workspaces are created that name no team."""

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AICHAT_SERVER": self.url,
            "AICHAT_TOKEN": TOKEN,
            "AICHAT_CONFIG": str(self.folder / "config.yaml"),
            "COLUMNS": "200",
        }

    def run(self, *arguments: str, stdin: str | None = None, **environment: str) -> Result:
        """Run aichatctl in this process."""
        return run_cli(*arguments, stdin=stdin, env={**self.environment, **environment})

    def call(self, function: Callable[[], object]) -> None:
        """Call a function in the server's loop, and wait for it."""

        async def call() -> None:
            function()

        asyncio.run_coroutine_threadsafe(call(), self._loop).result(10)

    def put(self, name: str = "red-chat", *, version: int = 1, **parts: Any) -> None:
        """Let the cluster have a workspace in this state."""
        parts.setdefault("team", "red")
        parts.setdefault("status", READY_STATUS)
        parts.setdefault("spec", {"models": ["gemma2:2b"]})
        self.call(lambda: self.cluster.watch_event(resource(name, version=version, **parts)))

    def put_platform(self, lacks: tuple[Object, ...] = (), **settings: Any) -> None:
        """Let the platform have these settings, and these conditions besides the good ones."""
        metadata = {"name": PLATFORM_NAME, "resourceVersion": str(next(_SETTINGS_VERSIONS))}
        reasons = ("Accepted", "ReferencesResolved", "PeopleAdmitted", "NetworkPoliciesEnforced")
        conditions = [condition(reason, "True", reason=reason) for reason in reasons]
        status = {"conditions": [*conditions, *lacks]}
        platform = {"metadata": metadata, "spec": settings, "status": status}
        self.call(lambda: self.services.cluster._platform._store.put(platform))

    def remove(self, name: str = "red-chat", team: str = "red") -> None:
        """Let a workspace go."""

        def remove() -> None:
            view = self.services.cluster.workspaces
            current = view.get(team, name)
            assert current is not None
            view._store.remove(current)

        self.call(remove)

    def workspace(self, name: str = "red-chat", team: str = "red") -> Any:
        """Return the resource as the cluster has it."""
        return self.services.cluster.workspaces.get(team, name)


program = functools.cache(main.build)


def run_cli(*arguments: str, stdin: str | None = None, env: dict[str, str]) -> Result:
    """Run aichatctl in this process; an exception is the test's."""
    outcome = CliRunner().invoke(program(), list(arguments), input=stdin, env=env)
    if outcome.exception is not None and not isinstance(outcome.exception, SystemExit):
        raise outcome.exception
    return Result(outcome.exit_code, outcome.stdout, outcome.stderr)


@contextmanager
def served_world() -> Iterator[World]:
    """Serve the API in a thread until the block ends."""
    worlds: list[World] = []
    is_up, is_over = threading.Event(), threading.Event()
    thread = threading.Thread(
        target=lambda: asyncio.run(_serve(worlds, is_up, is_over)), daemon=True
    )
    thread.start()
    try:
        assert is_up.wait(30)
        yield worlds[0]
    finally:
        is_over.set()
        thread.join(30)


async def _serve(worlds: list[World], is_up: threading.Event, is_over: threading.Event) -> None:
    cluster, model = FakeCluster(), FakeModel()
    chat = FakeOpenWebUI(email="ann@example.org", password="correct-horse")
    settings = Settings.read({}, in_cluster=True)
    services = Services.create(
        settings,
        cluster,
        lambda _: model,  # type: ignore[arg-type, return-value]
        lambda _: OpenWebUIClient(chat),
        PATTERNS,
    )
    cluster.cluster = services.cluster
    namespace = {
        "name": "red-chat",
        "uid": "its-namespace",
        "resourceVersion": "1",
        "annotations": {names.OWNER_UID_ANNOTATION: "uid-of-red-chat"},
    }
    services.cluster._namespaces._store.put({"metadata": namespace})
    app = build(services, Metrics(lambda: 0, lambda: 0))
    async with serve(app, services.stopping) as url:
        loop = asyncio.get_running_loop()
        worlds.append(World(url, cluster, model, chat, services, loop))
        is_up.set()
        await loop.run_in_executor(None, functools.partial(is_over.wait))
        services.stopping.set()


def with_team(world: World) -> None:
    """Let the namespace `red` be a team's, into which people can be invited."""
    store = world.services.cluster._namespaces._store
    world.call(lambda: store.put(namespace("red")))


def every_command() -> dict[str, Any]:
    """Return every command by its whole name, as `models list`."""
    return _commands(typer.main.get_command(main.build()))


def _commands(group: Any, prefix: str = "") -> dict[str, Any]:
    entries: dict[str, Any] = {}
    for name, entry in group.commands.items():
        if hasattr(entry, "commands"):
            entries |= _commands(entry, f"{prefix}{name} ")
        else:
            entries[f"{prefix}{name}"] = entry
    return entries
