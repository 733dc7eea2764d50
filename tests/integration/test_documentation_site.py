"""The built documentation site in a real browser: it loads nothing from elsewhere, and fits."""

import functools
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import httpx2
import pytest
from playwright.sync_api import Browser, Page, expect

from docsite.pages import prepare, write
from localcluster.ports import free_port
from tests.browser import running_chromium
from tests.documentation_site import build
from tests.integration.conftest import ROOT
from tests.waiting import eventually

PAGES: Final = ("index", "how-it-works", "reference")
DESKTOP: Final = {"width": 1280, "height": 900}
PHONE: Final = {"width": 390, "height": 844}


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the site of this work tree is served."""
    folder = tmp_path_factory.mktemp("documentation").resolve()
    write(prepare(ROOT), folder)
    built = build(folder)
    assert built.returncode == 0, built.stderr
    handler = functools.partial(_Handler, directory=folder / "site")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@pytest.mark.parametrize(("scheme", "size"), [("light", DESKTOP), ("dark", PHONE)])
def test_pages_load_nothing_from_elsewhere_and_fit_the_screen(
    chromium: Browser, address: str, scheme: str, size: dict[str, int]
) -> None:
    context = chromium.new_context(color_scheme=scheme, viewport=size)  # type: ignore[arg-type]
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda line: complaints.append(line.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: _note_elsewhere(request.url, address, complaints))
    for name in PAGES:
        page.goto(f"{address}{name}.html", wait_until="networkidle")
        assert _overflow(page) <= 0, f"{name} is wider than the screen"
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    context.close()
    assert complaints == []


def _note_elsewhere(url: str, address: str, complaints: list[str]) -> None:
    if not url.startswith((address, "data:", "blob:")):
        complaints.append(f"asks for {url}")


def _overflow(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


def test_make_docs_serves_the_site_on_loopback_and_ends_as_a_whole(tmp_path: Path) -> None:
    port = free_port()
    address = f"127.0.0.1:{port}"
    command = (sys.executable, "-m", "docsite", "serve", "--address", address)
    folder = ("--folder", str(tmp_path))  # not the work tree's, which `make docs` may be serving
    with subprocess.Popen((*command, *folder), cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        try:
            eventually(lambda: _title(address) == "Home - AIChat Workspace Operator", "the site")
        finally:
            process.terminate()
    assert process.returncode == 0
    assert _title(address) is None, "the server has ended, too"


def _title(address: str) -> str | None:
    """The first page's title; empty until it is built, None where nothing answers."""
    try:
        page = httpx2.get(f"http://{address}/").text
    except httpx2.TransportError:
        return None
    return "".join(re.findall(r"<title>(.*)</title>", page))


def test_a_reason_code_is_found_by_the_search(chromium: Browser, address: str) -> None:
    page = chromium.new_page()
    page.goto(address)
    page.get_by_role("button", name="Search").first.click()
    page.keyboard.type("AI0415")
    result = page.locator("a[href*='ai0415']").first
    expect(result).to_be_visible()
    result.click()
    expect(page).to_have_url(re.compile(r"/troubleshooting\.html\S*#ai0415-unschedulable$"))
    page.close()
