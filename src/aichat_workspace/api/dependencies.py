"""The services that requests need, created once and kept in the application's state."""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, Self

from fastapi import Depends, Request
from fastapi.security import APIKeyCookie, HTTPBearer

from aichat_workspace.api.auth import session as sessions
from aichat_workspace.api.auth.authentication import Authenticator, Caller
from aichat_workspace.api.auth.authorization import Authorizer
from aichat_workspace.api.auth.browser_sessions import BrowserSession, BrowserSessions
from aichat_workspace.api.auth.cookies import Cookies
from aichat_workspace.api.auth.encryption import Keys
from aichat_workspace.api.auth.provider import Provider
from aichat_workspace.api.auth.renewals import Renewals
from aichat_workspace.api.auth.shared_sessions import SharedSessions
from aichat_workspace.api.settings import Settings
from aichat_workspace.api.web import problems
from aichat_workspace.api.web.client_address import resolve_address
from aichat_workspace.api.web.rate_limits import AnonymousRateLimits, ConcurrencyLimit, RateLimits
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.api.workspaces.details import WorkspaceDetails
from aichat_workspace.api.workspaces.service import Workspaces
from aichat_workspace.kube.client import Client
from aichat_workspace.runtime.servers import Connect

# Each step of a sign-in may send a request to the identity provider.
_SIGN_INS_PER_SECOND: Final = 20.0
_SIGN_IN_BURST: Final = 200


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that routes use."""

    settings: Settings
    client: Client
    cluster: ClusterView
    authenticator: Authenticator
    authorizer: Authorizer
    workspaces: Workspaces
    details: WorkspaceDetails
    rate_limits: RateLimits
    streams: ConcurrencyLimit
    """Watches, followed logs and prompts under way."""
    lists: ConcurrencyLimit
    """Lists that are being sent."""
    sign_in_limits: AnonymousRateLimits
    keys: Keys
    provider: Provider | None
    """The identity provider; None when sign-in is by token only."""
    sessions: BrowserSessions
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server stops."""

    @classmethod
    def create(
        cls, settings: Settings, client: Client, connect: Connect, prompts: Mapping[str, str]
    ) -> Self:
        """Create the services. Raises ValueError for settings that can't be used."""
        cluster, bounds = ClusterView(client, prompts), settings.bounds
        authorizer, provider = Authorizer.create(client), _provider(settings)
        keys = Keys(client, settings.dev)
        authenticator = Authenticator.create(
            client,
            settings.audience,
            AnonymousRateLimits.create(bounds.anonymous_per_second, bounds.anonymous_burst),
        )
        return cls(
            settings=settings,
            client=client,
            cluster=cluster,
            authenticator=authenticator,
            authorizer=authorizer,
            workspaces=Workspaces(client, cluster, authorizer),
            details=WorkspaceDetails(client, cluster, connect),
            rate_limits=RateLimits.from_bounds(bounds),
            streams=ConcurrencyLimit(bounds.streams_per_caller, bounds.streams),
            lists=ConcurrencyLimit(bounds.lists_per_caller, bounds.lists, "lists"),
            sign_in_limits=AnonymousRateLimits.create(_SIGN_INS_PER_SECOND, _SIGN_IN_BURST),
            keys=keys,
            provider=provider,
            sessions=BrowserSessions(
                keys,
                Cookies(settings.https),
                Renewals(provider, SharedSessions(client, keys, secrets.token_hex(8))),
                authenticator,
                settings.public_url,
            ),
        )


def _provider(settings: Settings) -> Provider | None:
    if settings.oidc is None or settings.public_url is None:
        return None
    return Provider.from_settings(settings.oidc, settings.public_url)


def get_services(request: Request) -> Services:
    """Return the application's services."""
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(get_services)]


def get_client_address(request: Request, services: ServicesDep) -> str:
    """Return the address that the request comes from."""
    peer = request.client.host if request.client else ""
    forwarded = request.headers.getlist("X-Forwarded-For")
    return resolve_address(peer, forwarded, services.settings.proxies)


Address = Annotated[str, Depends(get_client_address)]
_bearer = HTTPBearer(
    auto_error=False,
    description="A token that the Kubernetes API server accepts for the API's audience, as from "
    "`kubectl create token NAME --audience aichat-workspace-api`.",
)


_cookie = APIKeyCookie(
    name=Cookies(secure=True).session,
    scheme_name="Session",
    auto_error=False,
    description="A browser's session, from `POST /api/v1/session`. What changes something needs "
    f"its csrfToken in {sessions.CSRF_HEADER} too. Without TLS the name has no `__Host-`.",
)


def bearer_token(request: Request) -> str | None:
    """Return the token of the Authorization header; None without one."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


@dataclass(frozen=True, slots=True)
class Credential:
    """What a request authenticates itself with: a bearer token, or a browser's session."""

    address: str
    """The address that the request comes from."""
    token: str = field(default="", repr=False)
    """The bearer token; empty with a session."""
    browser_session: BrowserSession | None = None
    """The browser's session."""


async def get_credential(request: Request, services: ServicesDep, address: Address) -> Credential:
    """Read the credential from the Authorization header, or else from the session's cookies.

    Raises ProblemError: 401 without one, 403 for a request that another site made the browser send.
    """
    token = bearer_token(request)
    if token is not None:
        return Credential(address, token)
    browser_session = await services.sessions.read(request)
    cipher = await services.keys.cipher()
    sessions.require_csrf_token(request.method, request.headers, cipher, browser_session.session)
    return Credential(address, browser_session=browser_session)


async def identify(services: Services, credential: Credential) -> Caller:
    """Return the caller of a credential, as of now; streams call it again and again.

    Raises ProblemError: 401, 429, or 502 while a session can't be renewed.
    """
    if credential.browser_session is not None:
        return await services.sessions.caller(credential.browser_session, credential.address)
    return await services.authenticator.caller(credential.token, credential.address)


RequestCredential = Annotated[Credential, Depends(get_credential)]


async def get_caller(credential: RequestCredential, services: ServicesDep) -> Caller:
    """Authenticate the caller and apply their rate limit.

    Raises ProblemError: 401, 429, or 503 until the caches are filled.
    """
    if not services.cluster.is_synced:
        raise problems.unavailable("This replica has only just started. Try again.")
    caller = await identify(services, credential)
    services.rate_limits.take(caller.username)
    return caller


CurrentCaller = Annotated[Caller, Depends(get_caller)]
AUTHENTICATED = [Depends(_bearer), Depends(_cookie)]
