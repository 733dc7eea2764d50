"""Everything that a request needs, made once and kept in the application's state."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Self

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from aichat_workspace.api import problems
from aichat_workspace.api.access import Access
from aichat_workspace.api.directory import Directory
from aichat_workspace.api.identity import Authenticator, Caller
from aichat_workspace.api.service import Workspaces
from aichat_workspace.api.settings import Settings
from aichat_workspace.api.tenant import Tenants
from aichat_workspace.api.throttle import Rate, Streams
from aichat_workspace.kube.client import Client
from aichat_workspace.runtime.servers import Connect


@dataclass(frozen=True, slots=True)
class Services:
    settings: Settings
    client: Client
    directory: Directory
    authenticator: Authenticator
    access: Access
    workspaces: Workspaces
    tenants: Tenants
    rate: Rate
    streams: Streams
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def of(
        cls, settings: Settings, client: Client, connect: Connect, prompts: Mapping[str, str]
    ) -> Self:
        directory = Directory(client, prompts)
        access = Access.of(client)
        return cls(
            settings=settings,
            client=client,
            directory=directory,
            authenticator=Authenticator.of(client, settings.audience),
            access=access,
            workspaces=Workspaces(client, directory, access),
            tenants=Tenants(client, directory, connect),
            rate=Rate(settings.bounds.requests_per_second, settings.bounds.burst),
            streams=Streams(settings.bounds),
        )


def services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


Use = Annotated[Services, Depends(services)]
_bearer = HTTPBearer(
    auto_error=False,
    description="A token that the Kubernetes API server accepts for the API's audience, as from "
    "`kubectl create token NAME --audience aichat-workspace-api`.",
)


def bearer_token(request: Request) -> str | None:
    """The token of the Authorization header."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


async def caller(request: Request, use: Use) -> Caller:
    """Who calls, within his rate. Raises Problem: 401 or 429."""
    token = bearer_token(request)
    if token is None:
        raise problems.unauthenticated(
            "Send a token: `Authorization: Bearer TOKEN`. `kubectl create token SERVICE_ACCOUNT "
            f"--audience {use.settings.audience}` makes one."
        )
    found = await use.authenticator.caller(token)
    use.rate.take(found.username)
    return found


Who = Annotated[Caller, Depends(caller)]
Authenticated = [Depends(_bearer)]
