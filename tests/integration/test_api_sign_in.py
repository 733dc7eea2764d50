"""Ways in: tokens, browsers' sessions and an identity provider, all judged by a real API server."""

import base64
import json
import os
import re
import ssl
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import yaml

from tests.integration import oidc_provider
from tests.integration.api_process import ApiProcess, running_api
from tests.integration.conftest import SYSTEM, Cluster, workspace
from tests.integration.oidc_provider import Provider
from tests.integration.trust import TEAM, blocks, trust
from tests.waiting import eventually

AUDIENCE = "aichat-workspace-api"
SECRET = "aichat-workspace-api-session"
SESSION = "/api/v1/session"
WORKSPACES = "/api/v1/workspaces"
ME = "/api/v1/me"
REVOKED_WITHIN_SECONDS = 30.0  # ten of ours, ten of the API server's, and two busy cores


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with oidc_provider.serving(tmp_path_factory.mktemp("provider")) as running_provider:
        yield running_provider


@pytest.fixture(scope="module")
def team(cluster: Cluster, operator: Path) -> str:
    assert operator.exists()
    cluster.apply(TEAM)
    resource = workspace("seen")
    resource["metadata"]["namespace"] = "team-a"
    cluster.apply(resource)
    return "team-a"


@pytest.fixture(scope="module")
def sign_in_api(
    cluster: Cluster,
    team: str,
    provider: Provider,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ApiProcess]:
    assert team
    eventually(lambda: f"secret/{SECRET}" in cluster.names("secrets", SYSTEM), "the key is made")
    with running_api(
        cluster,
        tmp_path_factory.mktemp("api"),
        OIDC_ISSUER=provider.issuer,
        OIDC_CLIENT_ID=oidc_provider.CLIENT_ID,
        OIDC_CA_FILE=str(provider.ca_file),
    ) as api:
        yield api


@pytest.fixture
def browser(sign_in_api: ApiProcess) -> Iterator[httpx2.Client]:
    with sign_in_api.browser() as client:
        yield client


@pytest.fixture
def account(cluster: Cluster, team: str) -> Iterator[str]:
    """A service account that may edit the team's workspaces."""
    name = f"person-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "serviceaccount", name, "-n", team)
    cluster.kubectl(
        *("create", "rolebinding", name, "-n", team, "--clusterrole=aichatworkspace-editor"),
        f"--serviceaccount={team}:{name}",
    )
    may_list(cluster, f"--as=system:serviceaccount:{team}:{name}")
    yield name
    cluster.kubectl("delete", "serviceaccount", name, "-n", team, "--ignore-not-found")


def may_list(cluster: Cluster, *who: str) -> None:
    """A role holds after a moment, and that it does not shows in lists for half a minute."""
    asks = ("auth", "can-i", "list", "aiws", "-n", "team-a", *who)
    eventually(lambda: cluster.kubectl(*asks, check=False).startswith("yes"), "the role holds")


def token_of(cluster: Cluster, account: str, *arguments: str, audience: str = AUDIENCE) -> str:
    command = ("create", "token", account, "-n", "team-a", f"--audience={audience}")
    return cluster.kubectl(*command, *arguments).strip()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def refused_after(browser: httpx2.Client, headers: dict[str, str]) -> float:
    """Seconds until the caller's token is refused."""
    began = time.monotonic()
    eventually(lambda: browser.get(ME, headers=headers).status_code == 401, "it is refused", 60)
    return time.monotonic() - began


def sign_in(browser: httpx2.Client, token: str) -> str:
    """The session's CSRF token."""
    answer = browser.post(SESSION, json={"token": token})
    assert answer.status_code == 200, answer.text
    csrf: str = answer.json()["csrfToken"]
    return csrf


def change(browser: httpx2.Client, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return browser.patch(
        f"{WORKSPACES}/seen", json={"spec": {"patterns": ["translate"]}}, headers=named
    )


def test_a_person_with_a_kubeconfig_signs_in_lists_changes_and_signs_out(
    cluster: Cluster, browser: httpx2.Client, account: str
) -> None:
    csrf = sign_in(browser, token_of(cluster, account))
    assert browser.get(SESSION).json()["username"] == f"system:serviceaccount:team-a:{account}"
    assert [item["name"] for item in browser.get(WORKSPACES).json()["items"]] == ["seen"]
    refused = change(browser)
    assert (refused.status_code, refused.json()["code"]) == (403, "csrf-token")
    refused = change(browser, X_CSRF_Token=csrf, Sec_Fetch_Site="same-site")
    assert (refused.status_code, refused.json()["code"]) == (403, "cross-site")
    assert change(browser, X_CSRF_Token=csrf, Sec_Fetch_Site="same-origin").status_code in (
        200,
        202,
    )
    assert browser.delete(SESSION).status_code == 204
    assert browser.get(WORKSPACES).status_code == 401
    assert change(browser, X_CSRF_Token=csrf).status_code == 401


def test_a_watch_goes_on_with_the_session_that_began_it(
    cluster: Cluster, browser: httpx2.Client, account: str
) -> None:
    sign_in(browser, token_of(cluster, account))
    seen, edited = b"", False
    with browser.stream("GET", f"{WORKSPACES}:watch") as stream:
        for piece in stream.iter_raw():
            seen += piece
            if b"event: synced" in seen and not edited:
                edit = '-p={"spec":{"workspaceENV":"prod"}}'
                cluster.kubectl("-n", "team-a", "patch", "aiws", "seen", "--type=merge", edit)
                edited = True
            if b"event: MODIFIED" in seen or b"event: end" in seen:
                break
    assert b"event: end" not in seen


def test_the_csrf_token_of_another_session_is_refused(
    cluster: Cluster, sign_in_api: ApiProcess, browser: httpx2.Client, account: str
) -> None:
    sign_in(browser, token_of(cluster, account))
    with sign_in_api.browser() as other:
        theirs = sign_in(other, token_of(cluster, account))
    assert change(browser, X_CSRF_Token=theirs).json()["code"] == "csrf-token"


def test_a_cookie_that_was_changed_is_refused(
    cluster: Cluster, browser: httpx2.Client, account: str
) -> None:
    sign_in(browser, token_of(cluster, account))
    (name,) = browser.cookies
    value = browser.cookies[name]
    browser.cookies.clear()
    forged = value.replace(".", ".A", 1)
    assert browser.get(ME, headers={"Cookie": f"{name}={forged}"}).status_code == 401
    assert browser.get(ME, headers={"Cookie": f"{name}={value}"}).status_code == 200


def test_a_token_for_another_audience_is_refused(
    cluster: Cluster, browser: httpx2.Client, account: str
) -> None:
    token = token_of(cluster, account, audience="somebody-else")
    assert browser.get(ME, headers=bearer(token)).status_code == 401
    assert browser.post(SESSION, json={"token": token}).status_code == 401


def test_a_token_is_refused_soon_after_its_account_is_deleted_and_so_is_its_session(
    cluster: Cluster, sign_in_api: ApiProcess, browser: httpx2.Client, account: str
) -> None:
    token = token_of(cluster, account)
    sign_in(browser, token)
    cluster.kubectl("delete", "serviceaccount", account, "-n", "team-a")
    with sign_in_api.browser() as replayed:
        assert refused_after(replayed, bearer(token)) < REVOKED_WITHIN_SECONDS
    assert browser.get(WORKSPACES).status_code == 401
    assert browser.post(SESSION, json={"token": token}).status_code == 401
    assert browser.delete(SESSION).status_code == 204


def test_a_token_is_refused_soon_after_the_object_that_it_is_tied_to_is_deleted(
    cluster: Cluster, browser: httpx2.Client, account: str
) -> None:
    cluster.kubectl("create", "secret", "generic", "laptop", "-n", "team-a")
    tied = ("--bound-object-kind=Secret", "--bound-object-name=laptop")
    headers = bearer(token_of(cluster, account, *tied))
    assert browser.get(ME, headers=headers).status_code == 200
    cluster.kubectl("delete", "secret", "laptop", "-n", "team-a")
    assert refused_after(browser, headers) < REVOKED_WITHIN_SECONDS


def test_the_kubeconfigs_own_token_is_accepted(cluster: Cluster, browser: httpx2.Client) -> None:
    token = yaml.safe_load(cluster.kubeconfig.read_text())["users"][0]["user"]["token"]
    assert browser.get("/api/v1/me", headers=bearer(token)).json()["username"] == "admin"


def test_service_accounts_tokens_keep_the_issuer_as_their_first_audience(
    cluster: Cluster, account: str
) -> None:
    token = cluster.kubectl("create", "token", account, "-n", "team-a").strip()
    body = token.split(".")[1]
    audiences = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["aud"]
    assert audiences == ["https://kubernetes.default.svc.cluster.local", AUDIENCE]
    assert account in cluster.kubectl("auth", "whoami", f"--token={token}")


@pytest.fixture(scope="module")
def trusted(cluster: Cluster, provider: Provider, sign_in_api: ApiProcess) -> Provider:
    """The provider, once the API server trusts it by the page's own configuration."""
    trust(cluster, provider, sign_in_api)
    return provider


def through(browser: httpx2.Client, provider: Provider, **query: str) -> str:
    """Where the provider sends the browser back to."""
    to = browser.get(f"{SESSION}/login", params=query)
    assert to.status_code == 303, to.text
    trust = ssl.create_default_context(cafile=str(provider.ca_file))
    back = httpx2.get(to.headers["location"], verify=trust, trust_env=False)
    assert back.status_code == 302
    where: str = back.headers["location"]
    return where


def test_a_person_of_the_identity_provider_signs_in_lists_and_signs_out(
    cluster: Cluster, browser: httpx2.Client, trusted: Provider
) -> None:
    cluster.kubectl(
        *(
            "create",
            "rolebinding",
            "people",
            "-n",
            "team-a",
            "--clusterrole=aichatworkspace-editor",
        ),
        "--group=oidc:chatters",
    )
    may_list(cluster, "--as=oidc:ann", "--as-group=oidc:chatters")
    done = browser.get(through(browser, trusted, next="/console"))
    assert done.status_code == 303, done.text
    assert done.headers["location"] == "/console"
    session = browser.get(SESSION).json()
    assert session["username"] == "oidc:ann"
    assert [item["name"] for item in browser.get(WORKSPACES).json()["items"]] == ["seen"]
    assert change(browser).json()["code"] == "csrf-token"
    assert change(browser, X_CSRF_Token=session["csrfToken"]).status_code in (200, 202)
    assert browser.delete(SESSION).status_code == 204
    assert browser.get(WORKSPACES).status_code == 401


def test_a_person_signs_in_from_the_command_line_by_the_code_of_a_device(
    sign_in_api: ApiProcess, trusted: Provider, tmp_path: Path
) -> None:
    """The provider asks to slow down once, and the token is renewed before it ends."""
    environment = {
        **os.environ,
        "AICHAT_CONFIG": str(tmp_path / "config.yaml"),
        "AICHAT_SERVER": "",
        "AICHAT_TOKEN": "",
        "NO_PROXY": "127.0.0.1",
    }

    def run(*arguments: str) -> str:
        return subprocess.run(
            ["aichatctl", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout

    trusted.device_answers = ["authorization_pending", "slow_down"]
    trusted.seconds = 50
    try:
        output = run(
            "login", sign_in_api.url, "--device", "--yes", "--ca-file", str(trusted.ca_file)
        )
        assert "you are oidc:ann" in output
        before = trusted.renewals
        assert run("list", "-o", "name") == "seen\n"
        assert trusted.renewals == before + 1
    finally:
        trusted.seconds = 3600
    run("logout")
    files = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert [name for name in files if not name.endswith(".lock")] == ["config.yaml"]


def test_a_way_back_works_once_and_in_the_browser_that_began_it(
    sign_in_api: ApiProcess, browser: httpx2.Client, trusted: Provider
) -> None:
    where = through(browser, trusted)
    with sign_in_api.browser() as thief:
        assert thief.get(where).status_code == 401
        through(thief, trusted)  # an attempt of their own does not help
        assert thief.get(where).status_code == 401
    assert browser.get(where).status_code == 303
    assert browser.get(where).status_code == 401


@pytest.mark.parametrize(
    "claims", [{"aud": "somebody-else"}, {"iss": "https://127.0.0.1:1"}, {"exp": 1_000_000_000}]
)
def test_a_providers_token_for_somebody_else_or_too_old_is_refused(
    browser: httpx2.Client, trusted: Provider, claims: dict[str, object]
) -> None:
    token = trusted.token(**claims)
    assert browser.get(ME, headers=bearer(token)).status_code == 401


def test_a_session_ends_with_its_token(browser: httpx2.Client, trusted: Provider) -> None:
    began = time.monotonic()
    token = trusted.token(exp=int(time.time()) + 5)
    sign_in(browser, token)
    assert refused_after(browser, bearer(token)) + began - time.monotonic() < 0
    assert time.monotonic() - began < 5 + REVOKED_WITHIN_SECONDS


def test_the_commands_of_the_page_work(cluster: Cluster, sign_in_api: ApiProcess) -> None:
    environment = {"API": sign_in_api.url, "KUBECONFIG": str(cluster.kubeconfig)}
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(blocks("sh"))],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "system:serviceaccount:team-a:ann" in ran.stdout
    assert "workspace-not-found" in ran.stdout


def test_the_pages_flags_are_the_api_servers(cluster: Cluster) -> None:
    record = json.loads((cluster.kubeconfig.parent / "cluster.json").read_text())
    (pid,) = (
        component["pid"]
        for component in record["components"]
        if component["name"] == "kube-apiserver"
    )
    running = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    process = subprocess.run([running[0], "--help"], capture_output=True, text=True, check=True)
    flags = re.findall(r"^(--[a-z-]+)=(\S+)", "\n".join(blocks("text")), re.MULTILINE)
    assert flags
    assert not {flag for flag, _ in flags if f"{flag} " not in process.stdout}
    assert f"--api-audiences={dict(flags)['--api-audiences']}" in running


def test_no_token_is_in_the_log(sign_in_api: ApiProcess) -> None:
    log = sign_in_api.log.read_text()
    assert "sign_in" in log
    assert "eyJ" not in log  # how every JSON Web Token begins


def test_a_deleted_session_key_is_created_again_by_the_operator(
    cluster: Cluster, sign_in_api: ApiProcess
) -> None:
    """The last test here: it ends every session, and every sign-in that is under way."""
    assert sign_in_api.url
    before = cluster.get("secret", SECRET, "-n", SYSTEM)["data"]["key"]
    cluster.kubectl("delete", "secret", SECRET, "-n", SYSTEM)
    eventually(
        lambda: f"secret/{SECRET}" in cluster.names("secrets", SYSTEM), "it is created again"
    )
    assert cluster.get("secret", SECRET, "-n", SYSTEM)["data"]["key"] != before
