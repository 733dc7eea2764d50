"""Everything that a request needs, made once and kept in the application's state."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, Self

from fastapi import Depends, Request
from fastapi.security import APIKeyCookie, HTTPBearer

from aichat_workspace.api.auth import session_cookie
from aichat_workspace.api.auth.authentication import Authenticator, Caller
from aichat_workspace.api.auth.authorization import Authorizer
from aichat_workspace.api.auth.oidc import Provider
from aichat_workspace.api.auth.session_cookie import Cookies, Session
from aichat_workspace.api.auth.signing import Keys
from aichat_workspace.api.settings import Settings
from aichat_workspace.api.web import problems
from aichat_workspace.api.web.client_address import address_of
from aichat_workspace.api.web.problems import ProblemError
from aichat_workspace.api.web.rate_limits import AnonymousRateLimits, ConcurrencyLimit, RateLimits
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.api.workspaces.details import WorkspaceDetails
from aichat_workspace.api.workspaces.service import Workspaces
from aichat_workspace.kube.client import Client
from aichat_workspace.runtime.servers import Connect

# Each step of a sign-in may have the identity provider asked.
_SIGN_INS_PER_SECOND: Final = 20.0
_SIGN_IN_BURST: Final = 200


@dataclass(frozen=True, slots=True)
class Services:
    settings: Settings
    client: Client
    directory: ClusterView
    authenticator: Authenticator
    access: Authorizer
    workspaces: Workspaces
    tenants: WorkspaceDetails
    rate: RateLimits
    streams: ConcurrencyLimit
    """Watches, followed logs and prompts under way."""
    lists: ConcurrencyLimit
    """Pages on their way to whoever asked."""
    sign_ins: AnonymousRateLimits
    keys: Keys
    cookies: Cookies
    provider: Provider | None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def of(
        cls, settings: Settings, client: Client, connect: Connect, prompts: Mapping[str, str]
    ) -> Self:
        """Raises ValueError for settings that can't be used."""
        directory, bounds = ClusterView(client, prompts), settings.bounds
        access = Authorizer.of(client)
        return cls(
            settings=settings,
            client=client,
            directory=directory,
            authenticator=Authenticator.of(
                client,
                settings.audience,
                AnonymousRateLimits.of(bounds.strangers_per_second, bounds.strangers_burst),
            ),
            access=access,
            workspaces=Workspaces(client, directory, access),
            tenants=WorkspaceDetails(client, directory, connect),
            rate=RateLimits.of(bounds),
            streams=ConcurrencyLimit(bounds.streams_per_caller, bounds.streams),
            lists=ConcurrencyLimit(bounds.lists_per_caller, bounds.lists, "lists"),
            sign_ins=AnonymousRateLimits.of(_SIGN_INS_PER_SECOND, _SIGN_IN_BURST),
            keys=Keys(client, settings.dev),
            cookies=Cookies(settings.https),
            provider=_provider(settings),
        )


def _provider(settings: Settings) -> Provider | None:
    if settings.oidc is None or settings.public_url is None:
        return None
    return Provider.of(settings.oidc, settings.public_url)


def services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


ServicesDep = Annotated[Services, Depends(services)]


def client_address(request: Request, use: ServicesDep) -> str:
    """Where the request comes from."""
    peer = request.client.host if request.client else ""
    forwarded = request.headers.getlist("X-Forwarded-For")
    return address_of(peer, forwarded, use.settings.proxies)


Address = Annotated[str, Depends(client_address)]
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
    f"its csrfToken in {session_cookie.CSRF_HEADER} too. Without TLS the name has no `__Host-`.",
)


def bearer_token(request: Request) -> str | None:
    """The token of the Authorization header."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


@dataclass(frozen=True, slots=True)
class Credential:
    """The token that a caller came with, and from where; one of a browser's session is good until
    that ends, in seconds since 1970."""

    token: str = field(repr=False)
    address: str
    ends: int | None = None


async def credential(request: Request, use: ServicesDep, address: Address) -> Credential:
    """From the Authorization header or else from the session's cookie. Raises ProblemError: 401, or
    403 for what another site asks in the person's name."""
    token = bearer_token(request)
    if token is not None:
        return Credential(token, address)
    found = await own_session(request, use)
    session_cookie.require_csrf_token(request.method, request.headers, found)
    return Credential(found.token, address, found.ends)


async def own_session(request: Request, use: Services) -> Session:
    """The session of the request's cookie. Raises ProblemError: 401, 403 or 503."""
    cookie = request.cookies.get(use.cookies.session)
    if not cookie:
        raise problems.unauthenticated(
            "Send a token: `Authorization: Bearer TOKEN`. `kubectl create token SERVICE_ACCOUNT "
            f"--audience {use.settings.audience}` makes one. Browsers sign in at /api/v1/session."
        )
    session_cookie.require_own_site(request.method, request.headers, use.settings.public_url)
    found = session_cookie.opened(await use.keys.seal(), cookie)
    if found is None:
        raise _session_over()
    return found


async def identify(use: Services, came: Credential) -> Caller:
    """Who calls, as of now. Raises ProblemError: 401 or 429."""
    if came.ends is not None and came.ends <= time.time():
        raise _session_over()
    return await use.authenticator.caller(came.token, came.address)


def _session_over() -> ProblemError:
    return problems.unauthenticated("The session has ended. Sign in again at /api/v1/session.")


RequestCredential = Annotated[Credential, Depends(credential)]


async def caller(came: RequestCredential, use: ServicesDep) -> Caller:
    """Who calls, within his rate. Raises ProblemError: 401, 429, or 503 while nothing is known
    yet."""
    if not use.directory.synced:
        raise problems.unavailable("This replica has only just started. Try again.")
    found = await identify(use, came)
    use.rate.take(found.username)
    return found


CurrentCaller = Annotated[Caller, Depends(caller)]
AUTHENTICATED = [Depends(_bearer), Depends(_cookie)]
