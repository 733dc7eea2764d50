"""Sessions and sign-in through the whole application."""

import asyncio
import base64
import hashlib
import re
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NoReturn
from urllib.parse import parse_qs, urlsplit

import httpx2
import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from starlette.responses import Response

from aichat_workspace.api.app import build
from aichat_workspace.api.auth.sessions import session as sessions
from aichat_workspace.api.auth.sessions.renewals import Renewals
from aichat_workspace.api.auth.sessions.shared_sessions import SharedSessions
from aichat_workspace.api.dependencies import Services
from aichat_workspace.api.metrics import Metrics
from aichat_workspace.api.settings import Settings
from aichat_workspace.api.web.limits.anonymous_limits import AnonymousRateLimits
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.connection import Connection
from aichat_workspace.operator.records import session_key
from tests.fakes.kubernetes import FakeKubernetes

ISSUER = "https://id.example.org"
PUBLIC = "http://aichat.example.org"
PROXY = "10.1.2.3"
GOOD = "good"
SESSION = "/api/v1/session"
CHANGE = "/api/v1/workspaces"
WORKSPACE = {"spec": {"workspaceName": "team-a", "models": ["gemma2:2b"]}}


@dataclass
class FakeCluster:
    """Reviews tokens, and refuses all access."""

    tokens: dict[str, str] = field(default_factory=lambda: {"good": "ann"})
    key: dict[str, Any] | None = field(default_factory=session_key.manifest)
    leases: FakeKubernetes = field(default_factory=FakeKubernetes)

    async def answer(self, request: web.Request) -> web.Response:
        if request.path.endswith("/tokenreviews"):
            token = (await request.json())["spec"]["token"]
            user = {"username": self.tokens.get(token, "")}
            is_known = token in self.tokens
            status = {
                "authenticated": is_known,
                "audiences": ["aichat-workspace-api"],
                "user": user,
            }
            return web.json_response({"status": status})
        if "/secrets/" in request.path:
            missing = {"reason": "NotFound", "message": "no"}
            return web.json_response(self.key or missing, status=200 if self.key else 404)
        return web.json_response({"status": {"allowed": False}})


@dataclass
class FakeIdentityProvider(httpx2.AsyncBaseTransport):
    """Gives a token for the code `code`, if its verifier fits the challenge."""

    challenge: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    refresh_token: str | None = None
    """The one that is good; each use replaces it."""
    code_requests: int = 0
    renewals: int = 0
    revoked: list[str] = field(default_factory=list)
    error: Exception | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path.startswith("/.well-known"):
            names = ("authorization", "token", "revocation", "end_session")
            endpoints = {f"{name}_endpoint": f"{ISSUER}/{name}" for name in names}
            return httpx2.Response(200, json={"issuer": ISSUER, **endpoints})
        if self.error is not None:
            raise self.error
        sent = parse_qs(request.content.decode())
        if request.url.path == "/revocation":
            self.revoked += sent["token"]
            return httpx2.Response(200)
        if sent["grant_type"] == ["refresh_token"]:
            return self._renew(sent["refresh_token"])
        self.code_requests += 1
        if sent["code"] != ["code"] or s256(sent["code_verifier"][0]) != self.challenge:
            return httpx2.Response(400, json={"error": "invalid_grant"})
        return self._tokens()

    def _renew(self, given: list[str]) -> httpx2.Response:
        if given != [self.refresh_token]:
            return httpx2.Response(400, json={"error": "invalid_grant"})
        self.renewals += 1
        self.refresh_token = f"refresh-{self.renewals}"
        return self._tokens()

    def _tokens(self) -> httpx2.Response:
        tokens = {"id_token": jwt(self.claims), "refresh_token": self.refresh_token}
        return httpx2.Response(200, json={name: text for name, text in tokens.items() if text})


def no_server(_: str) -> NoReturn:
    raise AssertionError("signing in asks no workspace's server")


def s256(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def jwt(claims: dict[str, Any]) -> str:
    return f"e30.{base64.urlsafe_b64encode(orjson.dumps(claims)).decode().rstrip('=')}.c2ln"


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def idp() -> FakeIdentityProvider:
    return FakeIdentityProvider()


@pytest.fixture
async def services(
    cluster: FakeCluster, idp: FakeIdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Services]:
    monkeypatch.setattr(ClusterView, "is_synced", True)  # signing in needs no caches
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", cluster.answer)
    async with TestServer(app) as server:
        connection = Connection(str(server.make_url("")).rstrip("/"))
        environment = {
            "PUBLIC_URL": PUBLIC,
            "OIDC_ISSUER": ISSUER,
            "OIDC_CLIENT_ID": "aichat",
            "API_TRUSTED_PROXIES": f"{PROXY}/32",
        }
        settings = Settings.read(environment, in_cluster=True)
        async with Client(connection, user_agent="test") as client:
            services = Services.create(settings, client, no_server, no_server, {})
            yield replica_of(services, idp, cluster)


def replica_of(services: Services, idp: FakeIdentityProvider, cluster: FakeCluster) -> Services:
    """A replica with the same settings, that knows nothing yet."""
    new = Services.create(services.settings, services.client, no_server, no_server, {})
    assert new.provider is not None
    provider = replace(new.provider, transport=idp)
    shared = SharedSessions(cluster.leases, new.keys, secrets.token_hex(8))
    sessions = replace(new.sessions, renewals=Renewals(provider, shared))
    return replace(new, provider=provider, sessions=sessions)


def browser_of(services: Services, address: str = "127.0.0.1") -> httpx2.AsyncClient:
    app = build(services, Metrics(lambda: 0, lambda: 0))
    transport = httpx2.ASGITransport(app, client=(address, 4711))
    return httpx2.AsyncClient(transport=transport, base_url=PUBLIC)


@pytest.fixture
async def browser(services: Services) -> AsyncIterator[httpx2.AsyncClient]:
    async with browser_of(services) as client:
        yield client


async def sign_in(browser: httpx2.AsyncClient, token: str = GOOD) -> dict[str, Any]:
    response = await browser.post(SESSION, json={"token": token})
    assert response.status_code == 200, response.text
    session: dict[str, Any] = response.json()
    return session


class TestSession:
    async def test_a_session_lasts_from_sign_in_to_sign_out(
        self, browser: httpx2.AsyncClient
    ) -> None:
        session = await sign_in(browser)
        assert session["username"] == "ann"
        assert (await browser.get(SESSION)).json() == session
        assert (await browser.get("/api/v1/me")).status_code == 200
        assert (await browser.delete(SESSION)).status_code == 204
        assert not browser.cookies
        assert (await browser.get(SESSION)).status_code == 401
        assert (await browser.get("/api/v1/me")).status_code == 401

    async def test_a_change_needs_a_csrf_token_with_a_cookie_but_not_with_a_bearer_token(
        self, browser: httpx2.AsyncClient
    ) -> None:
        session = await sign_in(browser)
        refused = await browser.post(CHANGE, json=WORKSPACE)
        assert (refused.status_code, refused.json()["code"]) == (403, "csrf-token")
        header = {"X-CSRF-Token": session["csrfToken"]}
        reached = await browser.post(CHANGE, json=WORKSPACE, headers=header)
        assert reached.json()["code"] == "forbidden"
        browser.cookies.clear()
        bearer = {"Authorization": "Bearer good"}
        reached = await browser.post(CHANGE, json=WORKSPACE, headers=bearer)
        assert reached.json()["code"] == "forbidden"

    @pytest.mark.parametrize(
        ("method", "path"), [("GET", SESSION), ("POST", CHANGE), ("GET", CHANGE)]
    )
    async def test_another_site_can_not_use_the_cookie(
        self, browser: httpx2.AsyncClient, method: str, path: str
    ) -> None:
        session = await sign_in(browser)
        headers = {"X-CSRF-Token": session["csrfToken"], "Sec-Fetch-Site": "same-site"}
        response = await browser.request(method, path, headers=headers)
        assert (response.status_code, response.json()["code"]) == (403, "cross-site")
        assert response.headers["content-type"] == "application/problem+json"

    async def test_another_site_can_neither_sign_in_nor_out(
        self, browser: httpx2.AsyncClient
    ) -> None:
        headers = {"Origin": "https://evil.test"}
        for response in (
            await browser.post(SESSION, json={"token": "good"}, headers=headers),
            await browser.delete(SESSION, headers=headers),
        ):
            assert response.json()["code"] == "cross-site"
            assert "set-cookie" not in response.headers

    async def test_sign_in_with_a_token_that_is_not_accepted_is_401(
        self, browser: httpx2.AsyncClient
    ) -> None:
        response = await browser.post(SESSION, json={"token": "bad"})
        assert response.status_code == 401
        assert "set-cookie" not in response.headers
        assert (await browser.post(SESSION, json={"token": "two words"})).status_code == 422

    async def test_a_revoked_token_ends_its_session_and_sign_out_still_works(
        self, cluster: FakeCluster, browser: httpx2.AsyncClient, services: Services
    ) -> None:
        await sign_in(browser)
        cluster.tokens.clear()
        services.authenticator._answers._answers.clear()
        assert (await browser.get(SESSION)).status_code == 401
        assert (await browser.delete(SESSION)).status_code == 204

    async def test_sign_in_with_a_token_that_is_too_large_for_a_cookie_is_413(
        self, cluster: FakeCluster, browser: httpx2.AsyncClient
    ) -> None:
        token = secrets.token_hex(8_000)
        cluster.tokens[token] = "ann"
        response = await browser.post(SESSION, json={"token": token})
        assert (response.status_code, response.json()["code"]) == (413, "token-too-large")

    async def test_without_a_key_sessions_are_503_and_bearer_tokens_work(
        self, cluster: FakeCluster, browser: httpx2.AsyncClient
    ) -> None:
        cluster.key = None
        response = await browser.post(SESSION, json={"token": "good"})
        assert (response.status_code, response.json()["code"]) == (503, "no-session-key")
        assert response.headers["Retry-After"]
        headers = {"Authorization": "Bearer good"}
        assert (await browser.get("/api/v1/me", headers=headers)).status_code == 200

    async def test_replicas_accept_each_others_sessions(
        self, browser: httpx2.AsyncClient, services: Services
    ) -> None:
        session = await sign_in(browser)
        replica = Services.create(services.settings, services.client, no_server, no_server, {})
        async with browser_of(replica) as other:
            other.cookies = browser.cookies
            assert (await other.get(SESSION)).json() == session

    async def test_a_session_ends_after_its_longest_time(
        self, browser: httpx2.AsyncClient, services: Services
    ) -> None:
        cipher, now = await services.keys.cipher(), time.time()
        for seconds, status in ((60, 200), (0, 401)):
            response = Response()
            services.sessions.set(response, cipher, sessions.start(GOOD, None, now, seconds))
            cookie = response.headers["set-cookie"].partition(";")[0]
            reading = await browser.get(SESSION, headers={"Cookie": cookie})
            assert reading.status_code == status
        assert reading.json()["code"] == "session-ended"

    async def test_the_tokens_can_not_be_read_from_the_cookies(
        self, browser: httpx2.AsyncClient
    ) -> None:
        await sign_in(browser)
        value = browser.cookies["aichat-session"]
        assert GOOD not in value
        assert GOOD.encode() not in base64.urlsafe_b64decode(value.partition(".")[2] + "==")


async def begin_sign_in(
    browser: httpx2.AsyncClient, idp: FakeIdentityProvider, where: str = "/x"
) -> str:
    """Begin a sign-in, and return its state."""
    response = await browser.get(f"{SESSION}/login", params={"next": where})
    assert response.status_code == 303, response.text
    parameters = parse_qs(urlsplit(response.headers["location"]).query)
    query = {key: values[0] for key, values in parameters.items()}
    assert query["redirect_uri"] == f"{PUBLIC}{SESSION}/callback"
    assert query["code_challenge_method"] == "S256"
    idp.challenge = query["code_challenge"]
    idp.claims = {"nonce": query["nonce"], "aud": "aichat", "iss": ISSUER}
    return query["state"]


async def finish_sign_in(browser: httpx2.AsyncClient, **query: str) -> httpx2.Response:
    return await browser.get(f"{SESSION}/callback", params=query)


class TestIdentityProvider:
    async def test_a_providers_token_that_the_cluster_accepts_starts_a_session(
        self, cluster: FakeCluster, browser: httpx2.AsyncClient, idp: FakeIdentityProvider
    ) -> None:
        state = await begin_sign_in(browser, idp, "/console?a=b")
        cluster.tokens[jwt(idp.claims)] = "oidc:ann"
        response = await finish_sign_in(browser, code="code", state=state, session_state="other")
        assert (response.status_code, response.headers["location"]) == (303, "/console?a=b")
        assert list(browser.cookies) == ["aichat-session"]
        assert len(str(response.headers)) < 4_096, "what nginx takes without any setting"
        assert (await browser.get(SESSION)).json()["username"] == "oidc:ann"

    @pytest.mark.parametrize("where", ["https://evil.test", "//evil.test", "/\\evil.test"])
    async def test_a_sign_in_can_not_redirect_to_another_site(
        self, browser: httpx2.AsyncClient, where: str
    ) -> None:
        response = await browser.get(f"{SESSION}/login", params={"next": where})
        assert response.status_code == 422
        assert response.json()["errors"][0]["field"] == "next"

    async def test_a_sign_in_of_another_browser_or_with_another_state_is_refused(
        self, browser: httpx2.AsyncClient, idp: FakeIdentityProvider, services: Services
    ) -> None:
        state = await begin_sign_in(browser, idp)
        assert (await finish_sign_in(browser, code="code", state="other")).status_code == 401
        assert (await finish_sign_in(browser, code="code")).status_code == 401
        async with browser_of(services) as other:
            assert (await finish_sign_in(other, code="code", state=state)).status_code == 401

    @pytest.mark.parametrize(
        ("claims", "word"),
        [
            ({"nonce": "other"}, "nonce"),
            ({"aud": "other"}, "client"),
            ({"iss": "https://x"}, "issuer"),
        ],
    )
    async def test_a_token_made_for_another_sign_in_is_refused(
        self,
        cluster: FakeCluster,
        browser: httpx2.AsyncClient,
        idp: FakeIdentityProvider,
        claims: dict[str, str],
        word: str,
    ) -> None:
        state = await begin_sign_in(browser, idp)
        idp.claims.update(claims)
        cluster.tokens[jwt(idp.claims)] = "oidc:ann"
        response = await finish_sign_in(browser, code="code", state=state)
        assert response.status_code == 401
        assert word in response.json()["detail"]
        assert "aichat-session" not in browser.cookies

    async def test_a_providers_token_that_the_cluster_refuses_is_401_with_the_setting_to_check(
        self, browser: httpx2.AsyncClient, idp: FakeIdentityProvider
    ) -> None:
        state = await begin_sign_in(browser, idp)
        response = await finish_sign_in(browser, code="code", state=state)
        assert response.status_code == 401
        assert "--api-audiences" in response.json()["detail"]

    async def test_a_failed_sign_in_is_a_problem_and_ends_the_attempt(
        self, browser: httpx2.AsyncClient, idp: FakeIdentityProvider
    ) -> None:
        for response, status in (
            ({"code": "code"}, 401),
            ({"error": "access_denied"}, 401),
            ({"error": "server_error"}, 502),
        ):
            state = await begin_sign_in(browser, idp)
            idp.challenge = "other"
            assert (await finish_sign_in(browser, **response, state=state)).status_code == status
            assert not browser.cookies, "an attempt is used only once"
            assert (await finish_sign_in(browser, code="code", state=state)).status_code == 401

    async def test_a_network_error_of_the_provider_is_logged_but_not_returned(
        self,
        browser: httpx2.AsyncClient,
        idp: FakeIdentityProvider,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        state = await begin_sign_in(browser, idp)
        idp.error = httpx2.ConnectError("to 10.11.12.13:8443: refused")
        response = await finish_sign_in(browser, code="code", state=state)
        assert (response.status_code, response.json()["code"]) == (502, "identity-provider")
        assert "10.11.12.13" not in response.text
        assert "10.11.12.13" in "".join(capfd.readouterr())
        assert not browser.cookies

    async def test_two_tabs_can_sign_in_at_the_same_time(
        self, cluster: FakeCluster, browser: httpx2.AsyncClient, idp: FakeIdentityProvider
    ) -> None:
        first = await begin_sign_in(browser, idp, "/first")
        challenge, claims = idp.challenge, idp.claims
        await begin_sign_in(browser, idp, "/second")
        idp.challenge, idp.claims = challenge, claims
        cluster.tokens[jwt(idp.claims)] = "oidc:ann"
        response = await finish_sign_in(browser, code="code", state=first)
        assert (response.status_code, response.headers["location"]) == (303, "/first")

    async def test_abandoned_sign_ins_leave_few_cookies(
        self, browser: httpx2.AsyncClient, idp: FakeIdentityProvider
    ) -> None:
        for _ in range(20):
            await begin_sign_in(browser, idp)
            assert sum(map(len, browser.cookies.values())) <= 2_000

    async def test_a_program_is_told_how_to_sign_in_without_signing_in(
        self, browser: httpx2.AsyncClient
    ) -> None:
        answer = await browser.get(f"{SESSION}/provider")
        assert answer.json() == {
            "issuer": ISSUER,
            "clientId": "aichat",
            "scope": "openid email profile",
        }

    @pytest.mark.parametrize("client_id", [None, "aichat-cli"])
    async def test_a_client_with_a_secret_is_none_for_programs(
        self, services: Services, client_id: str | None
    ) -> None:
        assert services.settings.oidc is not None
        oidc = replace(services.settings.oidc, client_secret="s", cli_client_id=client_id)
        assert services.provider is not None
        services = replace(services, provider=replace(services.provider, oidc=oidc))
        async with browser_of(services) as browser:
            answer = await browser.get(f"{SESSION}/provider")
        if client_id is None:
            assert (answer.status_code, answer.json()["code"]) == (404, "no-public-client")
        else:
            assert answer.json()["clientId"] == client_id
        assert '"s"' not in answer.text

    async def test_without_a_provider_its_routes_are_404(self, services: Services) -> None:
        async with browser_of(replace(services, provider=None)) as browser:
            for path in ("login", "callback"):
                response = await browser.get(f"{SESSION}/{path}")
                assert (response.status_code, response.json()["code"]) == (
                    404,
                    "no-identity-provider",
                )


async def sign_in_for_long(
    browser: httpx2.AsyncClient, idp: FakeIdentityProvider, cluster: FakeCluster, seconds: float = 0
) -> None:
    """Sign in with a refresh token; the ID token has so many seconds left of its hour."""
    state = await begin_sign_in(browser, idp)
    idp.refresh_token = "refresh-0"
    idp.claims |= {"sub": "ann", "exp": time.time() + seconds, "jti": "first"}
    cluster.tokens[jwt(idp.claims)] = "oidc:ann"
    assert (await finish_sign_in(browser, code="code", state=state)).status_code == 303
    idp.claims = {**idp.claims, "exp": time.time() + 3600, "jti": "renewed"}
    cluster.tokens[jwt(idp.claims)] = "oidc:ann"


class TestRenewal:
    async def test_a_session_is_renewed_for_all_requests_at_once_and_keeps_its_csrf_token(
        self, browser: httpx2.AsyncClient, idp: FakeIdentityProvider, cluster: FakeCluster
    ) -> None:
        await sign_in_for_long(browser, idp, cluster)
        before = browser.cookies["aichat-session"]
        old = {"Cookie": f"aichat-session={before}"}
        answers = await asyncio.gather(*(browser.get(SESSION, headers=old) for _ in range(10)))
        assert [answer.status_code for answer in answers] == [200] * 10
        assert all("set-cookie" in answer.headers for answer in answers)
        assert (idp.renewals, len({answer.text for answer in answers})) == (1, 1)
        assert browser.cookies["aichat-session"] != before
        header = {"X-CSRF-Token": answers[0].json()["csrfToken"]}
        change = await browser.post(CHANGE, json=WORKSPACE, headers=header)
        assert change.json()["code"] == "forbidden"
        assert "set-cookie" not in change.headers

    async def test_a_request_with_the_former_cookies_gets_the_renewed_ones(
        self, browser: httpx2.AsyncClient, idp: FakeIdentityProvider, cluster: FakeCluster
    ) -> None:
        await sign_in_for_long(browser, idp, cluster)
        old = {"Cookie": f"aichat-session={browser.cookies['aichat-session']}"}
        first = await browser.get(SESSION, headers=old)
        late = await browser.get(SESSION, headers=old)
        assert late.json() == first.json()
        assert "set-cookie" in late.headers
        assert idp.renewals == 1

    async def test_two_replicas_that_get_the_same_old_cookies_use_a_refresh_token_once(
        self,
        browser: httpx2.AsyncClient,
        idp: FakeIdentityProvider,
        cluster: FakeCluster,
        services: Services,
    ) -> None:
        await sign_in_for_long(browser, idp, cluster)
        old = {"Cookie": f"aichat-session={browser.cookies['aichat-session']}"}
        async with browser_of(replica_of(services, idp, cluster)) as other:
            answers = await asyncio.gather(
                *(client.get(SESSION, headers=old) for client in (browser, other) * 5)
            )
        assert [answer.status_code for answer in answers] == [200] * 10
        assert (idp.renewals, len({answer.text for answer in answers})) == (1, 1)

    async def test_every_response_carries_the_renewed_session_an_error_and_a_stream_too(
        self, browser: httpx2.AsyncClient, idp: FakeIdentityProvider, cluster: FakeCluster
    ) -> None:
        await sign_in_for_long(browser, idp, cluster)
        old = {"Cookie": f"aichat-session={browser.cookies['aichat-session']}"}
        for path in ("/api/v1/me", "/api/v1/workspaces/none", "/api/v1/workspaces?limit=x"):
            assert "set-cookie" in (await browser.get(path, headers=old)).headers, path

    async def test_a_replica_that_has_just_started_renews_too(
        self,
        browser: httpx2.AsyncClient,
        idp: FakeIdentityProvider,
        cluster: FakeCluster,
        services: Services,
    ) -> None:
        await sign_in_for_long(browser, idp, cluster)
        async with browser_of(replica_of(services, idp, cluster)) as other:
            other.cookies = browser.cookies
            session = (await other.get(SESSION)).json()
            assert session["username"] == "oidc:ann"
        expires = datetime.fromisoformat(session["expires"]).timestamp()
        assert time.time() + 7.9 * 3600 < expires < time.time() + 8.1 * 3600

    async def test_a_renewed_token_that_fits_into_no_cookie_is_found_by_the_old_cookies(
        self, browser: httpx2.AsyncClient, idp: FakeIdentityProvider, cluster: FakeCluster
    ) -> None:
        await sign_in_for_long(browser, idp, cluster)
        idp.claims["groups"] = [secrets.token_urlsafe(12) for _ in range(600)]
        cluster.tokens[jwt(idp.claims)] = "oidc:ann"
        for _ in range(3):
            response = await browser.get(SESSION)
            assert (response.status_code, response.json()["username"]) == (200, "oidc:ann")
            assert "set-cookie" not in response.headers
        assert idp.renewals == 1

    async def test_a_refused_renewal_ends_the_session_with_its_token(
        self, browser: httpx2.AsyncClient, idp: FakeIdentityProvider, cluster: FakeCluster
    ) -> None:
        await sign_in_for_long(browser, idp, cluster)
        idp.refresh_token = "another"
        cluster.tokens = {GOOD: "ann"}
        response = await browser.get(SESSION)
        assert (response.status_code, response.json()["code"]) == (401, "session-ended")

    async def test_while_the_provider_is_down_a_session_goes_on_until_its_token_expires(
        self, browser: httpx2.AsyncClient, idp: FakeIdentityProvider, cluster: FakeCluster
    ) -> None:
        await sign_in_for_long(browser, idp, cluster)
        idp.error = httpx2.ConnectError("refused")
        down = await browser.get(SESSION)
        assert (down.status_code, down.json()["code"]) == (502, "identity-provider")
        assert "set-cookie" not in down.headers


class TestSigningOut:
    async def test_signing_out_revokes_the_refresh_token(
        self, browser: httpx2.AsyncClient, idp: FakeIdentityProvider, cluster: FakeCluster
    ) -> None:
        await sign_in_for_long(browser, idp, cluster, seconds=3600)
        assert (await browser.delete(SESSION)).status_code == 204
        assert (idp.revoked, dict(browser.cookies)) == (["refresh-0"], {})

    async def test_the_browser_is_signed_out_even_if_the_provider_or_the_key_is_gone(
        self,
        browser: httpx2.AsyncClient,
        idp: FakeIdentityProvider,
        cluster: FakeCluster,
        services: Services,
    ) -> None:
        await sign_in_for_long(browser, idp, cluster, seconds=3600)
        cookies = dict(browser.cookies)
        idp.error = httpx2.ConnectError("refused")
        assert (await browser.delete(SESSION)).status_code == 204
        assert not browser.cookies
        cluster.key = None
        async with browser_of(replica_of(services, idp, cluster)) as other:
            other.cookies.update(cookies)
            assert (await other.delete(SESSION)).status_code == 204

    async def test_a_request_that_was_under_way_sets_no_cookies_again(
        self, browser: httpx2.AsyncClient, idp: FakeIdentityProvider, cluster: FakeCluster
    ) -> None:
        await sign_in_for_long(browser, idp, cluster, seconds=3600)
        old = {"Cookie": f"aichat-session={browser.cookies['aichat-session']}"}
        await browser.delete(SESSION)
        late = await browser.get("/api/v1/platform", headers=old)
        assert (late.status_code, late.json()["code"]) == (401, "session-ended")
        assert "set-cookie" not in late.headers

    @pytest.mark.parametrize("path", ["/logout", "/login"])
    async def test_a_page_whose_session_is_due_ends_with_its_own_calls_cookies(
        self,
        browser: httpx2.AsyncClient,
        idp: FakeIdentityProvider,
        cluster: FakeCluster,
        path: str,
    ) -> None:
        await sign_in_for_long(browser, idp, cluster)
        cluster.tokens[GOOD] = "ann"
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        response = await browser.post(path, content=f"token={GOOD}&csrf=x", headers=form)
        if path == "/logout":
            assert (response.status_code, dict(browser.cookies)) == (200, {})
            assert f"{ISSUER}/end_session" in response.text
        else:
            assert response.status_code == 303
            assert (await browser.get(SESSION)).json()["username"] == "ann"

    async def test_logging_out_goes_on_to_the_provider_with_the_token_as_a_hint(
        self, browser: httpx2.AsyncClient, idp: FakeIdentityProvider, cluster: FakeCluster
    ) -> None:
        await sign_in_for_long(browser, idp, cluster, seconds=3600)
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        response = await browser.post(f"{SESSION}/logout", headers=form)
        assert (response.status_code, dict(browser.cookies)) == (303, {})
        url = urlsplit(response.headers["location"])
        assert f"{url.scheme}://{url.netloc}{url.path}" == f"{ISSUER}/end_session"
        query = parse_qs(url.query)
        assert query["post_logout_redirect_uri"] == [f"{PUBLIC}/"]
        assert query["id_token_hint"][0].startswith("e30.")
        assert idp.revoked == ["refresh-0"]

    async def test_logging_out_of_a_session_by_token_tells_the_provider_nothing(
        self, browser: httpx2.AsyncClient
    ) -> None:
        await sign_in(browser)
        response = await browser.post(f"{SESSION}/logout")
        assert (response.status_code, response.headers["location"]) == (303, "/")
        assert not browser.cookies
        assert (await browser.post(f"{SESSION}/logout")).headers["location"] == "/"


class TestEndedSession:
    @pytest.mark.parametrize(
        ("path", "headers", "where"),
        [
            ("/api/v1/me", {}, "/"),
            ("/api/v1/me", {"Referer": f"{PUBLIC}/console?team=a%26b"}, "/console?team=a%26b"),
            ("/api/v1/me", {"Referer": "https://evil.test/console"}, "/"),
            ("/api/v1/me", {"Referer": f"{PUBLIC}//evil.test"}, "/"),
            ("/api/v1/me?x=y", {"Sec-Fetch-Dest": "document"}, "/api/v1/me?x=y"),
            ("/api/v1/me", {"Sec-Fetch-Dest": "document", "Referer": f"{PUBLIC}/"}, "/api/v1/me"),
        ],
    )
    async def test_an_ended_session_is_told_by_its_code_with_the_way_back_to_the_page(
        self, browser: httpx2.AsyncClient, path: str, headers: dict[str, str], where: str
    ) -> None:
        ended = {"Cookie": "aichat-session=1.of-a-former-key", **headers}
        for sent, code in ((ended, "session-ended"), (headers, "unauthenticated")):
            response = await browser.get(path, headers=sent)
            assert (response.status_code, response.json()["code"]) == (401, code)
            login = urlsplit(response.json()["login"])
            assert login.path == f"{SESSION}/login"
            assert parse_qs(login.query) == {"next": [where]}
            assert (await browser.get(response.json()["login"])).status_code == 303

    async def test_without_a_provider_there_is_no_login_to_go_to(self, services: Services) -> None:
        renewals = Renewals(None, services.sessions.renewals.shared)
        sessions = replace(services.sessions, renewals=renewals)
        async with browser_of(replace(services, provider=None, sessions=sessions)) as browser:
            ended = {"Cookie": "aichat-session=1.of-a-former-key"}
            problem = (await browser.get("/api/v1/me", headers=ended)).json()
            assert problem["code"] == "session-ended"
            assert "login" not in problem


def stop_clock(limits: AnonymousRateLimits) -> None:
    """Let no time pass, so no bucket is filled again."""
    buckets = (limits.per_known_address, limits.all_known, *limits.per_network, limits.all_unknown)
    for bucket in buckets:
        bucket.clock = lambda: 0.0


class TestRateLimits:
    async def test_junk_codes_are_rate_limited_by_address(
        self, browser: httpx2.AsyncClient, idp: FakeIdentityProvider, services: Services
    ) -> None:
        limits = services.sign_in_limits
        stop_clock(limits)
        state = await begin_sign_in(browser, idp)
        cookies = dict(browser.cookies)
        statuses = []
        for _ in range(200):
            browser.cookies.update(cookies)
            statuses.append((await finish_sign_in(browser, code="junk", state=state)).status_code)
        assert (statuses[0], statuses[-1]) == (401, 429)
        assert idp.code_requests < 100
        assert (await browser.get(f"{SESSION}/login")).status_code == 429
        async with browser_of(services, "198.51.100.1") as other:
            assert (await other.get(f"{SESSION}/login")).status_code == 303

    async def test_made_up_tokens_are_rate_limited_by_forwarded_address(
        self, services: Services
    ) -> None:
        async def status_of(address: str, token: str) -> int:
            headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": address}
            return (await proxy.get("/api/v1/me", headers=headers)).status_code

        stop_clock(services.authenticator.anonymous_limits)
        async with browser_of(services, PROXY) as proxy:
            flood = [await status_of("203.0.113.7", f"made-up-{n}") for n in range(600)]
            assert (flood[0], flood[-1]) == (401, 429)
            assert await status_of("198.51.100.1", "good") == 200


async def test_no_token_is_written_to_the_log(
    cluster: FakeCluster,
    browser: httpx2.AsyncClient,
    idp: FakeIdentityProvider,
    capfd: pytest.CaptureFixture[str],
) -> None:
    cluster.tokens["hushhush"] = "ann"
    await sign_in(browser, "hushhush")
    await browser.post(SESSION, json={"token": "hushhushbad"})
    state = await begin_sign_in(browser, idp)
    await finish_sign_in(browser, code="code", state=state)
    logged = "".join(capfd.readouterr())
    assert "sign_in" in logged
    assert "hushhush" not in logged
    assert jwt(idp.claims) not in logged


async def test_no_operation_takes_a_change_from_another_site_whatever_the_credential(
    browser: httpx2.AsyncClient,
) -> None:
    await sign_in(browser)
    paths = (await browser.get("/openapi.json")).json()["paths"]
    changes = [
        (method, re.sub(r"\{\w+\}", "x", path))
        for path, methods in paths.items()
        for method in methods
        if method in ("post", "put", "patch", "delete")
    ]
    assert len(changes) > 5
    for method, path in changes:
        for site in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.test"}):
            for credential in ({}, {"Authorization": f"Bearer {GOOD}"}):
                response = await browser.request(method, path, headers={**site, **credential})
                document = response.json()
                refused = document["error"]["code"] if "/x/v1/" in path else document["code"]
                assert refused.replace("_", "-") == "cross-site", (method, path)


async def test_openapi_documents_both_security_schemes(browser: httpx2.AsyncClient) -> None:
    document = (await browser.get("/openapi.json")).json()
    assert set(document["components"]["securitySchemes"]) == {"HTTPBearer", "Session"}
    either: list[dict[str, list[str]]] = [{"HTTPBearer": []}, {"Session": []}]
    assert document["paths"][CHANGE]["post"]["security"] == either
    assert "security" not in document["paths"][SESSION]["post"]


async def test_responses_forbid_shared_caches_to_store_them(browser: httpx2.AsyncClient) -> None:
    await sign_in(browser)
    assert (await browser.get(SESSION)).headers["cache-control"] == "no-store"
    response = await browser.get("/api/v1/me")
    assert response.headers["cache-control"] == "private, no-cache"
