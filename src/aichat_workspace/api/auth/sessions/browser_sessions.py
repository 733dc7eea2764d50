"""Sessions as requests bring them: read from cookies, renewed in time, and set again."""

import time
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode, urlsplit

import structlog
from starlette.requests import Request
from starlette.responses import Response

from aichat_workspace.api.auth.authentication import Authenticator, Caller
from aichat_workspace.api.auth.sessions import session as sessions
from aichat_workspace.api.auth.sessions.cookies import Cookies, SessionTooLargeError
from aichat_workspace.api.auth.sessions.encryption import Cipher, Keys
from aichat_workspace.api.auth.sessions.renewals import Renewals
from aichat_workspace.api.auth.sessions.session import Session
from aichat_workspace.api.web.requests.own_site import is_own_origin, require_own_site
from aichat_workspace.api.web.responses import cluster_errors, problems
from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.api.web.responses.response_cookies import response_cookies
from aichat_workspace.foundation.local_path import is_local

_LOGIN: Final = "/api/v1/session/login"
_log: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """A browser's session as one request brings it."""

    session: Session
    """The session, renewed if that was due."""
    login: str | None
    """The path where the browser signs in again and comes back from; None without a provider."""


@dataclass(frozen=True, slots=True)
class BrowserSessions:
    """Reads and sets sessions. Any replica can, since they share the key."""

    keys: Keys
    cookies: Cookies
    renewals: Renewals
    authenticator: Authenticator
    public_url: str | None
    """Where browsers reach the API."""

    async def read(self, request: Request) -> BrowserSession:
        """Return the session of the request's cookies, renewed if that is due.

        The response sets the cookies again if the session was renewed since they were set. Raises
        ProblemError: 401 without a session, 403 from another site, 502 or 503 without an answer.
        """
        login, cookie = self.login_path(request), self.cookies.read_session(request.cookies)
        if cookie is None:
            raise problems.no_credential(self.authenticator.audience, login)
        require_own_site(request.method, request.headers, self.public_url)
        cipher = await self.keys.cipher()
        session = sessions.decrypt(cipher, cookie)
        if session is None or session.ends_at <= time.time():
            raise problems.session_ended(login)
        current = await self.renewals.current(session)
        if current.ends_at <= time.time():  # it was signed out elsewhere
            raise problems.session_ended(login)
        if current.generation != session.generation:
            try:
                self.set(response_cookies(request), cipher, current)
            except ProblemError as problem:  # the old cookies still lead to the last state
                _log.error("a renewed session does not fit into cookies", why=problem.detail)
        return BrowserSession(current, login)

    def set(self, response: Response, cipher: Cipher, session: Session) -> None:
        """Set the session's cookies. Raises ProblemError (502) for tokens that do not fit in."""
        value, seconds = sessions.encrypt(cipher, session), session.ends_at - time.time()
        try:
            self.cookies.set_session(response, value, seconds)
        except SessionTooLargeError as error:
            raise ProblemError(502, "token-too-large", str(error)) from None

    async def end(self, request: Request, response: Response) -> Session | None:
        """End the browser's session on all replicas, and return its last state; None without one.

        The cookies go in any case.
        """
        self.cookies.clear_session(response)
        cookie = self.cookies.read_session(request.cookies)
        if cookie is None:
            return None
        try:
            session = sessions.decrypt(await self.keys.cipher(), cookie)
        except cluster_errors.REPORTABLE_ERRORS:  # no key: the cookies go nevertheless
            return None
        return None if session is None else await self.renewals.end(session)

    async def caller(self, browser_session: BrowserSession, address: str) -> Caller:
        """Return the caller of a session as of now, renewed if that is due: for streams, too.

        Raises ProblemError: 401 when it is over, 429 or 502.
        """
        session = await self.renewals.current(browser_session.session)
        if sessions.is_over(session, time.time()):
            raise problems.session_ended(browser_session.login)
        try:
            return await self.authenticator.caller(session.token, address)
        except ProblemError as problem:
            if problem.status != 401:
                raise
            raise problems.session_ended(browser_session.login) from None

    def login_path(self, request: Request) -> str | None:
        """Return the path where the browser signs in and comes back here.

        Here is the page that it asks for, or else the page of this site that asks. Return None
        without a provider.
        """
        if self.renewals.provider is None:
            return None
        page = urlsplit(request.headers.get("Referer", ""))
        if request.headers.get("Sec-Fetch-Dest") == "document":
            page = urlsplit(str(request.url))
        origin = f"{page.scheme}://{page.netloc}"
        path = f"{page.path}?{page.query}".removesuffix("?")
        is_here = is_own_origin(origin, request.headers, self.public_url) and is_local(path)
        return f"{_LOGIN}?{urlencode({'next': path if is_here else '/'}, safe='/')}"
