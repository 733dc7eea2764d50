"""A browser stays signed in for ten lives of its tokens, at two replicas of which one is restarted.

The provider's refresh tokens are good for one use. A life is some seconds here; with another one:
TOKEN_SECONDS=60 pytest --timeout 1200 tests/integration/test_api_sessions_last.py
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.browser import running_chromium
from tests.integration import front_proxy, oidc_provider
from tests.integration.api_process import ApiProcess, running_api
from tests.integration.conftest import SYSTEM, Cluster, workspace
from tests.integration.front_proxy import FrontProxy
from tests.integration.oidc_provider import Provider
from tests.integration.trust import TEAM, trust
from tests.waiting import eventually, let_pass

TOKEN_SECONDS = int(os.environ.get("TOKEN_SECONDS", "6"))
LIVES = 10
SECRET = "secret/aichat-workspace-api-session"
SESSION = "/api/v1/session"
# Two tabs of a page that asks all the time, and one of them watches.
POLL = """
(seconds) => {
  window.answers = [];
  window.polling = window.setInterval(async () => {
    try {
      const answer = await fetch("/api/v1/session");
      const session = await answer.json();
      window.answers.push([answer.status, session.username ?? session.code, session.csrfToken]);
    } catch (error) {
      window.answers.push([0, String(error)]);
    }
  }, seconds * 1000);
}
"""
WATCH = """
() => {
  window.watched = {open: 0, synced: 0, ended: [], changes: 0, broken: 0};
  const source = new EventSource("/api/v1/workspaces:watch");
  source.onopen = () => window.watched.open++;
  source.onerror = () => window.watched.broken++;
  source.addEventListener("synced", () => window.watched.synced++);
  source.addEventListener("MODIFIED", () => window.watched.changes++);
  source.addEventListener("end", (event) => window.watched.ended.push(event.data));
}
"""
ASK = """
async () => {
  const ask = async () => ({code: "none", ...await (await fetch("/api/v1/session")).json()});
  return [await ask(), await ask(), await ask(), await ask()];
}
"""
LOG_OUT = """
() => {
  const form = document.createElement("form");
  form.method = "post";
  form.action = "/api/v1/session/logout";
  document.body.append(form);
  form.submit();
}
"""


class Replicas:
    """Two API processes behind a proxy."""

    def __init__(
        self, cluster: Cluster, provider: Provider, proxy: FrontProxy, folder: Path
    ) -> None:
        self.proxy = proxy
        self._cluster, self._folder = cluster, folder
        self._environment = {
            "OIDC_ISSUER": provider.issuer,
            "OIDC_CLIENT_ID": oidc_provider.CLIENT_ID,
            "OIDC_CA_FILE": str(provider.ca_file),
            "PUBLIC_URL": proxy.url,
        }
        self._stacks = {name: ExitStack() for name in ("one", "two")}
        self.apis: dict[str, ApiProcess] = {}

    def start(self, name: str) -> None:
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        api = running_api(self._cluster, folder, **self._environment)
        self.apis[name] = self._stacks[name].enter_context(api)
        self._balance()

    def stop(self, name: str) -> None:
        api = self.apis.pop(name)
        self._balance()
        self._stacks[name].close()
        assert "eyJ" not in api.log.read_text(), "how every JSON Web Token begins"

    def _balance(self) -> None:
        self.proxy.ports = tuple(int(api.url.rpartition(":")[2]) for api in self.apis.values())


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with oidc_provider.serving(tmp_path_factory.mktemp("provider")) as running_provider:
        yield running_provider


@pytest.fixture(scope="module")
def replicas(
    cluster: Cluster,
    operator: Path,
    provider: Provider,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Replicas]:
    assert operator.exists()
    cluster.apply(TEAM)
    resource = workspace("lasting")
    resource["metadata"]["namespace"] = "team-a"
    cluster.apply(resource)
    grant = ("rolebinding", "lasting", "-n", "team-a")
    cluster.kubectl("create", *grant, "--clusterrole=aichatworkspace-editor", "--user=oidc:ann")
    eventually(lambda: SECRET in cluster.names("secrets", SYSTEM), "the key is made")
    with front_proxy.serving() as proxy:
        running = Replicas(cluster, provider, proxy, tmp_path_factory.mktemp("apis"))
        try:
            for name in ("one", "two"):
                running.start(name)
                trust(cluster, provider, running.apis[name])
            yield running
        finally:
            for name in [*running.apis]:
                running.stop(name)
            cluster.kubectl("delete", *grant)


@contextmanager
def chromium() -> Iterator[BrowserContext]:
    with running_chromium() as browser:
        # The pages here are the API's answers, whose policy lets a script reach nothing.
        yield browser.new_context(ignore_https_errors=True, bypass_csp=True)


def touch(cluster: Cluster, value: str) -> None:
    patch = f'-p={{"spec":{{"workspaceENV":"{value}"}}}}'
    cluster.kubectl("-n", "team-a", "patch", "aiws", "lasting", "--type=merge", patch)


def watched(page: Page) -> Any:
    return page.evaluate("window.watched")


@pytest.mark.slow
@pytest.mark.timeout(int(300 + 2 * LIVES * TOKEN_SECONDS))
def test_a_browser_stays_signed_in_for_ten_lives_of_its_tokens_and_over_a_restart(
    cluster: Cluster, provider: Provider, replicas: Replicas
) -> None:
    provider.seconds = TOKEN_SECONDS
    with chromium() as context:
        tabs = [context.new_page(), context.new_page()]
        tabs[0].goto(f"{replicas.proxy.url}{SESSION}/login?next={SESSION}")
        tabs[1].goto(f"{replicas.proxy.url}{SESSION}")
        assert tabs[0].url == tabs[1].url == f"{replicas.proxy.url}{SESSION}"
        for tab in tabs:
            tab.evaluate(POLL, TOKEN_SECONDS / 12)
        tabs[0].evaluate(WATCH)
        half = LIVES * TOKEN_SECONDS / 2
        let_pass(half, "five lives of a token end")
        touch(cluster, "prod")
        eventually(lambda: watched(tabs[0])["changes"] > 0, "the watch that began with the first")
        before = watched(tabs[0])
        assert (before["open"], before["broken"], before["ended"]) == (1, 0, [])
        replicas.stop("one")
        let_pass(TOKEN_SECONDS, "a life of a token with one replica")
        replicas.start("one")
        let_pass(half - TOKEN_SECONDS, "four lives of a token with both again")
        changes = watched(tabs[0])["changes"]
        touch(cluster, "dev")
        eventually(lambda: watched(tabs[0])["changes"] > changes, "the watch goes on")
        answers = [answer for tab in tabs for answer in tab.evaluate("window.answers")]
        assert {tuple(answer) for answer in answers} == {(200, "oidc:ann", answers[0][2])}
        assert len(answers) > LIVES * 10
        assert (provider.reused, len(provider.good)) == (0, 1)
        assert provider.renewals >= LIVES
        for tab in tabs:
            tab.evaluate("window.clearInterval(window.polling)")
        sign_out(tabs[0], provider, replicas)


def sign_out(page: Page, provider: Provider, replicas: Replicas) -> None:
    """Sign out by the page's form: here, at the provider, and for good."""
    cookies = page.context.cookies()
    page.evaluate(LOG_OUT)
    # The console is at `/`, and needs a session.
    page.wait_for_url(f"{replicas.proxy.url}/login?next=%2F")
    (query,) = provider.ended
    assert query["id_token_hint"].startswith("eyJ")
    assert not page.context.cookies()
    assert not provider.good, "the refresh token is revoked"
    page.context.add_cookies(cookies)  # type: ignore[arg-type]  # a copy of them
    eventually(
        lambda: {problem["code"] for problem in page.evaluate(ASK)} == {"session-ended"},
        "at both replicas a copy of the session ends with its token",
        seconds=TOKEN_SECONDS + 15,
    )
    for problem in page.evaluate(ASK):
        assert problem["login"].startswith(f"{SESSION}/login?next=/")
