"""Backups on a workspace's page, and the pages that restore and clone."""

from collections.abc import Sequence
from typing import Any, Final

import pytest

from aichat_workspace.console.texts import TEXTS
from aichat_workspace.foundation.states import RUNS
from tests.fakes.console import TEAM, ConsoleWorld
from tests.fakes.listing import take_list
from tests.unit.api.samples import resource
from tests.unit.console.conftest import NAME, PATH, QUERY, Browser

OLD: Final = "20261130T023000Z-0f3b9c2d"
NEW: Final = "20261201T023000Z-1a2b3c4d"
HOSTILE: Final = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
RECORD: Final[dict[str, Any]] = {
    "state": "Done",
    "request": "",
    "destination": "offsite",
    "succeededAt": "2026-12-01T02:30:09Z",
    "items": [
        {"name": NEW, "sizeBytes": 3 * 2**20, "openWebUI": "0.6.5"},
        {"name": OLD, "sizeBytes": 2 * 2**20},
    ],
}
SCHEDULED: Final = {"schedule": "30 2 * * *", "timeZone": "Europe/Paris", "keep": 3}


def put_backups(
    world: ConsoleWorld,
    *,
    destinations: bool = True,
    restore: Any = None,
    conditions: Sequence[dict[str, Any]] = (),
    **record: Any,
) -> None:
    """Let the workspace have backups, and the platform a destination."""
    spec: dict[str, Any] = {"models": ["gemma2:2b"], "backup": SCHEDULED}
    status = {"phase": "Ready", "backup": RECORD | record, "conditions": [*conditions]} | (
        {"restore": restore} if restore else {}
    )
    world.put(resource(NAME, team=TEAM, spec=spec, status=status, version=5))
    put_platform(world, *(["offsite"] if destinations else []))


def put_platform(world: ConsoleWorld, *destinations: str) -> None:
    """Let the platform have these destinations."""
    s3 = {"endpoint": "https://s3.example.org", "bucket": "backups", "secretName": "store"}
    backup = {
        "destinations": [{"name": name, "s3": s3} for name in destinations],
        "passphraseSecretName": "passphrase",
    }
    version = 9 + len(destinations)
    metadata: dict[str, Any] = {"name": "default", "uid": "platform", "generation": 9}
    metadata |= {"resourceVersion": str(version)}
    platform = {"metadata": metadata, "spec": {"backup": backup}}
    take_list(world.services.cluster._platform._store, [platform], version)


def spec_of(world: ConsoleWorld, name: str = NAME) -> dict[str, Any]:
    stored = world.services.cluster.get(TEAM, name)
    assert stored is not None
    spec: dict[str, Any] = stored.document["spec"]
    return spec


class TestCard:
    async def test_it_lists_backups_with_sizes_and_the_schedule(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        put_backups(world)
        page = await browser.open(PATH + QUERY)
        for text in (NEW, OLD, "3.0 MiB", "0.6.5", "30 2 * * *", "Europe/Paris"):
            assert text in page.text
        assert f"{PATH}/restore{QUERY}&backup={OLD}" in page.links
        assert f"{PATH}/clone{QUERY}&backup={NEW}" in page.links

    async def test_a_backup_is_asked_for_by_a_button(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        put_backups(world)
        page = await browser.open(PATH + QUERY)
        answer = await browser.submit(page, f"{PATH}/backup{QUERY}")
        assert answer.headers["Location"] == PATH + QUERY
        assert spec_of(world)["backup"]["request"]
        assert "under way" in (await browser.open(PATH + QUERY)).text

    async def test_a_failed_run_says_why_and_only_as_text(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        backups = [{"name": HOSTILE, "sizeBytes": 1, "openWebUI": HOSTILE}]
        restore = {"state": "Failed", "message": HOSTILE, "target": {"backup": OLD}}
        message = f"no room {HOSTILE}"
        put_backups(world, state="Failed", message=message, items=backups, restore=restore)
        page = await browser.open(PATH + QUERY)
        assert message in page.text
        assert page.text.count(HOSTILE) == 3
        assert "<script>" not in page.text.replace(HOSTILE, "")
        assert page.tags.count("img") == 0

    async def test_backups_that_are_overdue_need_somebody_although_the_last_run_was_well(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        overdue = {
            "type": "BackedUp",
            "status": "False",
            "reason": "BackupOverdue",
            "message": "a backup is overdue",
        }
        put_backups(world, conditions=[overdue])
        page = await browser.http.get(PATH + QUERY)
        card = page.text.partition('id="backups"')[2].partition("</section>")[0]
        assert RUNS["Failed"].word in card
        assert RUNS["Done"].word not in card
        assert '<p class="error">' in card
        assert "a backup is overdue" in card

    async def test_who_may_only_look_is_offered_nothing(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        put_backups(world)
        world.client.allows = lambda attributes: attributes["verb"] in ("get", "list", "watch")
        page = await browser.open(PATH + QUERY)
        assert NEW in page.text
        assert not [link for link in page.links if "backup=" in link]
        assert not [form for form in page.forms if "/backup?" in form.action]

    async def test_without_a_destination_no_backup_is_offered(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        put_backups(world, destinations=False, items=[])
        page = await browser.open(PATH + QUERY)
        assert TEXTS["no_backup_destination"] in page.text
        assert not [form for form in page.forms if "/backup?" in form.action]


class TestRestore:
    async def test_the_name_is_typed_before_data_are_replaced(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        put_backups(world)
        path = f"{PATH}/restore{QUERY}"
        page = await browser.open(f"{path}&backup={OLD}")
        assert TEXTS["restore_replaces"] in page.text
        answer = await browser.submit(page, path, backup=OLD, confirm="red")
        assert answer.status_code == 422
        assert TEXTS["delete_mismatch"].format(name=NAME) in answer.text
        assert "restore" not in spec_of(world)
        answer = await browser.submit(page, path, backup=OLD, confirm=NAME)
        assert answer.headers["Location"] == PATH + QUERY
        assert spec_of(world)["restore"]["backup"] == OLD

    async def test_what_the_api_refuses_is_on_the_page(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        put_backups(world)
        path = f"{PATH}/restore{QUERY}"
        page = await browser.open(path)
        gone = "20250101T000000Z-99999999"
        answer = await browser.submit(page, path, backup=gone, confirm=NAME)
        assert answer.status_code == 422
        assert f"lists no backup &#39;{gone}&#39;" in answer.text

    async def test_one_of_another_destination_is_named(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        put_backups(world)
        path, gone = f"{PATH}/restore{QUERY}", "20250101T000000Z-99999999"
        assert "destination" not in (await browser.open(path)).form(path).values
        put_platform(world, "offsite", "attic")
        page = await browser.open(path)
        other = {"destination": "attic", "other": gone}
        refused = await browser.submit(page, path, confirm="red", **other)
        assert f'value="{gone}"' in refused.text, "what was entered stays"
        answer = await browser.submit(page, path, confirm=NAME, **other)
        assert answer.headers["Location"] == PATH + QUERY
        restore = spec_of(world)["restore"]
        assert (restore["backup"], restore["destination"]) == (gone, "attic")
        path = f"{PATH}/clone{QUERY}"
        page = await browser.open(path)
        answer = await browser.submit(page, path, **other)
        assert answer.status_code == 303
        assert spec_of(world, f"{NAME}-copy")["restore"]["destination"] == "attic"

    @pytest.mark.parametrize("page_name", ["restore", "clone"])
    async def test_a_hostile_link_is_text(
        self, browser: Browser, world: ConsoleWorld, page_name: str
    ) -> None:
        put_backups(world)
        response = await browser.http.get(
            f"{PATH}/{page_name}", params={"team": TEAM, "backup": HOSTILE, "name": HOSTILE}
        )
        assert response.status_code == 200
        assert "<img src=x" not in response.text


class TestClone:
    async def test_a_clone_is_made_from_a_prefilled_form(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        put_backups(world)
        path = f"{PATH}/clone{QUERY}"
        page = await browser.open(f"{path}&backup={OLD}")
        assert page.form(path).values["name"] == f"{NAME}-copy"
        answer = await browser.submit(page, path, backup=OLD)
        assert answer.headers["Location"] == f"/workspaces/{NAME}-copy{QUERY}"
        clone = spec_of(world, f"{NAME}-copy")
        assert clone["restore"] == {"backup": OLD, "source": NAME}
        assert clone["backup"] == SCHEDULED

    async def test_a_name_that_is_taken_comes_back_with_the_form(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        put_backups(world)
        path = f"{PATH}/clone{QUERY}"
        page = await browser.open(path)
        answer = await browser.submit(page, path, name=NAME, backup=OLD)
        assert answer.status_code == 409
        assert "is taken" in answer.text


async def test_a_new_workspace_gets_a_schedule_where_there_is_a_destination(
    browser: Browser, world: ConsoleWorld
) -> None:
    assert "schedule" not in (await browser.open("/new")).form("/new").values
    put_backups(world)
    page = await browser.open("/new")
    answer = await browser.submit(page, "/new", name="blue", team=TEAM, schedule="@daily")
    assert answer.status_code == 303
    assert spec_of(world, "blue")["backup"] == {"schedule": "@daily"}


async def test_where_backups_go_is_chosen_where_there_are_several_destinations(
    browser: Browser, world: ConsoleWorld
) -> None:
    put_backups(world)
    assert "destination" not in (await browser.open("/new")).form("/new").values
    put_platform(world, "offsite", "attic")
    page = await browser.open("/new")
    option = {"name": "blue", "team": TEAM, "destination": "attic"}
    answer = await browser.submit(page, "/new", **option, schedule="@daily")
    assert answer.status_code == 303
    backup = {"schedule": "@daily", "destination": "attic"}
    assert spec_of(world, "blue")["backup"] == backup
    await browser.submit(page, "/new", **(option | {"name": "green"}), schedule="")
    assert "backup" not in spec_of(world, "green")
