"""Pictures of each page of the console, light and dark: the pages of the documentation, from a real
API server and the API as a process.

`make console-pictures` writes them into docs/images; a test run writes them into its own folder.
"""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.browser import running_chromium
from tests.integration.api import console_samples
from tests.integration.api.console_samples import TEAM
from tests.integration.api.served import Person, Served, grant, person
from tests.integration.conftest import Cluster, platform
from tests.waiting import eventually

Scheme = Literal["light", "dark"]
SCHEMES: Final[tuple[Scheme, ...]] = ("light", "dark")
PAGES: Final = {
    "login": "/login",
    "list": "/",
    "new": f"/new?name=blue-chat&team={TEAM}&model=gemma2:2b",
    "workspace": "/workspaces/sales-chat?team=sales",
    "settings": "/workspaces/sales-chat/settings?team=sales&raise=storage.ollama.size",
    "team": f"/teams/{TEAM}",
    "models": "/models?memory=8Gi&storage=20Gi",
    "platform": "/platform",
}
_WIDE: Final[ViewportSize] = {"width": 1180, "height": 760}
_PHONE: Final[ViewportSize] = {"width": 390, "height": 844}
_MAX_HEIGHT: Final = 1500
"""Pixels of a picture: a longer page is cut below."""
_DOCS: Final = "CONSOLE_PICTURES"


@pytest.fixture(scope="module")
def ann(cluster: Cluster, api: Served) -> Person:
    """The platform's administrator, with workspaces in four states and a team to see."""
    assert api.is_ready()
    console_samples.fill(cluster)
    cluster.apply(platform({"backup": console_samples.BACKUP}))
    administrator = person(cluster, "ann", [grant("ann", "cluster-admin")])
    with api.client(administrator.token) as client:
        for name, role in (("bo@example.org", "admin"), ("cleo@example.org", "viewer")):
            member = {"kind": "User", "name": name, "role": role}
            invited = client.post(f"/api/v1/teams/{TEAM}/members", json=member)
            assert invited.status_code in (200, 201), invited.text
        eventually(
            lambda: len(client.get("/api/v1/workspaces").json()["items"]) >= 4,
            "the API has seen all",
        )
    return administrator


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_page_is_drawn_from_a_real_api_server(
    chromium: Browser, api: Served, ann: Person, tmp_path: Path, scheme: Scheme
) -> None:
    folder = Path(os.environ.get(_DOCS) or tmp_path)
    with chromium.new_context(base_url=api.url, color_scheme=scheme, viewport=_WIDE) as context:
        page, complaints = context.new_page(), list[str]()
        page.on("console", lambda line: complaints.append(line.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(PAGES["login"])
        pictures = [_draw(page, folder / f"console-login-{scheme}.png")]
        page.locator("#token").fill(ann.token)
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_have_text("Workspaces")
        for name, path in PAGES.items():
            if name != "login":
                page.goto(path)
                pictures.append(_draw(page, folder / f"console-{name}-{scheme}.png"))
        page.set_viewport_size(_PHONE)
        page.goto("/")
        pictures.append(_draw(page, folder / f"console-list-{scheme}-phone.png"))
    assert complaints == []
    assert len({*pictures}) == len(PAGES) + 1, "each is another one"
    assert all(_size(picture)[1] >= _WIDE["height"] for picture in pictures)


def _draw(page: Page, file: Path) -> bytes:
    """Draw the page once its forms are checked and its first answers are there."""
    page.wait_for_load_state("load")
    if page.locator("#checked").count():
        expect(page.locator("#checked")).not_to_be_empty()
    height = min(page.evaluate("document.documentElement.scrollHeight"), _MAX_HEIGHT)
    width = page.evaluate("document.documentElement.clientWidth")
    whole = {"x": 0.0, "y": 0.0, "width": float(width), "height": float(height)}
    return page.screenshot(path=file, animations="disabled", full_page=True, clip=whole)  # type: ignore[arg-type]


def _size(picture: bytes) -> tuple[int, int]:
    """Return the width and height of a PNG (ISO 15948, its first chunk)."""
    assert picture.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", picture[16:24])
    return width, height
