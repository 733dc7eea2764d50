"""The services that requests need, created once and kept in the application's state."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, Self

from fastapi import Depends, Request
from fastapi.security import APIKeyCookie, HTTPBearer

from aichat_workspace.api.auth import audit_log
from aichat_workspace.api.auth.authentication import Authenticator, Caller
from aichat_workspace.api.auth.authorization import Authorizer
from aichat_workspace.api.auth.provider import Provider
from aichat_workspace.api.auth.sessions import session as sessions
from aichat_workspace.api.auth.sessions.browser_sessions import BrowserSession, BrowserSessions
from aichat_workspace.api.auth.sessions.cookies import SESSION_SCHEME, Cookies
from aichat_workspace.api.auth.sessions.encryption import Keys
from aichat_workspace.api.auth.sessions.renewals import Renewals
from aichat_workspace.api.auth.sessions.shared_sessions import SharedSessions
from aichat_workspace.api.capacity.catalogue import Catalogue
from aichat_workspace.api.capacity.options import Options
from aichat_workspace.api.capacity.usage import UsageReader
from aichat_workspace.api.pacing import Pacer
from aichat_workspace.api.settings import Settings
from aichat_workspace.api.teams.members import Members
from aichat_workspace.api.teams.roles import TeamRoles
from aichat_workspace.api.teams.tokens import Tokens
from aichat_workspace.api.web.limits.anonymous_limits import AnonymousRateLimits, KnownAddresses
from aichat_workspace.api.web.limits.answer_limits import AnswerLimit
from aichat_workspace.api.web.limits.body_limits import API_PREFIX, Sender
from aichat_workspace.api.web.limits.rate_limits import (
    REVIEWS_PER_CALLER,
    ConcurrencyLimit,
    RateLimits,
    caller_limits,
)
from aichat_workspace.api.web.limits.shares import Shares
from aichat_workspace.api.web.requests.client_address import client_address, network_limits
from aichat_workspace.api.web.requests.exact_requests import require_exact
from aichat_workspace.api.web.responses import problems
from aichat_workspace.api.web.responses.response_cookies import without_cookies
from aichat_workspace.api.workspaces.backups import Backups
from aichat_workspace.api.workspaces.chat_accounts import ChatAccounts
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.api.workspaces.details import WorkspaceDetails
from aichat_workspace.api.workspaces.logs.reader import WorkspaceLogs
from aichat_workspace.api.workspaces.model_server import ModelServers
from aichat_workspace.api.workspaces.prompt_times import PromptTimes
from aichat_workspace.api.workspaces.upgrades import Upgrades
from aichat_workspace.api.workspaces.watching.api_server import ApiServer
from aichat_workspace.api.workspaces.writing.service import Workspaces
from aichat_workspace.kube.client import Client
from aichat_workspace.runtime.servers import Connect, ConnectChat

# Each step of a sign-in may send a request to the identity provider.
_SIGN_INS_PER_SECOND: Final = 20.0
_SIGN_IN_BURST: Final = 200
SIGN_IN_PATH: Final = "/api/v1/session"
_TEAM_CHANGES: Final = 4
_SIGN_IN_BODY_BYTES: Final = 20 * 1024  # a token of 16 KiB, and the rest
_SIGN_IN_BYTES_PER_ADDRESS: Final = 512 * 1024
_SIGN_IN_ROOM_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that routes use."""

    settings: Settings
    client: Client
    cluster: ClusterView
    authenticator: Authenticator
    authorizer: Authorizer
    workspaces: Workspaces
    api_server: ApiServer
    backups: Backups
    details: WorkspaceDetails
    chat_accounts: ChatAccounts
    logs: WorkspaceLogs
    model_servers: ModelServers
    prompt_times: PromptTimes
    usage: UsageReader
    catalogue: Catalogue
    options: Options
    upgrades: Upgrades
    members: Members
    tokens: Tokens
    rate_limits: RateLimits
    streams: ConcurrencyLimit
    """Watches, followed logs and prompts under way."""
    lists: ConcurrencyLimit
    """Lists that are being sent."""
    team_changes: ConcurrencyLimit
    """Changes of all workspaces of a team, of which each is hundreds of writes."""
    requests: ConcurrencyLimit
    """Requests that are not answered yet, streams included."""
    bodies: Shares
    """Bytes of callers' bodies."""
    answers: AnswerLimit
    """Bytes of whole replies of models."""
    known_addresses: KnownAddresses
    sign_in_limits: AnonymousRateLimits
    sign_in_bodies: Shares
    """Bytes of the bodies of sign-ins from unknown addresses."""
    known_sign_in_bodies: Shares
    """Bytes of the bodies of sign-ins from known addresses."""
    keys: Keys
    provider: Provider | None
    """The identity provider; None when sign-in is by token only."""
    sessions: BrowserSessions
    pacer: Pacer = field(default_factory=Pacer)
    """Lets requests go on whose callers are known: many may wait for the review of one token."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server stops."""

    @classmethod
    def create(
        cls,
        settings: Settings,
        client: Client,
        connect: Connect,
        connect_chat: ConnectChat,
        prompts: Mapping[str, str],
    ) -> Self:
        """Create the services. Raises ValueError for settings that can't be used."""
        cluster, bounds = ClusterView(client, prompts), settings.bounds
        authorizer = Authorizer.create(
            client,
            RateLimits.create(
                bounds.reviews_per_second, bounds.review_burst, message=REVIEWS_PER_CALLER
            ),
        )
        roles = TeamRoles(client, cluster, authorizer, is_own_account=not settings.dev)
        known_addresses = KnownAddresses()
        keys, provider = Keys(client, settings.dev), _provider(settings)
        workspaces = Workspaces(cluster, authorizer, client)
        authenticator = Authenticator.create(
            client,
            settings.audience,
            AnonymousRateLimits.create(
                bounds.anonymous_per_second, bounds.anonymous_burst, known_addresses
            ),
        )
        details = WorkspaceDetails(client, cluster)
        return cls(
            settings=settings,
            client=client,
            cluster=cluster,
            authenticator=authenticator,
            authorizer=authorizer,
            workspaces=workspaces,
            api_server=ApiServer(client, cluster),
            backups=Backups(workspaces, cluster),
            details=details,
            chat_accounts=ChatAccounts(cluster, details, connect_chat),
            logs=WorkspaceLogs(client, cluster),
            model_servers=ModelServers(cluster, connect),
            prompt_times=PromptTimes(client),
            usage=UsageReader(cluster),
            catalogue=Catalogue(cluster),
            options=Options(client, cluster),
            upgrades=Upgrades(client, cluster, authorizer),
            members=Members(roles),
            tokens=Tokens(roles, settings.audience),
            rate_limits=RateLimits.create(bounds.requests_per_second, bounds.burst),
            streams=ConcurrencyLimit.create(bounds.streams_per_caller, bounds.streams),
            lists=ConcurrencyLimit.create(bounds.lists_per_caller, bounds.lists, "lists"),
            team_changes=ConcurrencyLimit.create(1, _TEAM_CHANGES, "changes of whole teams"),
            requests=ConcurrencyLimit.create(
                bounds.concurrent_requests + bounds.streams_per_caller,
                bounds.connections,
                "requests",
            ),
            bodies=Shares(bounds.all_bodies_bytes),
            answers=AnswerLimit.create(bounds.answers_bytes_per_caller, bounds.all_answers_bytes),
            known_addresses=known_addresses,
            sign_in_limits=AnonymousRateLimits.create(
                _SIGN_INS_PER_SECOND, _SIGN_IN_BURST, known_addresses
            ),
            sign_in_bodies=Shares(_SIGN_IN_ROOM_BYTES),
            known_sign_in_bodies=Shares(_SIGN_IN_ROOM_BYTES),
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


# The framework would call a function that is not async in a thread, for every request.
async def get_services(request: Request) -> Services:
    """Return the application's services."""
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(get_services)]


async def get_client_address(request: Request, services: ServicesDep) -> str:
    """Return the address that the request comes from."""
    return client_address(request, services.settings.proxies)


Address = Annotated[str, Depends(get_client_address)]
_bearer = HTTPBearer(
    auto_error=False,
    description="A token that the Kubernetes API server accepts for the API's audience, as from "
    "`kubectl create token NAME --audience aichat-workspace-api`.",
)


_cookie = APIKeyCookie(
    name=Cookies(secure=True).session,
    scheme_name=SESSION_SCHEME,
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
        audit_log.note(via="bearer")
        return Credential(address, token)
    audit_log.note(via="session")
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


async def authenticate(services: Services, credential: Credential) -> Caller:
    """Authenticate the caller and apply their rate limit.

    Raises ProblemError: 401, 429, or 503 until the caches are filled.
    """
    if not services.cluster.is_synced:
        raise problems.unavailable("This replica has only just started. Try again.")
    caller = await identify(services, credential)
    audit_log.note(user=caller.username)
    await services.pacer.turn()
    services.rate_limits.take(caller.username)
    return caller


async def get_caller(
    request: Request, credential: RequestCredential, services: ServicesDep
) -> AsyncIterator[Caller]:
    """Yield the caller, who has one of their requests until the response ends.

    Raises what `authenticate` raises, and ProblemError (429) for too many requests at once.
    """
    caller: Caller | None = getattr(request.state, "caller", None)  # of a request with a body
    caller = caller or await authenticate(services, credential)
    with services.requests.slot(caller.username):
        yield caller


def _anonymous_sender(services: Services, address: str) -> Sender:
    is_known = address in services.known_addresses
    room = services.known_sign_in_bodies if is_known else services.sign_in_bodies
    limits = network_limits(address, _SIGN_IN_BYTES_PER_ADDRESS)
    return Sender(limits, room, min(_SIGN_IN_BODY_BYTES, services.settings.bounds.body_bytes))


def _read_request(request: Request) -> Request:
    """Return a page's request as one that only reads, and sets no cookies.

    Its form has the CSRF token in its body, which is not here yet; the API's own call checks it.
    That call sets the cookies, too, and may sign the person out.
    """
    return Request({**without_cookies(request.scope), "method": "GET"})


async def admit(request: Request) -> Sender:
    """Return the sender of a body, by the request's head.

    It is the caller or, for a sign-in, the address; so it is for a page's form whose session has
    ended, which leads to the sign-in. Raises what `authenticate` raises.
    """
    services = await get_services(request)
    bounds, address = services.settings.bounds, await get_client_address(request, services)
    if request.url.path == SIGN_IN_PATH and request.method == "POST":
        return _anonymous_sender(services, address)
    is_page = not request.url.path.startswith(API_PREFIX)
    try:
        credential = await get_credential(
            _read_request(request) if is_page else request, services, address
        )
        caller = request.state.caller = await authenticate(services, credential)
    except problems.ProblemError as problem:
        if not is_page or problem.status != 401:
            raise
        return _anonymous_sender(services, address)
    limits = caller_limits(caller.username, bounds.bodies_bytes_per_caller)
    return Sender(limits, services.bodies, bounds.body_bytes)


CurrentCaller = Annotated[Caller, Depends(get_caller)]


async def _require_exact(request: Request, _: CurrentCaller) -> None:
    """Check the request only once its caller is known."""
    await require_exact(request)


BY_SESSION = [Depends(_cookie)]
AUTHENTICATED = [Depends(_bearer), Depends(_cookie), Depends(_require_exact)]
