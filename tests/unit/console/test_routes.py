"""Every page and action by plain links and forms, through the whole application."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

from aichat_workspace.api.auth.provider import Provider
from aichat_workspace.api.workspaces.pages import SortField
from aichat_workspace.console.rendering import CONTENT_SECURITY_POLICY
from aichat_workspace.console.texts import TEXTS
from aichat_workspace.domain import names
from aichat_workspace.domain.v1alpha1.platform_spec import PLATFORM_NAME
from aichat_workspace.kube.errors import UnreachableError
from tests.fakes.console import TEAM, ConsoleWorld, make_world
from tests.unit.api.samples import resource
from tests.unit.console.conftest import NAME, PATH, QUERY, Browser
from tests.unit.console.markup import parse

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def assert_audited(lines: Sequence[Mapping[str, Any]], action: str) -> None:
    """An action has a line in the API's audit log, under the person's own name."""
    audited = [line for line in lines if line["event"] == "audit"]
    assert {line["user"] for line in audited} == {"ann@example.org"}
    assert [line for line in audited if action in line["action"]]


class TestSignIn:
    async def test_a_stranger_is_sent_to_sign_in_and_back(self, stranger: Browser) -> None:
        response = await stranger.http.get(PATH + QUERY)
        assert response.headers["Location"] == f"/login?next=%2Fworkspaces%2F{NAME}%3Fteam%3D{TEAM}"
        page = await stranger.open(response.headers["Location"])
        answer = await stranger.submit(page, "/login", token="good")
        assert answer.headers["Location"] == PATH + QUERY
        await stranger.open(PATH + QUERY)

    async def test_a_refused_token_is_told_and_where_one_wanted_to_go_is_kept(
        self, stranger: Browser
    ) -> None:
        response = await stranger.sign_in(token="made-up", next="/new")
        assert response.status_code == 401
        assert "The token is not accepted" in response.text
        assert 'name="next" value="/new"' in response.text

    async def test_the_provider_has_a_button_only_where_one_is_configured(
        self, stranger: Browser
    ) -> None:
        page = await stranger.open("/login?next=/new")
        assert not [link for link in page.links if "session/login" in link]

    @pytest.mark.parametrize(
        "path", ["//evil.example", "https://evil.example", "/\\evil.example", "/\t/evil", "x", ""]
    )
    async def test_a_link_to_another_site_leads_to_the_list(
        self, stranger: Browser, path: str
    ) -> None:
        assert (await stranger.sign_in(next=path)).headers["Location"] == "/"

    async def test_signing_out_takes_the_session(self, browser: Browser) -> None:
        page = await browser.open("/")
        assert (await browser.submit(page, "/logout")).headers["Location"] == "/login"
        assert (await browser.http.get("/")).headers["Location"] == "/login?next=%2F"

    async def test_signing_out_goes_on_to_the_provider_where_that_has_a_way(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url = "https://sso.example.org/logout?client_id=a&id_token_hint=b"

        async def sign_out_url(*_: object) -> str:
            return url

        monkeypatch.setattr(Provider, "sign_out_url", sign_out_url)
        world = make_world(
            {
                "PUBLIC_URL": "http://console",
                "OIDC_ISSUER": "https://sso.example.org",
                "OIDC_CLIENT_ID": "console",
                "OIDC_CLIENT_SECRET": "secret",
            }
        )
        transport = httpx2.ASGITransport(world.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://console") as http:
            browser = Browser(http)
            await browser.sign_in()
            page = await browser.open("/")
            response = await browser.submit(page, "/logout")
            assert response.status_code == 200
            assert url in parse(response).links
            assert (await http.get("/")).status_code == 303

    async def test_another_sites_form_signs_no_one_in(self, stranger: Browser) -> None:
        headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
        response = await stranger.http.post("/login", data={"token": "good"}, headers=headers)
        assert response.status_code == 403
        assert "set-cookie" not in response.headers

    async def test_a_bearer_token_opens_no_page(self, stranger: Browser) -> None:
        response = await stranger.http.get("/", headers={"Authorization": "Bearer good"})
        assert response.status_code == 303

    async def test_a_page_is_always_the_sessions_persons(self, browser: Browser) -> None:
        headers = {"Authorization": "Bearer made-up"}
        assert (await browser.http.get(PATH + QUERY, headers=headers)).status_code == 200


class TestList:
    async def test_it_shows_state_models_and_address(self, browser: Browser) -> None:
        page = await browser.open("/")
        assert "Ready" in page.text
        assert "gemma2:2b" in page.text
        assert f"https://{NAME}.example.org" in page.links
        assert PATH + QUERY in page.links

    async def test_a_search_that_finds_nothing_has_a_way_back(self, browser: Browser) -> None:
        page = await browser.open("/?q=nothing")
        assert TEXTS["list_filtered"] in page.text

    @pytest.mark.parametrize("query", [f"?team={TEAM}", "?phase=Ready", "?q=RED"])
    async def test_it_is_filtered_by_team_phase_and_text(
        self, browser: Browser, world: ConsoleWorld, query: str
    ) -> None:
        world.put(resource("other", team="others", status={"phase": "Degraded"}))
        page = await browser.open(f"/{query}")
        assert NAME in page.text
        assert "other" not in page.links

    async def test_it_says_where_the_chat_is(self, browser: Browser) -> None:
        page = await browser.http.get("/")
        assert f">{NAME}.example.org</span>" in page.text

    async def test_column_heads_sort_it_and_keep_the_filters(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        world.put(resource("zebra", team=TEAM, status={"phase": "Degraded"}))
        page = await browser.open(f"/?team={TEAM}&sort=name")
        assert f"?team={TEAM}&sort=-name" in page.links
        assert f"?team={TEAM}&sort=usedAt" not in page.links
        assert f"?team={TEAM}&sort=-usedAt" in page.links
        reverse = (await browser.http.get(f"/?team={TEAM}&sort=-name")).text
        assert reverse.index("open team-a/zebra".replace("team-a", TEAM)) < reverse.index(
            f"open {TEAM}/{NAME}"
        )
        assert reverse.count('aria-sort="descending"') == 1
        assert '<option value="-name" selected>' in reverse  # a search keeps the order

    async def test_the_api_knows_every_order_that_the_list_offers(self, browser: Browser) -> None:
        page = await browser.http.get("/")
        orders = re.findall(r'<option value="(-?[a-zA-Z]*)"( selected)?>', page.text)
        offered = [order for order, _ in orders[-10:]]
        all_orders = {f"{sign}{field}" for field in SortField for sign in ("", "-")}
        assert {order or SortField.NAME for order in offered} == all_orders
        assert orders[-10] == ("", " selected")
        links = re.findall(r'class="sort" id="[^"]+" href="([^"]+)"', page.text)
        assert len(links) == len(SortField)
        for path in [f"/?sort={order}" for order in offered] + [f"/{link}" for link in links]:
            assert (await browser.http.get(path)).status_code == 200, path

    async def test_who_may_do_nothing_is_told_who_to_ask(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        world.client.allows = lambda _: False
        page = await browser.open("/")
        assert TEXTS["list_no_rights"] in page.text
        assert "/new" not in page.links

    async def test_who_may_only_look_is_offered_no_new_workspace(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        world.client.allows = lambda attributes: attributes["verb"] != "create"
        page = await browser.open("/")
        assert NAME in page.text
        assert "/new" not in page.links

    async def test_a_full_page_stays_below_a_hundred_kilobytes(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        for number in range(50):
            world.put(resource(f"a{number}", team=TEAM, status={"phase": "Ready"}))
        page = await browser.http.get("/")
        assets = [await browser.http.get(path) for path in set(_addresses(page.text))]
        assert len(assets) == 4
        assert sum(len(part.content) for part in (page, *assets)) < 100_000

    async def test_a_long_list_has_pages(self, browser: Browser, world: ConsoleWorld) -> None:
        for number in range(101):
            world.put(resource(f"a{number:03}", team=TEAM))
        page = await browser.open("/")
        (following,) = (link for link in page.links if link.startswith("?page="))
        second = await browser.open(f"/{following}")
        assert NAME in second.text
        assert "a001" not in second.text


def _addresses(text: str) -> list[str]:
    return [part.partition('"')[0].partition("#")[0] for part in _after(text, '"/assets/')]


def _after(text: str, begin: str) -> list[str]:
    return [f"/assets/{rest}" for rest in text.split(begin)[1:]]


class TestCreate:
    async def test_a_form_creates_a_workspace_and_leads_to_it(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        page = await browser.open("/new")
        response = await browser.submit(page, "/new", name="blue", team=TEAM, models="gemma2:2b")
        assert response.headers["Location"] == f"/workspaces/blue?team={TEAM}"
        created = world.services.cluster.get(TEAM, "blue")
        assert created is not None
        assert created.owner == "ann@example.org"
        assert "blue" in (await browser.open(response.headers["Location"])).text

    async def test_a_link_fills_the_form_in(self, browser: Browser) -> None:
        page = await browser.open(
            f"/new?name=blue&team={TEAM}&model=gemma2:2b&pattern=explain_code"
        )
        values = page.form("/new").values
        assert (values["name"], values["models"]) == ("blue", "gemma2:2b")

    async def test_a_wrong_name_is_told_at_its_field_and_nothing_entered_is_lost(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        page = await browser.open("/new")
        response = await browser.submit(page, "/new", name="Blue!", team=TEAM, models="m1 m2")
        assert response.status_code == 422
        error = response.text.partition('id="name-error"')[2].partition("</span>")[0]
        assert "write lower-case letters, digits and hyphens" in error
        assert 'value="Blue!"' in response.text
        assert "m1\nm2" in response.text
        assert world.services.cluster.get(TEAM, "Blue!") is None

    async def test_a_taken_name_is_told_by_a_check_that_creates_nothing(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        page = await browser.open("/new")
        fields = {"team": TEAM, "check": "1"}
        taken = await browser.submit(page, "/new", name=NAME, **fields)
        free = await browser.submit(page, "/new", name="blue", **fields)
        assert "taken; choose another one" in taken.text
        assert TEXTS["summary_ok"] in free.text
        assert world.services.cluster.get(TEAM, "blue") is None

    async def test_who_may_not_create_is_told_so_on_the_form(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        page = await browser.open("/new")
        world.client.allows = lambda review: review.get("verb") != "create"
        world.services.authorizer._answers._answers.clear()
        response = await browser.submit(page, "/new", name="blue", team=TEAM)
        assert response.status_code == 403
        assert "may not create" in response.text

    async def test_a_form_without_the_sessions_token_changes_nothing(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        response = await browser.http.post("/new", data={"name": "blue", "team": TEAM})
        assert response.status_code == 403
        assert TEXTS["code_csrf-token"] in response.text
        assert world.services.cluster.get(TEAM, "blue") is None

    async def test_a_form_whose_session_has_ended_leads_to_the_sign_in(
        self, stranger: Browser
    ) -> None:
        response = await stranger.http.post("/new", data={"name": "blue", "team": TEAM})
        assert (response.status_code, response.headers["Location"]) == (303, "/login?next=%2F")

    async def test_a_team_that_a_link_names_is_chosen_though_it_is_not_ones_own(
        self, browser: Browser
    ) -> None:
        response = await browser.http.get("/new?name=blue&team=others")
        assert "<option selected>others</option>" in response.text


SIZES: list[dict[str, Any]] = [
    {"name": "huge", "resources": {"ollama": {"memoryLimit": "500Gi", "gpu": {"count": 2}}}},
    {"name": "small", "description": "A <few> people", "models": ["gemma2:2b"]},
    {"name": "theirs", "allowedTeams": ["others"]},
]


class TestSizeClasses:
    @pytest.fixture(autouse=True)
    async def sizes(self, world: ConsoleWorld) -> None:
        platform = {"metadata": {"name": PLATFORM_NAME, "resourceVersion": "1"}}
        settings = {**platform, "spec": {"sizeClasses": SIZES}}
        world.services.cluster._platform._store.put(settings)

    async def test_each_size_is_a_card_with_what_it_costs_and_the_first_that_fits_is_chosen(
        self, browser: Browser
    ) -> None:
        text = (await browser.http.get(f"/new?team={TEAM}")).text
        assert "A &lt;few&gt; people" in text
        assert "6 CPU, 10Gi memory, 22Gi storage" in text
        assert "With gemma2:2b" in text
        assert "Does not fit: the workspace asks for 502Gi" in text
        assert 'value="theirs"' not in text
        assert [part.partition('"')[0] for part in text.split('name="class" value="')[1:]] == [
            "huge",
            "small",
            "",
        ]
        assert 'name="class" value="small" checked' in text
        assert "<dt>Size</dt><dd>small: 6 CPU" in text

    @pytest.mark.parametrize(("size", "expected"), [("small", "small"), ("", None)])
    async def test_a_workspace_is_created_of_the_size_that_is_chosen(
        self, browser: Browser, world: ConsoleWorld, size: str, expected: str | None
    ) -> None:
        page = await browser.open("/new")
        fields = {"name": "blue", "team": TEAM, "class": size}
        response = await browser.submit(page, "/new", **fields)
        assert response.status_code == 303
        created = world.services.cluster.get(TEAM, "blue")
        assert created is not None
        assert created.document["spec"].get("className") == expected

    async def test_a_size_that_is_refused_is_told_at_its_field_and_stays_chosen(
        self, browser: Browser
    ) -> None:
        page = await browser.open("/new")
        for size in ("theirs", "huge"):
            response = await browser.submit(page, "/new", name="blue", team=TEAM, **{"class": size})
            assert response.status_code == 422
        assert 'name="class" value="huge" checked' in response.text
        response = await browser.submit(page, "/new", name="blue", team=TEAM, **{"class": "theirs"})
        error = response.text.partition('id="class-error"')[2].partition("</span>")[0]
        assert "may not choose the size class" in error

    async def test_who_may_create_and_not_list_in_a_team_sees_what_all_their_teams_may_choose(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        world.client.allows = lambda review: (
            review.get("verb") == "create" or review.get("namespace") != TEAM
        )
        world.services.authorizer._answers._answers.clear()
        text = (await browser.http.get(f"/new?team={TEAM}")).text
        assert 'name="class" value="small"' in text


class TestWorkspace:
    async def test_a_restart_is_asked_for_with_a_button_and_comes_back_to_the_page(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        page = await browser.open(PATH + QUERY)
        with capture_logs() as lines:
            response = await browser.submit(page, f"{PATH}/restart{QUERY}")
        assert (response.status_code, response.headers["Location"]) == (303, PATH + QUERY)
        view = world.services.cluster.get(TEAM, NAME)
        assert view is not None
        assert view.document["spec"]["restart"]["ollama"]
        assert view.document["spec"]["restart"]["openWebUI"]
        assert_audited(lines, "restart")

    async def test_the_name_for_people_is_text_and_stands_beside_the_workspaces_own(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        shown = resource(NAME, team=TEAM)
        shown["spec"]["displayName"] = "Red <blink>chat</blink>"
        shown["metadata"]["resourceVersion"] = "99"
        world.put(shown)
        for path in ("/", PATH + QUERY):
            page = await browser.open(path)
            assert "Red <blink>chat</blink>" in page.text
            assert "blink" not in page.tags
            assert NAME in page.text

    async def test_suspending_and_resuming_come_back_to_the_page(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        page = await browser.open(PATH + QUERY)
        with capture_logs() as lines:
            response = await browser.submit(page, f"{PATH}/suspend{QUERY}")
        assert (response.status_code, response.headers["Location"]) == (303, PATH + QUERY)
        view = world.services.cluster.get(TEAM, NAME)
        assert view is not None
        assert view.document["spec"]["suspended"] is True
        assert_audited(lines, "suspend")
        page = await browser.open(PATH + QUERY)
        await browser.submit(page, f"{PATH}/resume{QUERY}")
        view = world.services.cluster.get(TEAM, NAME)
        assert view is not None
        assert view.document["spec"]["suspended"] is False

    async def test_deleting_needs_the_name(self, browser: Browser, world: ConsoleWorld) -> None:
        action = f"{PATH}/delete{QUERY}"
        page = await browser.open(action)
        assert TEXTS["delete_loses"] in page.text
        response = await browser.submit(page, action, confirm="red")
        assert response.status_code == 422
        assert TEXTS["delete_mismatch"].format(name=NAME) in response.text
        assert world.client.deleted == []
        response = await browser.submit(page, action, confirm=NAME)
        assert response.headers["Location"] == "/"
        assert world.client.deleted == [f"{NAME}/{TEAM}"]

    async def test_a_retained_namespace_is_told_before_deleting(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        world.put(resource(NAME, team=TEAM, spec={"deletionPolicy": "Retain"}))
        page = await browser.open(f"{PATH}/delete{QUERY}")
        assert TEXTS["delete_keeps"] in page.text

    async def test_credentials_are_shown_only_when_asked_for_and_recorded(
        self, browser: Browser
    ) -> None:
        page = await browser.open(PATH + QUERY)
        assert "correct-horse" not in page.text
        with capture_logs() as lines:
            response = await browser.submit(page, f"{PATH}/credentials{QUERY}")
        assert "correct-horse-battery-staple" in response.text
        assert response.headers["Cache-Control"] == "no-store"
        assert_audited(lines, "credentials")

    async def test_the_permission_for_credentials_is_the_callers(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        page = await browser.open(PATH + QUERY)
        world.client.allows = lambda review: review.get("subresource") != "credentials"
        response = await browser.submit(page, f"{PATH}/credentials{QUERY}")
        assert response.status_code == 403
        assert "correct-horse" not in response.text

    async def test_an_account_in_the_chat_is_made_without_a_script_and_shown_once(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        page = await browser.open(PATH + QUERY)
        entered = {"email": "bo@example.org", "name": HOSTILE, "role": "admin"}
        with capture_logs() as lines:
            response = await browser.submit(page, f"{PATH}/invite{QUERY}", **entered)
        account = world.chat.accounts["bo@example.org"]
        assert (response.status_code, account["role"], account["name"]) == (201, "admin", HOSTILE)
        assert f'<code id="account-password">{account["password"]}</code>' in response.text
        assert response.headers["Cache-Control"] == "no-store"
        assert HOSTILE not in response.text
        assert_audited(lines, "invite_to_chat")
        assert account["password"] not in str(lines)
        assert account["password"] not in (await browser.open(PATH + QUERY)).text

    async def test_a_refused_invitation_to_the_chat_stays_as_it_was_entered(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        page = await browser.open(PATH + QUERY)
        world.chat.accounts["bo@example.org"] = {"password": "theirs", "role": "user"}
        entered = {"email": "bo@example.org", "name": "Bo", "role": "admin"}
        response = await browser.submit(page, f"{PATH}/invite{QUERY}", **entered)
        assert response.status_code == 409
        assert "bo@example.org has an account in the chat" in response.text
        assert 'value="bo@example.org"' in response.text
        assert '<option value="admin" selected>' in response.text

    async def test_a_prompt_is_answered_without_a_script(self, browser: Browser) -> None:
        page = await browser.open(PATH + QUERY)
        action = f"{PATH}/prompt{QUERY}"
        response = await browser.submit(page, action, prompt="<b>hi</b>", model="gemma2:2b")
        assert "You said: &lt;b&gt;hi&lt;/b&gt;" in response.text

    async def test_an_empty_prompt_is_told_beside_the_prompt(self, browser: Browser) -> None:
        page = await browser.open(PATH + QUERY)
        response = await browser.submit(page, f"{PATH}/prompt{QUERY}", prompt="")
        assert response.status_code == 422
        assert "prompt:" in response.text.partition('id="reply-error"')[2].partition("</p>")[0]

    async def test_what_is_wrong_stands_first_with_its_fix(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        model = {
            "name": "m",
            "state": "Failed",
            "message": "no such model",
            "reason": "ModelNotFound",
        }
        conditions = [
            {
                "type": "Ready",
                "status": "False",
                "reason": "ModelFailed",
                "message": "no such model",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }
        ]
        status = {"phase": "Degraded", "models": [model], "conditions": conditions}
        world.put(resource(NAME, team=TEAM, status=status))
        page = await browser.open(PATH + QUERY)
        assert page.text.index("Model m") < page.text.index(TEXTS["progress"])
        assert TEXTS["fix"] in page.text

    async def test_the_address_of_an_action_leads_back_to_the_page(self, browser: Browser) -> None:
        response = await browser.http.get(f"{PATH}/credentials{QUERY}")
        assert response.headers["Location"] == PATH + QUERY

    async def test_hostile_texts_are_shown_as_texts(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        model = {"name": HOSTILE, "state": "Failed", "message": HOSTILE}
        status = {"phase": "Degraded", "models": [model], "url": f"javascript:{HOSTILE}"}
        spec = {"models": [HOSTILE]}
        world.put(resource(NAME, team=TEAM, owner=HOSTILE, spec=spec, status=status))
        for path in ("/", PATH + QUERY, f"/?q={HOSTILE}", f"/new?name={HOSTILE}&models={HOSTILE}"):
            page = await browser.open(path)
            assert page.tags.count("script") == 1
            assert "img" not in page.tags
            assert not [link for link in page.links if link.startswith("javascript")]


class TestErrors:
    async def test_a_workspace_that_is_not_there_is_a_page(self, browser: Browser) -> None:
        page = await browser.open("/workspaces/none", status=404)
        assert TEXTS["error_404_help"] in page.text

    @pytest.mark.parametrize(
        "path", ["/nothing", "/workspaces/A:b", "/assets/x/none.js", "/logout"]
    )
    async def test_any_other_path_is_a_page_for_a_browser(
        self, browser: Browser, path: str
    ) -> None:
        page = await browser.open(path, status=404)
        assert TEXTS["error_404"] in page.text

    async def test_a_program_gets_a_problem_document(self, stranger: Browser) -> None:
        for path in ("/nothing", "/api/v1/nothing"):
            response = await stranger.http.get(path)
            assert response.headers["Content-Type"] == "application/problem+json"

    async def test_a_cluster_that_does_not_answer_offers_another_try(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        async def no_answer(*_: object) -> None:
            raise UnreachableError("no answer")

        world.client.review = no_answer  # type: ignore[assignment]
        page = await browser.open(PATH + QUERY, status=503)
        assert PATH + QUERY in page.links

    async def test_a_bug_is_a_page_and_a_line_in_the_log(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        world.put(resource(NAME, team=TEAM, created="no time"))
        with capture_logs() as lines:
            page = await browser.open(PATH + QUERY, status=500)
        assert TEXTS["error_500_help"] in page.text
        assert "page crashed" in [line["event"] for line in lines]


async def test_every_page_has_the_policy_and_is_not_stored(browser: Browser) -> None:
    paths = ("/", "/login", "/new", PATH + QUERY, f"{PATH}/delete{QUERY}", "/workspaces/none")
    for path in paths:
        response: httpx2.Response = await browser.http.get(path)
        assert response.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
        assert response.headers["Cache-Control"] == "no-store"


async def test_the_apis_own_paths_stay_the_apis(stranger: Browser) -> None:
    for path in ("/openapi.json", "/api/v1/me", "/api/v1/nothing"):
        response = await stranger.http.get(path, headers={"Accept": "text/html"})
        assert "text/html" not in response.headers["Content-Type"]


SETTINGS = f"{PATH}/settings{QUERY}"
YAML = f"{PATH}/yaml{QUERY}"


class TestSettings:
    async def test_a_change_is_shown_before_it_is_saved(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        page = await browser.open(SETTINGS)
        fields = {"models": "gemma2:2b\nllama3.2", "storage.ollama.size": "40Gi"}
        response = await browser.submit(page, SETTINGS, **fields)
        review = parse(response)
        assert response.status_code == 200
        assert "gemma2:2b, llama3.2" in review.text
        assert "40Gi" in review.text
        assert TEXTS["restarts_nothing"] in review.text
        assert spec_of(world)["models"] == ["gemma2:2b"]
        with capture_logs() as lines:
            saved = await browser.submit(review, SETTINGS, save="1")
        assert saved.headers["Location"] == PATH + QUERY
        assert_audited(lines, "replace_workspace")
        assert spec_of(world) == {
            "workspaceName": NAME,
            "models": ["gemma2:2b", "llama3.2"],
            "storage": {"ollama": {"size": "40Gi"}},
        }

    async def test_what_is_entered_survives_going_back_to_the_form(self, browser: Browser) -> None:
        page = await browser.open(SETTINGS)
        review = parse(await browser.submit(page, SETTINGS, expiresAfter="30d"))
        form = parse(await browser.submit(review, SETTINGS, back="1"))
        assert form.form(SETTINGS).values["expiresAfter"] == "30d"

    async def test_what_is_wrong_stands_at_its_field(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        page = await browser.open(SETTINGS)
        response = await browser.submit(page, SETTINGS, expiresAfter="soon")
        assert response.status_code == 422
        assert re.search(r'id="expiresAfter-error"[^>]*><svg', response.text)
        assert "expiresAfter" not in spec_of(world)

    async def test_nothing_changed_is_nothing_to_save(self, browser: Browser) -> None:
        for path in (SETTINGS, YAML):
            response = await browser.submit(await browser.open(path), path)
            assert TEXTS["settings_same"] in parse(response).text

    async def test_a_change_of_somebody_else_is_not_lost(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        page = await browser.open(SETTINGS)
        review = parse(await browser.submit(page, SETTINGS, expiresAfter="30d"))
        other = {"models": ["gemma2:2b", "qwen2.5:7b"]}
        world.put(resource(NAME, team=TEAM, generation=2, spec=other, status={"phase": "Ready"}))
        refused = await browser.submit(review, SETTINGS, save="1")
        assert refused.status_code == 409
        form = parse(refused)
        assert TEXTS["settings_changed"] in form.text
        assert form.form(SETTINGS).values["models"] == "gemma2:2b\nqwen2.5:7b"
        assert form.form(SETTINGS).values["expiresAfter"] == "30d"
        review = parse(await browser.submit(form, SETTINGS))
        assert (await browser.submit(review, SETTINGS, save="1")).status_code == 303
        assert spec_of(world) == {"workspaceName": NAME, **other, "expiresAfter": "30d"}

    async def test_yaml_has_what_the_form_has_not(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        page = await browser.open(YAML)
        text = page.form(YAML).values["yaml"] + "ollama: {keepAlive: 1h}\n"
        review = parse(await browser.submit(page, YAML, yaml=text))
        assert "ollama.keepAlive" in review.text
        assert TEXTS["restarts_model_server"] in review.text
        assert (await browser.submit(review, YAML, save="1")).status_code == 303
        assert spec_of(world)["ollama"] == {"keepAlive": "1h"}

    async def test_a_text_stays_after_a_change_of_somebody_else_and_is_reviewed_again(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        page = await browser.open(YAML)
        text = page.form(YAML).values["yaml"].strip() + "\nollama: {keepAlive: 1h}"
        other = {"models": ["qwen2.5:7b"]}
        world.put(resource(NAME, team=TEAM, generation=2, spec=other, status={"phase": "Ready"}))
        refused = await browser.submit(page, YAML, yaml=text)
        assert refused.status_code == 409
        again = parse(refused)
        assert TEXTS["yaml_changed"] in again.text
        assert again.form(YAML).values["yaml"].strip() == text
        review = parse(await browser.submit(again, YAML))
        assert "qwen2.5:7b" in review.text

    @pytest.mark.parametrize("text", ["a: [", "modells: [a]\nworkspaceName: red-chat"])
    async def test_a_text_that_is_no_spec_is_told_and_kept(
        self, browser: Browser, text: str
    ) -> None:
        response = await browser.submit(await browser.open(YAML), YAML, yaml=text)
        assert response.status_code == 422
        assert parse(response).form(YAML).values["yaml"].strip() == text

    async def test_a_link_fills_the_form_in_and_raises_an_amount(self, browser: Browser) -> None:
        page = await browser.open(f"{SETTINGS}&expiresAfter=60d&raise=storage.ollama.size")
        values = page.form(SETTINGS).values
        assert values["expiresAfter"] == "60d"
        assert values["storage.ollama.size"] == "40Gi"
        assert values["was.storage.ollama.size"] == ""

    async def test_who_may_not_change_it_is_told_and_changes_nothing(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        page = await browser.open(SETTINGS)
        world.client.allows = lambda review: review.get("verb") != "update"
        response = await browser.submit(page, SETTINGS, expiresAfter="30d")
        assert response.status_code == 403

    async def test_a_forms_token_is_the_sessions(self, browser: Browser) -> None:
        page = await browser.open(SETTINGS)
        response = await browser.submit(page, SETTINGS, csrf="made-up", expiresAfter="30d")
        assert response.status_code == 403


class TestPlatform:
    async def test_it_has_states_problems_and_settings(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        trouble = {
            "type": "ModelsReady",
            "status": "False",
            "reason": "ModelTooLarge",
            "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        status = {"phase": "Degraded", "conditions": [trouble]}
        world.put(resource("full-chat", team=TEAM, status=status))
        page = await browser.open("/platform")
        assert "ModelTooLarge" in page.text
        assert f"/workspaces/full-chat{QUERY}" in page.links
        assert {"/?phase=Ready", "/?phase=Degraded"} <= {*page.links}
        assert TEXTS["platform_no_upgrade"] in page.text

    async def test_it_is_nothing_for_who_has_no_team(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        world.client.allows = lambda _: False
        await browser.open("/platform", 403)

    async def test_who_may_patch_the_platform_pauses_and_resumes_upgrades_by_a_form(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        put_platform(world)
        for action, text in (("pause", "platform_paused"), ("resume", "platform_goes_on")):
            page = await browser.open("/platform")
            response = await browser.submit(page, f"/platform/{action}")
            assert (response.status_code, response.headers["Location"]) == (303, "/platform")
            assert TEXTS[text] in (await browser.open("/platform")).text
        assert (await browser.http.get("/platform/pause")).headers["Location"] == "/platform"

    async def test_a_forged_form_pauses_nothing(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        put_platform(world)
        page = await browser.open("/platform")
        response = await browser.submit(page, "/platform/pause", csrf="made-up")
        assert response.status_code == 403
        assert TEXTS["platform_goes_on"] in (await browser.open("/platform")).text

    async def test_who_may_not_patch_the_platform_has_no_button(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        world.client.allows = lambda review: review["resource"] != "aichatplatforms"
        page = await browser.open("/platform")
        assert TEXTS["platform_goes_on"] in page.text
        assert "/platform/pause" not in page.text


def put_platform(world: ConsoleWorld) -> None:
    metadata = {"name": PLATFORM_NAME, "resourceVersion": "1"}
    world.services.cluster._platform._store.put({"metadata": metadata, "spec": {}})


def spec_of(world: ConsoleWorld) -> dict[str, Any]:
    (view,) = world.services.cluster.sorted_from(("", "", ""))
    return dict(view.document["spec"])


class TestHistory:
    async def test_the_page_tells_who_changed_what(self, browser: Browser) -> None:
        page = await browser.open(PATH + QUERY)
        assert TEXTS["no_history"] in page.text
        await browser.submit(page, f"{PATH}/suspend{QUERY}")
        page = await browser.open(PATH + QUERY)
        assert "suspended it" in page.text
        assert TEXTS["no_history"] not in page.text

    async def test_what_others_wrote_there_is_shown_as_text(
        self, browser: Browser, world: ConsoleWorld
    ) -> None:
        entry = {"time": "2026-01-01T00:00:00Z", "action": "edit", "user": HOSTILE}
        obj = resource(NAME, team=TEAM, status={"phase": "Ready"})
        obj["metadata"]["annotations"][names.HISTORY_ANNOTATION] = json.dumps(
            [{**entry, "added": [HOSTILE]}]
        )
        world.put(obj)
        response = await browser.http.get(PATH + QUERY)
        assert HOSTILE not in response.text
        assert response.text.count("&lt;script&gt;alert(1)") == 2
