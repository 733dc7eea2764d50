"""People sign in to the API by a product of others: Dex, in a browser and from the command line."""

import os
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Page

from localcluster.ports import free_port
from tests import dex
from tests.browser import running_chromium
from tests.dex import Dex, Person
from tests.integration.api_process import ApiProcess, running_api
from tests.integration.conftest import Cluster, workspace
from tests.integration.trust import TEAM, trust
from tests.waiting import eventually

NAMESPACE: Final = "team-of-dex"
SESSION: Final = "/api/v1/session"
# Below the minute before a token's end in which the command line renews it.
TOKEN_SECONDS: Final = 20
_PATIENCE_MILLISECONDS: Final = 90_000
ASK: Final = f'async () => (await fetch("{SESSION}")).json()'
LIST: Final = 'async () => (await fetch("/api/v1/workspaces")).json()'


@pytest.fixture(scope="module")
def team(cluster: Cluster, operator: Path) -> None:
    """A team with one workspace, whose editors are a group of Dex."""
    assert operator.exists()
    cluster.apply({**TEAM, "metadata": {**TEAM["metadata"], "name": NAMESPACE}})
    resource = workspace("known")
    resource["metadata"]["namespace"] = NAMESPACE
    cluster.apply(resource)
    cluster.kubectl(
        *("create", "rolebinding", "people", "-n", NAMESPACE),
        *("--clusterrole=aichatworkspace-editor", "--group=oidc:chatters"),
    )


@pytest.fixture(scope="module")
def running(
    cluster: Cluster, team: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ApiProcess, Dex]]:
    """The API with Dex, which the API server trusts."""
    assert team is None
    folder = tmp_path_factory.mktemp("dex")
    people = (Person("ann", ("chatters", "others")), Person("eve", ("others",)))
    port = free_port()
    callback = f"http://127.0.0.1:{port}{SESSION}/callback"
    with (
        dex.serving(folder, people, [callback], id_token_seconds=TOKEN_SECONDS) as provider,
        running_api(
            cluster,
            tmp_path_factory.mktemp("api"),
            API_PORT=str(port),
            OIDC_ISSUER=provider.issuer,
            OIDC_CLIENT_ID=dex.CLIENT_ID,
            OIDC_CLI_CLIENT_ID=dex.COMMAND_LINE,
            OIDC_SCOPE="openid email profile groups",
            OIDC_CA_FILE=str(provider.ca_file),
        ) as api,
    ):
        trust(cluster, provider, api, dex.COMMAND_LINE)
        yield api, provider


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_chromium() as chromium:
        yield chromium


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    # The pages here are the API's answers, whose policy lets a script reach nothing.
    with browser.new_context(ignore_https_errors=True, bypass_csp=True) as context:
        page = context.new_page()
        page.set_default_timeout(_PATIENCE_MILLISECONDS)
        yield page


def sign_in(page: Page, api: ApiProcess, provider: Dex, name: str) -> Any:
    """Sign a person in, from the API to Dex and back; the session."""
    page.goto(f"{api.url}{SESSION}/login?next={SESSION}")
    provider.fill_in(page, name)
    page.wait_for_url(f"{api.url}{SESSION}")
    return page.evaluate(ASK)


@pytest.mark.slow
def test_a_person_signs_in_in_a_browser_and_stays_for_longer_than_a_token(
    page: Page, running: tuple[ApiProcess, Dex]
) -> None:
    api, provider = running
    session = sign_in(page, api, provider, "ann")
    assert session["username"].startswith("oidc:")
    assert [item["name"] for item in page.evaluate(LIST)["items"]] == ["known"]
    cookies = page.context.cookies()

    def renewed() -> bool:
        assert page.evaluate(ASK)["csrfToken"] == session["csrfToken"]
        return page.context.cookies() != cookies

    eventually(renewed, "the session to have a new token of Dex", TOKEN_SECONDS * 3)
    assert [item["name"] for item in page.evaluate(LIST)["items"]] == ["known"]


def test_a_person_of_another_group_signs_in_and_sees_nothing(
    page: Page, running: tuple[ApiProcess, Dex]
) -> None:
    api, provider = running
    assert sign_in(page, api, provider, "eve")["username"].startswith("oidc:")
    assert page.evaluate(LIST)["items"] == []


@pytest.mark.parametrize(
    ("way", "address"), [("--browser", r"which opens: (\S+)"), ("--device", r"or open (\S+)")]
)
def test_a_person_signs_in_from_the_command_line(
    page: Page, running: tuple[ApiProcess, Dex], tmp_path: Path, way: str, address: str
) -> None:
    api, provider = running
    environment = {
        **os.environ,
        "AICHAT_CONFIG": str(tmp_path / "config.yaml"),
        "AICHAT_SERVER": "",
        "AICHAT_TOKEN": "",
        "BROWSER": "true %s",
        "NO_PROXY": "127.0.0.1",
    }
    with subprocess.Popen(
        ["aichatctl", "login", api.url, way, "--yes", "--ca-file", str(provider.ca_file)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as login:
        assert login.stdout is not None
        page.goto(_address(login.stdout, address))
        if way == "--device":
            page.locator("#submit-login").click()
        provider.fill_in(page, "ann")
        output = login.stdout.read()
    assert login.returncode == 0, output
    (teams,) = [line for line in output.splitlines() if line.startswith("teams: ")]
    assert NAMESPACE in teams
    stored = _files(tmp_path)
    listed = subprocess.run(
        ["aichatctl", "list", "-o", "name"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert listed.stdout == "known\n", listed.stderr
    assert _files(tmp_path) != stored, "Dex has given a new token, and a new refresh token"


def _address(lines: Iterable[str], pattern: str) -> str:
    """The address of the first line that names one."""
    seen = []
    for line in lines:
        seen.append(line)
        if match := re.search(pattern, line):
            return match[1]
    raise AssertionError("".join(seen))


def _files(folder: Path) -> dict[str, str]:
    """What is stored of the sign-in."""
    return {path.name: path.read_text() for path in folder.rglob("*") if path.is_file()}
