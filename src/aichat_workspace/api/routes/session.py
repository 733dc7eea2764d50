"""Routes for browsers' sessions: sign in and out."""

from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse

from aichat_workspace.api.auth import audit_log, session_cookie
from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.auth.oidc import (
    ATTEMPT_SECONDS,
    Attempt,
    Provider,
    is_local,
    require_matching_claims,
)
from aichat_workspace.api.auth.session_cookie import Session, TokenTooLargeError
from aichat_workspace.api.auth.signing import Signer
from aichat_workspace.api.dependencies import (
    BY_SESSION,
    Address,
    Services,
    ServicesDep,
    require_session,
)
from aichat_workspace.api.openapi.responses import only_problems, responses
from aichat_workspace.api.routes.queries import NoQuery
from aichat_workspace.api.schemas.session import SessionDocument, SignIn
from aichat_workspace.api.web import error_handlers, problems
from aichat_workspace.api.web.exact_requests import require_exact
from aichat_workspace.api.web.problems import FieldError, ProblemError
from aichat_workspace.kube.errors import ApiError, UnreachableError

router = APIRouter(
    prefix="/api/v1/session", tags=["sign-in"], dependencies=[Depends(require_exact)]
)

_SEE_OTHER: Final = 303
_MAX_ATTEMPTS: Final = 5  # the browser sends their cookies with every request


@router.post("", summary="Sign in with a token", responses=responses(415))
async def sign_in(
    request: Request,
    response: Response,
    services: ServicesDep,
    address: Address,
    _: Annotated[NoQuery, Query()],
    body: SignIn,
) -> SessionDocument:
    """Set a cookie with the token, for eight hours at most. The server keeps no session."""
    session_cookie.require_own_site(request.method, request.headers, services.settings.public_url)
    audit_log.note(via="token")
    caller = await services.authenticator.caller(body.token, address)
    audit_log.note(user=caller.username)
    services.rate_limits.take(caller.username)
    signer = await services.keys.signer()
    try:
        session = _start_session(services, signer, response, body.token)
    except TokenTooLargeError as error:
        raise ProblemError(413, "token-too-large", str(error)) from None
    return _session_document(caller, session)


@router.get("", summary="Who is signed in", dependencies=BY_SESSION, responses=responses())
async def read_session(
    request: Request,
    response: Response,
    services: ServicesDep,
    address: Address,
    _: Annotated[NoQuery, Query()],
) -> SessionDocument:
    """The session of the cookie, and the csrfToken that changes have to send."""
    audit_log.note(via="session")
    session = await require_session(request, services)
    caller = await services.authenticator.caller(session.token, address)
    audit_log.note(user=caller.username)
    services.rate_limits.take(caller.username)
    response.headers["Cache-Control"] = "no-store"
    return _session_document(caller, session)


@router.delete("", summary="Sign out", status_code=204, responses=only_problems(403, 422))
async def sign_out(
    request: Request, services: ServicesDep, _: Annotated[NoQuery, Query()]
) -> Response:
    """Remove the cookie from the browser, even if the session has expired. The token stays valid
    until its issuer revokes it."""
    session_cookie.require_own_site(request.method, request.headers, services.settings.public_url)
    response = Response(status_code=204)
    services.cookies.clear(response, services.cookies.session)
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
        raise problems.invalid([FieldError("next", "write a path of this site, as /console")])
    attempt = Attempt.begin(next_path)
    signed_attempt = attempt.to_cookie(await services.keys.signer())
    response = _redirect(await provider.authorization_url(attempt))
    cookies = [cookie for cookie in request.cookies if cookie.startswith(services.cookies.sign_ins)]
    for cookie in cookies if len(cookies) >= _MAX_ATTEMPTS else ():
        services.cookies.clear(response, cookie)
    services.cookies.set(
        response, services.cookies.sign_in(attempt.state), signed_attempt, ATTEMPT_SECONDS
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
    signer = await services.keys.signer()
    cookie = services.cookies.sign_in(state or "")
    attempt = _attempt(signer, request.cookies.get(cookie), state)
    try:
        if error is not None or code is None:
            raise provider.refusal(error or "no code")
        response = await _complete_sign_in(services, provider, signer, attempt, code, address)
    except (ProblemError, ApiError, UnreachableError) as failure:
        response = error_handlers.error_response(request, failure)
    services.cookies.clear(response, cookie)  # an attempt is used only once
    return response


async def _complete_sign_in(
    services: Services,
    provider: Provider,
    signer: Signer,
    attempt: Attempt,
    code: str,
    address: str,
) -> Response:
    """Start a session, and redirect to the attempt's path.

    Raises ProblemError, ApiError or UnreachableError.
    """
    audit_log.note(via="provider")
    token = await provider.id_token(code, attempt)
    caller = await _authenticate(services, provider, token, address)
    audit_log.note(user=caller.username)
    require_matching_claims(session_cookie.claims(token), attempt, provider.oidc)
    services.rate_limits.take(caller.username)
    response = _redirect(attempt.next_path)
    try:
        _start_session(services, signer, response, token)
    except TokenTooLargeError as error:
        raise ProblemError(502, "token-too-large", str(error)) from None
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


def _attempt(signer: Signer, cookie: str | None, state: str | None) -> Attempt:
    attempt = Attempt.from_cookie(signer, cookie) if cookie else None
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


def _start_session(services: Services, signer: Signer, response: Response, token: str) -> Session:
    """Set the session's cookie. Raises TokenTooLargeError."""
    cookie = session_cookie.encode(signer, token)
    session = session_cookie.decode(signer, cookie)
    assert session is not None  # noqa: S101  (just signed)
    seconds = int(session_cookie.expiry(session) - signer.clock())
    services.cookies.set(response, services.cookies.session, cookie, max(seconds, 0))
    response.headers["Cache-Control"] = "no-store"
    return session


def _session_document(caller: Caller, session: Session) -> SessionDocument:
    return SessionDocument(
        username=caller.username,
        csrf_token=session.csrf_token,
        expires=datetime.fromtimestamp(session_cookie.expiry(session), UTC),
    )


def _redirect(path: str) -> RedirectResponse:
    return RedirectResponse(path, _SEE_OTHER, {"Cache-Control": "no-store"})
