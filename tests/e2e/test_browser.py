"""What a person does: open the address in a browser, sign in, ask, read the reply."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.e2e.conftest import DOMAIN, REPLY, TENANT, Node, credentials

pytestmark = pytest.mark.usefixtures("chat")
_PATIENCE_MILLISECONDS = 90_000
_MODEL = "gemma2:2b"  # before its name is shown nothing is sent


def test_a_person_signs_in_and_chats_in_a_browser(node: Node, tmp_path: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", f"--host-resolver-rules=MAP *.{DOMAIN} 127.0.0.1"],
        )
        page = browser.new_context(ignore_https_errors=True).new_page()
        page.set_default_timeout(_PATIENCE_MILLISECONDS)
        expect.set_options(timeout=_PATIENCE_MILLISECONDS)
        try:
            _sign_in(page, *credentials(node, TENANT))
            _ask(page, "Good morning")
        finally:
            page.screenshot(path=tmp_path / "chat.png")
            print(f"the page as it was: {tmp_path / 'chat.png'}")
            browser.close()


def _sign_in(page: Page, email: str, password: str) -> None:
    page.goto(f"https://{TENANT}.{DOMAIN}/")
    page.locator("input[type=email]").fill(email)
    page.locator("input[type=password]").fill(password)
    page.keyboard.press("Enter")
    page.get_by_text("Okay, Let's Go!").click()  # closes what is new in this version


def _ask(page: Page, prompt: str) -> None:
    expect(page.get_by_text(_MODEL).filter(visible=True).first).to_be_visible()
    page.locator("#chat-input").click()
    page.keyboard.type(prompt)
    page.keyboard.press("Enter")
    expect(page.locator(".chat-assistant").first).to_contain_text(REPLY)
