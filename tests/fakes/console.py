"""The real application with its console, in a cluster that is made up."""

import base64
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from fastapi import FastAPI

from aichat_workspace.api.app import build
from aichat_workspace.api.dependencies import Services
from aichat_workspace.api.metrics import Metrics
from aichat_workspace.api.settings import Settings
from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.foundation.resource import Resource
from aichat_workspace.ollama.replies import ReplyEnd, ReplyPiece
from aichat_workspace.openwebui.client import OpenWebUIClient
from aichat_workspace.operator.records import session_key
from tests.fakes.listing import take_list
from tests.fakes.openwebui import FakeOpenWebUI
from tests.fakes.workspace_client import FakeWorkspaceClient
from tests.unit.api.teams.team_cluster import TeamCluster

TEAM: Final = "science"
ADMIN_PASSWORD: Final = "correct-horse-battery-staple"
TOKENS: Final = {"good": "ann@example.org", "other": "bo@example.org"}
PROMPTS: Final = {
    "create_summary": "You summarize texts.",
    "explain_code": "You explain code to people who did not write it.",
}
_PEOPLE: Final = (kinds.ROLE_BINDING, kinds.SERVICE_ACCOUNT)
Object = dict[str, Any]


@dataclass
class FakeConsoleClient(FakeWorkspaceClient):
    """Knows two tokens; a created workspace is stored as it was sent."""

    user: Callable[[str], Object | None] = lambda token: (
        {"username": TOKENS[token]} if token in TOKENS else None
    )
    events: list[Object] = field(default_factory=list)
    """What a list of events returns."""
    version: int = 100
    key: Object = field(default_factory=session_key.manifest)
    people: TeamCluster = field(default_factory=TeamCluster)
    """Keeps RoleBindings and service accounts."""

    async def review(self, path: str, body: Object) -> Any:
        if body["kind"] == "TokenRequest":
            return await self.people.review(path, body)
        return await super().review(path, body)

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Any:
        if resource in _PEOPLE:
            return await self.people.get(resource, name, namespace)
        if name == names.API_SESSION:
            return self.key
        if resource.kind == "AIChatWorkspace" and self.cluster:
            stored = self.cluster.workspaces.get(namespace or "", name)
            return stored or await super().get(resource, name, namespace)
        if resource.kind != "Secret":
            return await super().get(resource, name, namespace)
        workspace = names.workspace_of_credentials(name)
        admin = {
            "WEBUI_ADMIN_EMAIL": f"admin@{workspace}.example.org",
            "WEBUI_ADMIN_PASSWORD": ADMIN_PASSWORD,
        }
        return {
            "metadata": {"annotations": {names.OWNER_UID_ANNOTATION: f"uid-of-{workspace}"}},
            "data": {key: base64.b64encode(text.encode()).decode() for key, text in admin.items()},
        }

    async def create(self, *arguments: Any, dry_run: bool = False, **options: Any) -> Any:
        if arguments[0] in _PEOPLE:
            return await self.people.create(*arguments, dry_run=dry_run, **options)
        manifest = arguments[1]
        self.version += 1
        metadata = {
            **manifest["metadata"],
            "uid": f"uid-of-{manifest['metadata']['name']}",
            "generation": 1,
            "resourceVersion": str(self.version),
            "creationTimestamp": "2026-01-01T00:00:00Z",
        }
        created = {**manifest, "metadata": metadata}
        if not dry_run:
            self.watch_event(created)
        return created

    async def list_pages(self, *arguments: Any, **options: Any) -> AsyncIterator[Any]:
        if arguments[0] in _PEOPLE:
            async for page in self.people.list_pages(*arguments, **options):
                yield page
            return
        is_of_resource = bool(options.get("field_selector"))
        items = self.events if arguments[0].kind == "Event" and is_of_resource else []
        yield {"metadata": {"resourceVersion": "20"}, "items": items}

    async def delete(self, *arguments: Any, **options: Any) -> None:
        if arguments[0] in _PEOPLE:
            await self.people.delete(*arguments, **options)
        else:
            await super().delete(*arguments, **options)


class FakeModel:
    """A model server whose replies are its prompts."""

    def __init__(self) -> None:
        self.reply: Callable[[str], list[str]] = lambda prompt: ["You said: ", prompt]

    async def chat(self, _: str, prompt: str, **__: Any) -> AsyncGenerator[ReplyPiece, None]:
        for word in self.reply(prompt):
            yield ReplyPiece(word)
        yield ReplyPiece(end=ReplyEnd("stop", 1, 3, 0.1))


@dataclass(frozen=True)
class ConsoleWorld:
    """The application, and what it stands on."""

    app: FastAPI
    services: Services
    client: FakeConsoleClient
    model: FakeModel
    chat: FakeOpenWebUI

    def put(self, obj: Object) -> None:
        """Add or change a workspace."""
        self.client.version += 1
        version = {"resourceVersion": str(self.client.version)}
        self.client.stored = {**obj, "metadata": {**obj["metadata"], **version}}
        self.client.watch_event(self.client.stored)


def make_world(environment: Mapping[str, str]) -> ConsoleWorld:
    """Make an application whose cluster has no workspace yet."""
    client, model = FakeConsoleClient(), FakeModel()
    chat = FakeOpenWebUI("admin@red-chat.example.org", ADMIN_PASSWORD)
    settings = Settings.read(environment, in_cluster=False)
    services = Services.create(
        settings,
        client,
        lambda _: model,  # type: ignore[arg-type, return-value]
        lambda _: OpenWebUIClient(chat),
        PROMPTS,
    )
    client.cluster = services.cluster
    cluster = services.cluster
    for cache in cluster._caches:
        take_list(cache._store, [], 1)
    team = {
        "name": TEAM,
        "uid": "team",
        "resourceVersion": "1",
        "labels": {names.TEAM_LABEL: "true"},
    }
    take_list(cluster._namespaces._store, [{"metadata": team}], 1)
    cluster.changes.begin(1)
    cluster._synced.set()
    app = build(services, Metrics(lambda: 0, lambda: 0))
    return ConsoleWorld(app, services, client, model, chat)


def namespace(workspace: str) -> Object:
    """Return the tenant namespace of a workspace."""
    return {
        "metadata": {
            "name": workspace,
            "uid": f"namespace-of-{workspace}",
            "resourceVersion": "1",
            "annotations": {names.OWNER_UID_ANNOTATION: f"uid-of-{workspace}"},
        }
    }


def claims(expires_at: int) -> str:
    """Return the second part of a token that ends then."""
    return base64.urlsafe_b64encode(json.dumps({"exp": expires_at}).encode()).decode().rstrip("=")


def event(reason: str, message: str, time: str, kind: str = "Normal") -> Object:
    """Return an event of a workspace's pod."""
    return {
        "metadata": {"resourceVersion": "1", "creationTimestamp": time},
        "type": kind,
        "reason": reason,
        "message": message,
        "lastTimestamp": time,
        "involvedObject": {"kind": "Pod", "name": "ollama-0"},
    }
