"""Debian's Chromium, without a window."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright


@contextmanager
def running_chromium(*arguments: str) -> Iterator[Browser]:
    """Run a browser, and close it at the end; `arguments` are further ones of its command line."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", *arguments]
        )
        try:
            yield browser
        finally:
            browser.close()
