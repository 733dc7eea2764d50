"""The catalogue of models, through the whole application, without script."""

import pytest

from aichat_workspace.console.texts import TEXTS
from tests.fakes.console import TEAM, ConsoleWorld
from tests.unit.api.samples import resource
from tests.unit.console.conftest import NAME, PATH, QUERY, Browser


async def test_models_have_what_they_need_and_a_way_to_use_them(browser: Browser) -> None:
    page = await browser.open("/models")
    assert "gemma2:2b" in page.text
    assert "in use: 1" in page.text
    assert "/new?model=gemma2%3A2b" in page.links
    assert TEXTS["fits_not"] not in page.text


async def test_sizes_say_what_fits(browser: Browser) -> None:
    response = await browser.http.get("/models?memory=6Gi&storage=20Gi")
    rows = {row.split("</b>")[0]: row for row in response.text.split('<th scope="row"><b>')[1:]}
    assert TEXTS["fits_not"] in rows["llama3.3:70b"]
    assert "memory 47Gi, volume 43Gi" in rows["llama3.3:70b"]
    assert 'class="badge good"' in rows["qwen3:0.6b"]


@pytest.mark.parametrize("query", ["memory=much", "storage=-1", "memory=8Gi&storage=x"])
async def test_what_is_no_size_is_told_at_its_field(browser: Browser, query: str) -> None:
    page = await browser.open(f"/models?{query}", 422)
    assert "gemma2:2b" in page.text


async def test_a_model_that_fits_a_workspace_is_added_to_it(
    browser: Browser, world: ConsoleWorld
) -> None:
    world.put(resource(NAME, team=TEAM, spec={"models": ["gemma2:2b"]}, status={"phase": "Ready"}))
    page = await browser.open(f"/models?workspace={NAME}&team={TEAM}")
    action = f"{PATH}/models{QUERY}"
    response = await browser.submit(page, action, model="qwen3:0.6b")
    assert response.headers["Location"] == PATH + QUERY
    current = world.services.cluster.workspaces.get(TEAM, NAME)
    assert current is not None
    assert current["spec"]["models"] == ["gemma2:2b", "qwen3:0.6b"]


async def test_a_workspace_that_is_not_there_is_404(browser: Browser) -> None:
    await browser.open("/models?workspace=not-there", 404)


async def test_the_list_is_filtered_by_condition(browser: Browser, world: ConsoleWorld) -> None:
    condition = {"type": "UpToDate", "status": "False", "reason": "UpgradeWaiting", "message": "x"}
    condition["lastTransitionTime"] = "2026-01-01T00:00:00Z"
    world.put(resource("older", team=TEAM, status={"phase": "Ready", "conditions": [condition]}))
    page = await browser.open("/?condition=UpToDate%3DFalse")
    assert "older" in page.text
    assert NAME not in page.text
    response = await browser.http.get("/?condition=Other%3DTrue")
    assert '<option value="Other=True" selected>' in response.text
