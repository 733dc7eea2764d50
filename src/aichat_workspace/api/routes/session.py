"""Routes for browsers' sessions: sign in and out."""

import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse

from aichat_workspace.api.auth import audit_log, id_token
from aichat_workspace.api.auth.attempt import ATTEMPT_SECONDS, Attempt
from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.auth.provider import Provider
from aichat_workspace.api.auth.sessions import session as sessions
from aichat_workspace.api.auth.sessions.encryption import Cipher
from aichat_workspace.api.auth.sessions.session import Session
from aichat_workspace.api.dependencies import BY_SESSION, Address, Services, ServicesDep
from aichat_workspace.api.openapi.responses import only_problems, responses
from aichat_workspace.api.routes.queries import NoQuery
from aichat_workspace.api.schemas.session import ProviderDocument, SessionDocument, SignIn
from aichat_workspace.api.web.requests.exact_requests import require_exact
from aichat_workspace.api.web.responses import error_handlers, problems
from aichat_workspace.api.web.responses.field_errors import FieldError
from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.api.web.responses.security_headers import NO_STORE
from aichat_workspace.foundation.local_path import is_local
from aichat_workspace.kube.errors import ApiError, UnreachableError

router = APIRouter(
    prefix="/api/v1/session", tags=["sign-in"], dependencies=[Depends(require_exact)]
)

_SEE_OTHER: Final = 303


@router.post("", summary="Sign in with a token", responses=responses(415))
async def sign_in(
    response: Response,
    services: ServicesDep,
    address: Address,
    _: Annotated[NoQuery, Query()],
    body: SignIn,
) -> SessionDocument:
    """Set cookies with the encrypted token, until it expires or the longest session is over. The
    server keeps no session."""
    audit_log.note(via="token")
    caller = await services.authenticator.caller(body.token, address)
    audit_log.note(user=caller.username)
    services.rate_limits.take(caller.username)
    cipher = await services.keys.cipher()
    session = sessions.start(body.token, None, time.time(), services.settings.session_seconds)
    try:
        services.sessions.set(response, cipher, session)
    except ProblemError as problem:
        raise replace(problem, status=413) from None  # here the caller chose the token
    response.headers.update(NO_STORE)
    return _session_document(cipher, caller, session)


@router.get("", summary="Who is signed in", dependencies=BY_SESSION, responses=responses(502))
async def read_session(
    request: Request,
    response: Response,
    services: ServicesDep,
    address: Address,
    _: Annotated[NoQuery, Query()],
) -> SessionDocument:
    """The session of the cookies, when it ends, and the csrfToken that changes have to send."""
    audit_log.note(via="session")
    browser_session = await services.sessions.read(request)
    caller = await services.sessions.caller(browser_session, address)
    audit_log.note(user=caller.username)
    services.rate_limits.take(caller.username)
    response.headers.update(NO_STORE)
    return _session_document(await services.keys.cipher(), caller, browser_session.session)


@router.get(
    "/provider",
    summary="How a program signs in with the identity provider",
    responses={200: {"description": "For RFC 8252 and RFC 8628."}, **only_problems(404, 422, 429)},
)
async def read_provider(
    services: ServicesDep, address: Address, _: Annotated[NoQuery, Query()]
) -> ProviderDocument:
    """Everyone may read it. The program asks the provider itself, in a browser or by the code of a
    device, and sends the ID token as its bearer token."""
    oidc = _provider(services).oidc
    services.sign_in_limits.take(address)
    if oidc.cli_client_id is None:
        raise ProblemError(
            404,
            "no-public-client",
            "The identity provider has no client here for programs (OIDC_CLI_CLIENT_ID). Sign in "
            "with a token.",
        )
    return ProviderDocument(issuer=oidc.issuer, client_id=oidc.cli_client_id, scope=oidc.scope)


@router.delete("", summary="Sign out", status_code=204, responses=only_problems(403, 422))
async def sign_out(
    request: Request, services: ServicesDep, _: Annotated[NoQuery, Query()]
) -> Response:
    """Remove the cookies from the browser, even if the session has ended, and revoke the session's
    refresh token. The token stays valid until it expires or its issuer revokes it."""
    response = Response(status_code=204)
    await _end_session(request, services, response)
    return response


@router.post(
    "/logout",
    summary="Sign out here and at the identity provider",
    status_code=_SEE_OTHER,
    response_class=RedirectResponse,
    responses={_SEE_OTHER: {"description": "To the provider, or to `/`."}, **responses(415)},
)
async def log_out(
    request: Request, services: ServicesDep, _: Annotated[NoQuery, Query()]
) -> Response:
    """For a form of a page. The provider signs the person out and sends the browser to `/`."""
    response = _redirect("/")
    session = await _end_session(request, services, response)
    if session is not None and services.provider is not None:
        with suppress(ProblemError):  # it is logged; the browser is signed out here in any case
            url = await services.provider.sign_out_url(session.token)
            response.headers["Location"] = url or "/"
    return response


@router.get(
    "/login",
    summary="Sign in with the identity provider",
    status_code=_SEE_OTHER,
    response_class=RedirectResponse,
    responses={
        _SEE_OTHER: {"description": "To the provider."},
        **only_problems(404, 422, 429, 502, 503),
    },
)
async def begin_login(
    request: Request,
    services: ServicesDep,
    address: Address,
    next_path: Annotated[
        str,
        Query(alias="next", max_length=1024, description="Where to go then: a path of this site."),
    ] = "/",
) -> Response:
    """OpenID Connect's authorization code flow, with PKCE."""
    provider = _provider(services)
    services.sign_in_limits.take(address)
    if not is_local(next_path):
        raise problems.invalid([FieldError("next", "write a path of this site, as /new")])
    attempt = Attempt.begin(next_path, time.time())
    cookie = attempt.to_cookie(await services.keys.cipher())
    response = _redirect(await provider.authorization_url(attempt))
    services.sessions.cookies.set_sign_in(
        response, attempt.state, cookie, ATTEMPT_SECONDS, request.cookies
    )
    return response


@router.get(
    "/callback",
    summary="Come back from the identity provider",
    status_code=_SEE_OTHER,
    response_class=RedirectResponse,
    responses={_SEE_OTHER: {"description": "Signed in; to `next`."}, **responses(404, 502)},
)
async def finish_login(
    request: Request,
    services: ServicesDep,
    address: Address,
    code: Annotated[
        str | None, Query(max_length=4096, description="What the provider gives the token for.")
    ] = None,
    state: Annotated[
        str | None, Query(max_length=4096, description="Which sign-in this is, as it was begun.")
    ] = None,
    error: Annotated[
        str | None, Query(max_length=4096, description="Why the provider says no.")
    ] = None,
) -> Response:
    """Its token is reviewed by the Kubernetes API server, like any other."""
    provider = _provider(services)
    services.sign_in_limits.take(address)
    cipher = await services.keys.cipher()
    cookie = services.sessions.cookies.sign_in(state or "")
    attempt = _attempt(cipher, request.cookies.get(cookie), state)
    try:
        if error is not None or code is None:
            raise provider.refusal(error or "no code")
        response = await _complete_sign_in(services, provider, cipher, attempt, code, address)
    except (ProblemError, ApiError, UnreachableError) as failure:
        response = error_handlers.error_response(request, failure)
    services.sessions.cookies.clear(response, cookie)  # an attempt is used only once
    return response


async def _complete_sign_in(
    services: Services,
    provider: Provider,
    cipher: Cipher,
    attempt: Attempt,
    code: str,
    address: str,
) -> Response:
    """Start a session, and redirect to the attempt's path.

    Raises ProblemError, ApiError or UnreachableError.
    """
    audit_log.note(via="provider")
    tokens = await provider.tokens(code, attempt)
    caller = await _authenticate(services, provider, tokens.id_token, address)
    audit_log.note(user=caller.username)
    id_token.require_matching_claims(tokens.id_token, attempt.nonce, provider.oidc)
    services.rate_limits.take(caller.username)
    session = sessions.start(
        tokens.id_token, tokens.refresh_token, time.time(), services.settings.session_seconds
    )
    response = _redirect(attempt.next_path)
    services.sessions.set(response, cipher, session)
    return response


def _provider(services: Services) -> Provider:
    if services.provider is None:
        raise ProblemError(
            404,
            "no-identity-provider",
            "Sign-in with an identity provider is not set up (OIDC_ISSUER). Sign in with a token: "
            "POST /api/v1/session.",
        )
    return services.provider


def _attempt(cipher: Cipher, cookie: str | None, state: str | None) -> Attempt:
    attempt = Attempt.from_cookie(cipher, cookie, time.time()) if cookie else None
    if attempt is None or attempt.state != state:
        raise problems.unauthenticated(
            "This sign-in was begun in another browser or tab, or too long ago. Begin again at "
            "/api/v1/session/login."
        )
    return attempt


async def _authenticate(services: Services, provider: Provider, token: str, address: str) -> Caller:
    """Return the caller of the provider's token. Raises ProblemError (401) with the fix."""
    try:
        return await services.authenticator.caller(token, address)
    except ProblemError as problem:
        if problem.status != 401:
            raise
        raise problems.unauthenticated(
            "The identity provider has signed you in, but the Kubernetes API server does not "
            f"accept its token. It has to trust the issuer {provider.oidc.issuer} for the client "
            f"{provider.oidc.client_id!r}, and its --api-audiences have to name "
            f"{services.settings.audience!r}."
        ) from None


async def _end_session(request: Request, services: Services, response: Response) -> Session | None:
    """Remove the session from the browser, and revoke its refresh token if the provider answers."""
    session = await services.sessions.end(request, response)
    if session is not None and session.refresh_token and services.provider is not None:
        with suppress(ProblemError):  # it is logged; the browser is signed out in any case
            await services.provider.revoke(session.refresh_token)
    return session


def _session_document(cipher: Cipher, caller: Caller, session: Session) -> SessionDocument:
    return SessionDocument(
        username=caller.username,
        csrf_token=sessions.csrf_token(cipher, session),
        expires=datetime.fromtimestamp(session.ends_at, UTC),
    )


def _redirect(path: str) -> RedirectResponse:
    return RedirectResponse(path, _SEE_OTHER, NO_STORE)
