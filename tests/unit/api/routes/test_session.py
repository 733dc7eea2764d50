"""The whole application, against an API server that knows one token."""

import base64
import hashlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn
from urllib.parse import parse_qs, urlsplit

import httpx2
import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import Configuration

from aichat_workspace.api.app import build
from aichat_workspace.api.dependencies import Credential, Services, identify
from aichat_workspace.api.metrics import Metrics
from aichat_workspace.api.settings import Settings
from aichat_workspace.api.web.problems import ProblemError
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.kube.client import Client
from aichat_workspace.operator import session_key

ISSUER = "https://id.example.org"
PUBLIC = "http://aichat.example.org"
PROXY = "10.1.2.3"
GOOD = "good"
SESSION = "/api/v1/session"
CHANGE = "/api/v1/workspaces"
WORKSPACE = {"spec": {"workspaceName": "team-a", "models": ["gemma2:2b"]}}


@dataclass
class Cluster:
    """Reviews tokens; everybody whom it knows may do nothing."""

    tokens: dict[str, str] = field(default_factory=lambda: {"good": "ann"})
    key: dict[str, Any] | None = field(default_factory=session_key.manifest)

    async def answer(self, request: web.Request) -> web.Response:
        if request.path.endswith("/tokenreviews"):
            token = (await request.json())["spec"]["token"]
            user = {"username": self.tokens.get(token, "")}
            known = token in self.tokens
            told = {"authenticated": known, "audiences": ["aichat-workspace-api"], "user": user}
            return web.json_response({"status": told})
        if "/secrets/" in request.path:
            missing = {"reason": "NotFound", "message": "no"}
            return web.json_response(self.key or missing, status=200 if self.key else 404)
        return web.json_response({"status": {"allowed": False}})


@dataclass
class IdentityProvider(httpx2.AsyncBaseTransport):
    """Gives a token for the code `code`, if its verifier fits the challenge."""

    challenge: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    asked: int = 0
    fails: Exception | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path.startswith("/.well-known"):
            names = ("authorization", "token")
            told = {f"{each}_endpoint": f"{ISSUER}/{each}" for each in names}
            return httpx2.Response(200, json={"issuer": ISSUER, **told})
        self.asked += 1
        if self.fails is not None:
            raise self.fails
        sent = parse_qs(request.content.decode())
        if sent["code"] != ["code"] or s256(sent["code_verifier"][0]) != self.challenge:
            return httpx2.Response(400, json={"error": "invalid_grant"})
        return httpx2.Response(200, json={"id_token": jwt(self.claims)})


def no_model_server(_: str) -> NoReturn:
    raise AssertionError("signing in asks no model server")


def s256(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def jwt(claims: dict[str, Any]) -> str:
    return f"e30.{base64.urlsafe_b64encode(orjson.dumps(claims)).decode().rstrip('=')}.c2ln"


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def idp() -> IdentityProvider:
    return IdentityProvider()


@pytest.fixture
async def services(
    cluster: Cluster, idp: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Services]:
    monkeypatch.setattr(ClusterView, "is_synced", True)  # signing in needs nothing of what it knows
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", cluster.answer)
    async with TestServer(app) as server:
        configuration = Configuration()
        configuration.host = str(server.make_url("")).rstrip("/")
        environment = {
            "PUBLIC_URL": PUBLIC,
            "OIDC_ISSUER": ISSUER,
            "OIDC_CLIENT_ID": "aichat",
            "API_TRUSTED_PROXIES": f"{PROXY}/32",
        }
        settings = Settings.read(environment, in_cluster=True)
        async with Client(configuration, user_agent="test") as client:
            made = Services.create(settings, client, no_model_server, {})
            assert made.provider is not None
            yield replace(made, provider=replace(made.provider, transport=idp))


def browser_of(services: Services, address: str = "127.0.0.1") -> httpx2.AsyncClient:
    app = build(services, Metrics(lambda: 0, lambda: 0))
    transport = httpx2.ASGITransport(app, client=(address, 4711))
    return httpx2.AsyncClient(transport=transport, base_url=PUBLIC)


@pytest.fixture
async def browser(services: Services) -> AsyncIterator[httpx2.AsyncClient]:
    async with browser_of(services) as client:
        yield client


async def sign_in(browser: httpx2.AsyncClient, token: str = GOOD) -> dict[str, Any]:
    answer = await browser.post(SESSION, json={"token": token})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_whoever_signs_in_is_known_by_the_cookie_until_signing_out(
    browser: httpx2.AsyncClient,
) -> None:
    told = await sign_in(browser)
    assert told["username"] == "ann"
    assert (await browser.get(SESSION)).json() == told
    assert (await browser.get("/api/v1/platform")).status_code == 200
    assert (await browser.delete(SESSION)).status_code == 204
    assert not browser.cookies
    assert (await browser.get(SESSION)).status_code == 401
    assert (await browser.get("/api/v1/platform")).status_code == 401


async def test_a_change_needs_the_sessions_csrf_token_and_a_bearers_needs_none(
    browser: httpx2.AsyncClient,
) -> None:
    told = await sign_in(browser)
    refused = await browser.post(CHANGE, json=WORKSPACE)
    assert (refused.status_code, refused.json()["code"]) == (403, "csrf-token")
    header = {"X-CSRF-Token": told["csrfToken"]}
    reached = await browser.post(CHANGE, json=WORKSPACE, headers=header)
    assert reached.json()["code"] == "forbidden"
    browser.cookies.clear()
    bearer = {"Authorization": "Bearer good", "Sec-Fetch-Site": "cross-site"}
    reached = await browser.post(CHANGE, json=WORKSPACE, headers=bearer)
    assert reached.json()["code"] == "forbidden"


@pytest.mark.parametrize(("method", "path"), [("GET", SESSION), ("POST", CHANGE), ("GET", CHANGE)])
async def test_another_site_can_use_no_cookie(
    browser: httpx2.AsyncClient, method: str, path: str
) -> None:
    told = await sign_in(browser)
    headers = {"X-CSRF-Token": told["csrfToken"], "Sec-Fetch-Site": "same-site"}
    answer = await browser.request(method, path, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "cross-site")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_another_site_can_neither_sign_in_nor_out(browser: httpx2.AsyncClient) -> None:
    headers = {"Origin": "https://evil.test"}
    for answer in (
        await browser.post(SESSION, json={"token": "good"}, headers=headers),
        await browser.delete(SESSION, headers=headers),
    ):
        assert answer.json()["code"] == "cross-site"
        assert "set-cookie" not in answer.headers


async def test_a_token_that_is_not_accepted_signs_nobody_in(browser: httpx2.AsyncClient) -> None:
    answer = await browser.post(SESSION, json={"token": "bad"})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert (await browser.post(SESSION, json={"token": "two words"})).status_code == 422


async def test_a_revoked_token_ends_its_session_and_sign_out_works_still(
    cluster: Cluster, browser: httpx2.AsyncClient, services: Services
) -> None:
    await sign_in(browser)
    cluster.tokens.clear()
    services.authenticator._answers._answers.clear()
    assert (await browser.get(SESSION)).status_code == 401
    assert (await browser.delete(SESSION)).status_code == 204


async def test_a_token_that_fits_no_cookie_is_413(
    cluster: Cluster, browser: httpx2.AsyncClient
) -> None:
    cluster.tokens["t" * 5_000] = "ann"
    answer = await browser.post(SESSION, json={"token": "t" * 5_000})
    assert (answer.status_code, answer.json()["code"]) == (413, "token-too-large")


async def test_without_a_key_sessions_are_503_and_bearers_go_on(
    cluster: Cluster, browser: httpx2.AsyncClient
) -> None:
    cluster.key = None
    answer = await browser.post(SESSION, json={"token": "good"})
    assert (answer.status_code, answer.json()["code"]) == (503, "no-session-key")
    assert answer.headers["Retry-After"]
    headers = {"Authorization": "Bearer good"}
    assert (await browser.get("/api/v1/platform", headers=headers)).status_code == 200


async def test_replicas_know_each_others_sessions(
    browser: httpx2.AsyncClient, services: Services
) -> None:
    told = await sign_in(browser)
    again = Services.create(services.settings, services.client, no_model_server, {})
    async with browser_of(again) as other:
        other.cookies = browser.cookies
        assert (await other.get(SESSION)).json() == told


async def test_a_session_that_ends_ends_a_watch_that_it_began(services: Services) -> None:
    now = int(time.time())
    assert (await identify(services, Credential("good", "", now + 60))).username == "ann"
    with pytest.raises(ProblemError) as raised:
        await identify(services, Credential("good", "", now - 1))
    assert raised.value.status == 401


async def begun(browser: httpx2.AsyncClient, idp: IdentityProvider, where: str = "/x") -> str:
    """The state of a sign-in that has been begun."""
    answer = await browser.get(f"{SESSION}/login", params={"next": where})
    assert answer.status_code == 303, answer.text
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    asked = {key: each[0] for key, each in query.items()}
    assert asked["redirect_uri"] == f"{PUBLIC}{SESSION}/callback"
    assert asked["code_challenge_method"] == "S256"
    idp.challenge = asked["code_challenge"]
    idp.claims = {"nonce": asked["nonce"], "aud": "aichat", "iss": ISSUER}
    return asked["state"]


async def back(browser: httpx2.AsyncClient, **query: str) -> httpx2.Response:
    return await browser.get(f"{SESSION}/callback", params=query)


async def test_the_provider_signs_in_whom_the_cluster_knows(
    cluster: Cluster, browser: httpx2.AsyncClient, idp: IdentityProvider
) -> None:
    state = await begun(browser, idp, "/console?a=b")
    cluster.tokens[jwt(idp.claims)] = "oidc:ann"
    answer = await back(browser, code="code", state=state, session_state="other")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console?a=b")
    assert list(browser.cookies) == ["aichat-session"]
    assert (await browser.get(SESSION)).json()["username"] == "oidc:ann"


@pytest.mark.parametrize("where", ["https://evil.test", "//evil.test", "/\\evil.test"])
async def test_a_sign_in_never_ends_on_another_site(
    browser: httpx2.AsyncClient, where: str
) -> None:
    answer = await browser.get(f"{SESSION}/login", params={"next": where})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "next"


async def test_a_sign_in_of_another_browser_or_with_another_state_is_refused(
    browser: httpx2.AsyncClient, idp: IdentityProvider, services: Services
) -> None:
    state = await begun(browser, idp)
    assert (await back(browser, code="code", state="other")).status_code == 401
    assert (await back(browser, code="code")).status_code == 401
    async with browser_of(services) as other:
        assert (await back(other, code="code", state=state)).status_code == 401


@pytest.mark.parametrize(
    ("claims", "told"),
    [({"nonce": "other"}, "nonce"), ({"aud": "other"}, "client"), ({"iss": "https://x"}, "issuer")],
)
async def test_a_token_made_for_another_sign_in_is_refused(
    cluster: Cluster,
    browser: httpx2.AsyncClient,
    idp: IdentityProvider,
    claims: dict[str, str],
    told: str,
) -> None:
    state = await begun(browser, idp)
    idp.claims.update(claims)
    cluster.tokens[jwt(idp.claims)] = "oidc:ann"
    answer = await back(browser, code="code", state=state)
    assert answer.status_code == 401
    assert told in answer.json()["detail"]
    assert "aichat-session" not in browser.cookies


async def test_a_token_that_the_cluster_does_not_take_says_what_to_set(
    browser: httpx2.AsyncClient, idp: IdentityProvider
) -> None:
    state = await begun(browser, idp)
    answer = await back(browser, code="code", state=state)
    assert answer.status_code == 401
    assert "--api-audiences" in answer.json()["detail"]


async def test_a_verifier_that_does_not_fit_or_a_provider_that_says_no_is_401(
    browser: httpx2.AsyncClient, idp: IdentityProvider
) -> None:
    for answer, status in (
        ({"code": "code"}, 401),
        ({"error": "access_denied"}, 401),
        ({"error": "server_error"}, 502),
    ):
        state = await begun(browser, idp)
        idp.challenge = "other"
        assert (await back(browser, **answer, state=state)).status_code == status
        assert not browser.cookies, "what was begun is over, however it ended"
        assert (await back(browser, code="code", state=state)).status_code == 401


async def test_what_the_network_says_of_the_provider_is_logged_and_told_to_nobody(
    browser: httpx2.AsyncClient, idp: IdentityProvider, capfd: pytest.CaptureFixture[str]
) -> None:
    state = await begun(browser, idp)
    idp.fails = httpx2.ConnectError("to 10.11.12.13:8443: refused")
    answer = await back(browser, code="code", state=state)
    assert (answer.status_code, answer.json()["code"]) == (502, "identity-provider")
    assert "10.11.12.13" not in answer.text
    assert "10.11.12.13" in "".join(capfd.readouterr())
    assert not browser.cookies


async def test_two_tabs_sign_in_beside_each_other(
    cluster: Cluster, browser: httpx2.AsyncClient, idp: IdentityProvider
) -> None:
    first = await begun(browser, idp, "/first")
    challenge, claims = idp.challenge, idp.claims
    await begun(browser, idp, "/second")
    idp.challenge, idp.claims = challenge, claims
    cluster.tokens[jwt(idp.claims)] = "oidc:ann"
    answer = await back(browser, code="code", state=first)
    assert (answer.status_code, answer.headers["location"]) == (303, "/first")


async def test_sign_ins_that_were_begun_and_left_do_not_pile_up(
    browser: httpx2.AsyncClient, idp: IdentityProvider
) -> None:
    for _ in range(20):
        await begun(browser, idp)
        assert len(browser.cookies) <= 5


async def test_junk_codes_ask_the_provider_only_so_often_and_keep_nobody_else_out(
    browser: httpx2.AsyncClient, idp: IdentityProvider, services: Services
) -> None:
    services.sign_in_limits.per_address.clock = services.sign_in_limits.overall.clock = lambda: 0.0
    state = await begun(browser, idp)
    kept = dict(browser.cookies)
    told = []
    for _ in range(200):
        browser.cookies.update(kept)
        told.append((await back(browser, code="junk", state=state)).status_code)
    assert (told[0], told[-1]) == (401, 429)
    assert idp.asked < 100
    assert (await browser.get(f"{SESSION}/login")).status_code == 429
    async with browser_of(services, "198.51.100.1") as other:
        assert (await other.get(f"{SESSION}/login")).status_code == 303


async def test_made_up_tokens_from_one_address_keep_no_other_out(services: Services) -> None:
    async def told(address: str, token: str) -> int:
        headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": address}
        return (await proxy.get("/api/v1/platform", headers=headers)).status_code

    services.authenticator.anonymous_limits.per_address.clock = lambda: 0.0
    services.authenticator.anonymous_limits.overall.clock = lambda: 0.0
    async with browser_of(services, PROXY) as proxy:
        flood = [await told("203.0.113.7", f"made-up-{n}") for n in range(600)]
        assert (flood[0], flood[-1]) == (401, 429)
        assert await told("198.51.100.1", "good") == 200


async def test_without_a_provider_its_routes_are_404(services: Services) -> None:
    async with browser_of(replace(services, provider=None)) as browser:
        for path in ("login", "callback"):
            answer = await browser.get(f"{SESSION}/{path}")
            assert (answer.status_code, answer.json()["code"]) == (404, "no-identity-provider")


async def test_no_token_is_written_to_the_log(
    cluster: Cluster,
    browser: httpx2.AsyncClient,
    idp: IdentityProvider,
    capfd: pytest.CaptureFixture[str],
) -> None:
    cluster.tokens["hushhush"] = "ann"
    await sign_in(browser, "hushhush")
    await browser.post(SESSION, json={"token": "hushhushbad"})
    state = await begun(browser, idp)
    await back(browser, code="code", state=state)
    logged = "".join(capfd.readouterr())
    assert "sign-in" in logged
    assert "hushhush" not in logged
    assert jwt(idp.claims) not in logged


async def test_openapi_tells_both_ways_to_come(browser: httpx2.AsyncClient) -> None:
    document = (await browser.get("/openapi.json")).json()
    assert set(document["components"]["securitySchemes"]) == {"HTTPBearer", "Session"}
    either: list[dict[str, list[str]]] = [{"HTTPBearer": []}, {"Session": []}]
    assert document["paths"][CHANGE]["post"]["security"] == either
    assert "security" not in document["paths"][SESSION]["post"]


async def test_answers_are_kept_by_no_shared_cache(browser: httpx2.AsyncClient) -> None:
    await sign_in(browser)
    assert (await browser.get(SESSION)).headers["cache-control"] == "no-store"
    answer = await browser.get("/api/v1/platform")
    assert answer.headers["cache-control"] == "private, no-cache"
