"""The console in the real application."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from tests.fakes.console import TEAM, ConsoleWorld, make_world, namespace
from tests.fakes.listing import take_list
from tests.unit.api.samples import resource
from tests.unit.console.markup import Markup, parse

NAME = "red-chat"
PATH = f"/workspaces/{NAME}"
QUERY = f"?team={TEAM}"


@dataclass
class Browser:
    """A browser without scripts: it keeps cookies, and sends forms as they are on the page."""

    http: httpx2.AsyncClient

    async def open(self, path: str, status: int = 200) -> Markup:
        response = await self.http.get(path, headers={"Accept": "text/html"})
        assert response.status_code == status, response.text
        return parse(response)

    async def sign_in(self, **fields: str) -> httpx2.Response:
        data = {"token": "good", "next": "/", **fields}
        return await self.http.post("/login", data=data)

    async def submit(self, page: Markup, action: str, **fields: Any) -> httpx2.Response:
        """Send the page's form for this action, with what a person has entered."""
        form = page.form(action)
        assert form.method == "post"
        return await self.http.post(action, data={**form.values, **fields})


@pytest.fixture
def world() -> ConsoleWorld:
    """A workspace red-chat that is ready, in the team of a person who may do everything."""
    world = make_world({})
    status = {
        "phase": "Ready",
        "url": f"https://{NAME}.example.org",
        "namespace": {"name": NAME, "uid": f"namespace-of-{NAME}"},
        "models": [{"name": "gemma2:2b", "state": "Ready", "totalBytes": 2**30}],
    }
    world.put(resource(NAME, team=TEAM, spec={"models": ["gemma2:2b"]}, status=status))
    store = world.services.cluster._namespaces._store
    take_list(store, [*store.all(), namespace(NAME)], 2)
    return world


@pytest.fixture
async def stranger(world: ConsoleWorld) -> AsyncIterator[Browser]:
    transport = httpx2.ASGITransport(world.app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://console") as http:
        yield Browser(http)


@pytest.fixture
async def browser(stranger: Browser) -> Browser:
    """A browser in which ann has signed in."""
    assert (await stranger.sign_in()).status_code == 303
    return stranger
