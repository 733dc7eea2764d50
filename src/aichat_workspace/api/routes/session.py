"""/api/v1/session: signing in and out, for browsers."""

from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from aichat_workspace.api.auth import audit_log, session_cookie
from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.auth.oidc import (
    ATTEMPT_SECONDS,
    Attempt,
    Provider,
    is_local,
    require_ours,
)
from aichat_workspace.api.auth.session_cookie import Session, TokenTooLargeError
from aichat_workspace.api.auth.signing import Signer
from aichat_workspace.api.dependencies import Address, Services, ServicesDep, own_session
from aichat_workspace.api.openapi.responses import responses
from aichat_workspace.api.schemas.session import SessionDocument, SignIn
from aichat_workspace.api.web import error_handlers, problems
from aichat_workspace.api.web.problems import FieldError, ProblemError
from aichat_workspace.kube.errors import ApiError, UnreachableError

router = APIRouter(prefix="/api/v1/session", tags=["sign-in"])

_SEE_OTHER: Final = 303
_MOST_ATTEMPTS: Final = 5  # their cookies come with every request


@router.post("", summary="Sign in with a token", responses=responses(415))
async def sign_in(
    request: Request, response: Response, use: ServicesDep, address: Address, asked: SignIn
) -> SessionDocument:
    """Sets a cookie that stands for the token, for eight hours at most. Nothing is kept here."""
    session_cookie.require_own_site(request.method, request.headers, use.settings.public_url)
    who = await use.authenticator.caller(asked.token, address)
    use.rate.take(who.username)
    seal = await use.keys.seal()
    try:
        begun = _begin(use, seal, response, asked.token)
    except TokenTooLargeError as error:
        raise ProblemError(413, "token-too-large", str(error)) from None
    audit_log.record(who, "sign-in", team="", name="", outcome=200)
    return _shown(who, begun)


@router.get("", summary="Who is signed in", responses=responses())
async def read_session(
    request: Request, response: Response, use: ServicesDep, address: Address
) -> SessionDocument:
    """The session of the present cookie, and the csrfToken that changes in it have to send."""
    found = await own_session(request, use)
    who = await use.authenticator.caller(found.token, address)
    use.rate.take(who.username)
    response.headers["Cache-Control"] = "no-store"
    return _shown(who, found)


@router.delete("", summary="Sign out", status_code=204, responses=responses())
async def sign_out(request: Request, use: ServicesDep) -> Response:
    """Takes the cookie from the browser, whether or not the session has ended. The token stays
    good: it is whoever made it who can revoke it."""
    session_cookie.require_own_site(request.method, request.headers, use.settings.public_url)
    response = Response(status_code=204)
    use.cookies.clear(response, use.cookies.session)
    return response


@router.get(
    "/login",
    summary="Sign in with the identity provider",
    status_code=_SEE_OTHER,
    response_class=RedirectResponse,
    responses={_SEE_OTHER: {"description": "To the provider."}, **responses(404, 502)},
)
async def begin_login(
    request: Request,
    use: ServicesDep,
    address: Address,
    next_path: Annotated[
        str,
        Query(alias="next", max_length=1024, description="Where to go then: a path of this site."),
    ] = "/",
) -> Response:
    """OpenID Connect's authorization code flow, with PKCE."""
    provider = _provider(use)
    use.sign_ins.take(address)
    if not is_local(next_path):
        raise problems.invalid([FieldError("next", "write a path of this site, as /console")])
    attempt = Attempt.begin(next_path)
    sealed = attempt.sealed(await use.keys.seal())
    response = _to(await provider.authorization_url(attempt))
    under_way = [each for each in request.cookies if each.startswith(use.cookies.sign_ins)]
    for each in under_way if len(under_way) >= _MOST_ATTEMPTS else ():
        use.cookies.clear(response, each)
    use.cookies.put(response, use.cookies.sign_in(attempt.state), sealed, ATTEMPT_SECONDS)
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
    use: ServicesDep,
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
    provider = _provider(use)
    use.sign_ins.take(address)
    seal = await use.keys.seal()
    cookie = use.cookies.sign_in(state or "")
    attempt = _attempt(seal, request.cookies.get(cookie), state)
    try:
        if error is not None or code is None:
            raise provider.refused(error or "no code")
        response = await _signed_in(use, provider, seal, attempt, code, address)
    except (ProblemError, ApiError, UnreachableError) as found:
        response = error_handlers.answer_to(request, found)
    use.cookies.clear(response, cookie)  # however it ended, it is over
    return response


async def _signed_in(
    use: Services, provider: Provider, seal: Signer, attempt: Attempt, code: str, address: str
) -> Response:
    """To where the attempt leads, with a session. Raises ProblemError, ApiError or
    UnreachableError."""
    token = await provider.id_token(code, attempt)
    who = await _accepted(use, provider, token, address)
    require_ours(session_cookie.claims(token), attempt, provider.oidc)
    use.rate.take(who.username)
    response = _to(attempt.next_path)
    try:
        _begin(use, seal, response, token)
    except TokenTooLargeError as found:
        raise ProblemError(502, "token-too-large", str(found)) from None
    audit_log.record(who, "sign-in", team="", name="", outcome=_SEE_OTHER, note="identity provider")
    return response


def _provider(use: Services) -> Provider:
    if use.provider is None:
        raise ProblemError(
            404,
            "no-identity-provider",
            "Sign-in with an identity provider is not set up (OIDC_ISSUER). Sign in with a token: "
            "POST /api/v1/session.",
        )
    return use.provider


def _attempt(seal: Signer, cookie: str | None, state: str | None) -> Attempt:
    attempt = Attempt.opened(seal, cookie) if cookie else None
    if attempt is None or attempt.state != state:
        raise problems.unauthenticated(
            "This sign-in was begun in another browser or tab, or too long ago. Begin again at "
            "/api/v1/session/login."
        )
    return attempt


async def _accepted(use: Services, provider: Provider, token: str, address: str) -> Caller:
    """Whom the API server takes the provider's token for."""
    try:
        return await use.authenticator.caller(token, address)
    except ProblemError as problem:
        if problem.status != 401:
            raise
        raise problems.unauthenticated(
            "The identity provider has signed you in, but the Kubernetes API server does not "
            f"accept its token. It has to trust the issuer {provider.oidc.issuer} for the client "
            f"{provider.oidc.client_id!r}, and its --api-audiences have to name "
            f"{use.settings.audience!r}."
        ) from None


def _begin(use: Services, seal: Signer, response: Response, token: str) -> Session:
    """Put the session's cookie. Raises TokenTooLargeError."""
    cookie = session_cookie.sealed(seal, token)
    begun = session_cookie.opened(seal, cookie)
    assert begun is not None  # noqa: S101  (just sealed)
    left_seconds = int(session_cookie.expires(begun) - seal.clock())
    use.cookies.put(response, use.cookies.session, cookie, max(left_seconds, 0))
    response.headers["Cache-Control"] = "no-store"
    return begun


def _shown(who: Caller, found: Session) -> SessionDocument:
    return SessionDocument(
        username=who.username,
        csrf_token=found.csrf_token,
        expires=datetime.fromtimestamp(session_cookie.expires(found), UTC),
    )


def _to(where: str) -> RedirectResponse:
    return RedirectResponse(where, _SEE_OTHER, {"Cache-Control": "no-store"})
