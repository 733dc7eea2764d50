"""The console in a real browser, with the API as a process and a real API server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from aichat_workspace.operator.records import session_key
from tests.browser import running_chromium
from tests.integration.api import console_samples
from tests.integration.api.served import TEAMS, Person, Served, grant, person, serving
from tests.integration.conftest import SYSTEM, Cluster, platform

NAME = "restart-chat"
TEAM = TEAMS[0]
PAGE = f"/workspaces/{NAME}?team={TEAM}"
MARK = "apps.aichatworkspaces.io/upgrades"
_PATIENCE_MILLISECONDS = 90_000
_S3 = {"endpoint": "https://s3.example.org", "bucket": "backups", "secretName": "store"}
_PLACES = {
    "destinations": [{"name": "offsite", "s3": _S3}],
    "passphraseSecretName": "passphrase",
}
_BACKUP: Final[dict[str, Any]] = {
    "name": "20261201T023000Z-0f3b9c2d",
    "sizeBytes": 46 * 2**20,
    "openWebUI": "0.6.5",
}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def context(chromium: Browser, api: Served) -> Iterator[BrowserContext]:
    with chromium.new_context(base_url=api.url) as context:
        context.set_default_timeout(_PATIENCE_MILLISECONDS)
        yield context


def sign_in(page: Page, caller: Person) -> None:
    page.goto("/login")
    page.locator("#token").fill(caller.token)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Workspaces")


def set_phase(cluster: Cluster, phase: str) -> None:
    cluster.kube.patch("aiws", NAME, TEAM, {"status": {"phase": phase}}, "status")


def test_a_page_is_live_again_after_the_api_restarts_without_a_reload_or_a_lost_change(
    chromium: Browser, cluster: Cluster, api_kubeconfig: Path, boss: Person, tmp_path: Path
) -> None:
    key = session_key.manifest()  # the operator's, so that sessions outlast the process
    is_ours = not cluster.kube.has("secret", key["metadata"]["name"], SYSTEM)
    if is_ours:
        cluster.apply(key)
    console_samples.put(cluster, console_samples.ready(NAME, models=["gemma2:2b"], team=TEAM))
    with (
        serving(api_kubeconfig, tmp_path) as served,
        chromium.new_context(base_url=served.url) as context,
    ):
        page = context.new_page()
        sign_in(page, boss)
        with page.expect_response(lambda response: ":watch" in response.url):
            page.goto(PAGE)
        badge, bar = page.locator("h1 .badge"), page.locator("#connection")
        expect(badge).to_have_text("Ready")
        page.locator("#prompt").fill("half a question")
        page.evaluate("window.isTheSame = true")

        served.kill()
        expect(bar).to_contain_text("No connection", timeout=_PATIENCE_MILLISECONDS)
        expect(badge).to_have_text("Ready")  # what was there stays
        set_phase(cluster, "Degraded")  # a change that no replica tells of
        served.start()

        expect(bar).to_be_hidden(timeout=_PATIENCE_MILLISECONDS)
        expect(badge).to_have_text("Needs you", timeout=_PATIENCE_MILLISECONDS)
        set_phase(cluster, "Ready")  # and the page follows again
        expect(badge).to_have_text("Ready", timeout=_PATIENCE_MILLISECONDS)
        expect(page.locator("#prompt")).to_have_value("half a question")
        assert page.evaluate("window.isTheSame") is True
    if is_ours:
        cluster.kube.delete("secret", key["metadata"]["name"], SYSTEM)


@pytest.mark.parametrize("has_script", [True, False])
def test_the_platform_team_pauses_and_resumes_upgrades(
    chromium: Browser, cluster: Cluster, api: Served, boss: Person, *, has_script: bool
) -> None:
    spec = {"upgrades": {"concurrent": 3}}
    cluster.apply(platform(spec))
    with chromium.new_context(base_url=api.url, java_script_enabled=has_script) as context:
        page = context.new_page()
        sign_in(page, boss)
        page.goto("/platform")
        for button, other, mark in (
            ("Pause upgrades", "Resume upgrades", "paused"),
            ("Resume upgrades", "Pause upgrades", None),
        ):
            page.get_by_role("button", name=button).click()
            expect(page.get_by_role("button", name=other)).to_be_visible()
            stored = json.loads(cluster.kubectl("get", "aichatplatform", "default", "-o", "json"))
            assert (stored["metadata"].get("annotations") or {}).get(MARK) == mark
            assert stored["spec"]["upgrades"]["concurrent"] == 3


def test_a_team_lead_sees_no_way_to_pause_upgrades(
    context: BrowserContext, cluster: Cluster
) -> None:
    lead = person(cluster, "lead-of-one", [grant("lead-of-one", "admin", TEAM)])
    page = context.new_page()
    sign_in(page, lead)
    page.goto("/platform")
    expect(page.locator("#upgrade")).to_contain_text("can pause")
    expect(page.get_by_role("button", name="Pause upgrades")).to_have_count(0)


@pytest.mark.parametrize("has_script", [True, False])
def test_a_backup_is_asked_for_and_restored_once_the_name_is_typed(
    chromium: Browser, cluster: Cluster, api: Served, boss: Person, *, has_script: bool
) -> None:
    name, backup = f"backed-up-{'by' if has_script else 'without'}-script", _BACKUP["name"]
    cluster.apply(platform({"backup": _PLACES}))
    sample = console_samples.ready(name, models=["gemma2:2b"], team=TEAM)
    sample["status"]["backup"] = {"state": "Done", "items": [_BACKUP]}
    console_samples.put(cluster, sample)
    with chromium.new_context(base_url=api.url, java_script_enabled=has_script) as context:
        page = context.new_page()
        page.set_default_timeout(_PATIENCE_MILLISECONDS)
        sign_in(page, boss)
        page.goto(f"/workspaces/{name}?team={TEAM}")
        card = page.locator("#backups")
        expect(card).to_contain_text(backup)
        expect(card).to_contain_text("46.0 MiB")
        card.get_by_role("button", name="Back up now").click()
        expect(card).to_contain_text("under way", timeout=_PATIENCE_MILLISECONDS)
        assert cluster.get("aiws", name, "-n", TEAM)["spec"]["backup"]["request"]

        card.get_by_role("link", name="Restore…").click()
        expect(page.locator("h1")).to_have_text(f"Restore a backup of {name}?")
        page.locator("#confirm").fill("another")
        page.get_by_role("button", name="Restore backup").click()
        expect(page.locator("#mismatch")).to_contain_text("That is not the name")
        page.locator("#confirm").fill(name)
        page.get_by_role("button", name="Restore backup").click()
        expect(page.locator("#backups")).to_be_visible()
        assert cluster.get("aiws", name, "-n", TEAM)["spec"]["restore"]["backup"] == backup


def test_the_list_is_sorted_on_a_phone_by_the_keyboard_and_without_script(
    chromium: Browser, cluster: Cluster, api: Served, boss: Person
) -> None:
    names = ["sorted-a", "sorted-b"]
    for name in names:
        console_samples.put(cluster, console_samples.ready(name, models=["gemma2:2b"], team=TEAM))
    with chromium.new_context(
        base_url=api.url, viewport={"width": 390, "height": 800}, java_script_enabled=False
    ) as context:
        page = context.new_page()
        page.set_default_timeout(_PATIENCE_MILLISECONDS)
        sign_in(page, boss)
        page.goto(f"/?team={TEAM}&q=sorted-")
        rows = page.locator(".rows tbody th > a[id^=open]")
        expect(rows).to_have_text(names)
        page.get_by_label("Order").focus()
        page.keyboard.type("By name, b")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(rows).to_have_text(names[::-1])
        page.set_viewport_size({"width": 1200, "height": 700})
        expect(page.get_by_label("Order")).to_be_hidden()  # the heads of the columns sort there
        page.locator("#q").fill("sorted")
        page.keyboard.press("Enter")
        page.wait_for_url("**q=sorted&**")
        expect(rows).to_have_text(names[::-1])
