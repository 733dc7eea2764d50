"""A team's page, through the whole application, without script."""

from aichat_workspace.console.texts import TEXTS
from tests.fakes.console import TEAM, ConsoleWorld
from tests.fakes.reviews import Object
from tests.unit.console.conftest import Browser

PATH = f"/teams/{TEAM}"
HOSTILE = "<script>alert(1)</script>"


async def invite(browser: Browser, **fields: str) -> int:
    page = await browser.open(PATH)
    values = {"name": "bo@example.org", "kind": "User", "role": "viewer", **fields}
    return (await browser.submit(page, f"{PATH}/members", **values)).status_code


async def test_the_teams_of_a_person_are_links(browser: Browser) -> None:
    page = await browser.open("/teams")
    assert PATH in page.links


async def test_who_belongs_to_no_team_is_told_who_to_ask(
    browser: Browser, world: ConsoleWorld
) -> None:
    world.client.allows = lambda _: False
    assert TEXTS["no_teams"] in (await browser.open("/teams")).text


async def test_a_member_is_invited_and_removed(browser: Browser, world: ConsoleWorld) -> None:
    assert await invite(browser) == 303
    page = await browser.open(PATH)
    assert "bo@example.org" in page.text
    assert "invited by ann@example.org" in page.text
    action = f"{PATH}/members/remove"
    assert page.form(action).values["name"] == "bo@example.org"
    assert (await browser.submit(page, action)).status_code == 303
    assert "bo@example.org" not in (await browser.open(PATH)).text
    assert not world.client.people.of("RoleBinding")


async def test_what_is_wrong_with_an_invitation_stands_at_its_field_and_is_kept(
    browser: Browser,
) -> None:
    page = await browser.open(PATH)
    fields = {"name": "system:masters", "kind": "Group", "role": "admin"}
    response = await browser.submit(page, f"{PATH}/members", **fields)
    assert response.status_code == 422
    assert 'value="system:masters"' in response.text
    assert '<option value="Group" selected>' in response.text
    (error,) = (part for part in response.text.split("<span") if 'id="member-name-error"' in part)
    assert "Kubernetes&#39; own" in error


async def test_a_token_is_shown_in_the_answer_only_and_revoked(
    browser: Browser, world: ConsoleWorld
) -> None:
    page = await browser.open(PATH)
    fields = {"name": "ci", "role": "editor", "days": "7"}
    response = await browser.submit(page, f"{PATH}/tokens", **fields)
    assert response.status_code == 201
    assert response.headers["Cache-Control"] == "no-store"
    assert 'id="token-text"' in response.text
    (request,) = world.client.people.token_requests
    assert request["expirationSeconds"] == 7 * 86_400
    page = await browser.open(PATH)
    assert "token-text" not in page.text
    assert TEXTS["token_once"] not in page.text
    assert (await browser.http.get(f"{PATH}/tokens")).headers["Location"] == PATH
    assert (await browser.submit(page, f"{PATH}/tokens/revoke")).status_code == 303
    assert TEXTS["no_tokens"] in (await browser.open(PATH)).text


async def test_a_scripts_account_is_among_the_tokens_and_not_among_the_members(
    browser: Browser,
) -> None:
    page = await browser.open(PATH)
    await browser.submit(page, f"{PATH}/tokens", name="ci", role="editor", days="1")
    page = await browser.open(PATH)
    assert "aichat-token-ci" not in page.text
    assert TEXTS["no_members"] in page.text


async def test_what_is_wrong_with_a_token_stands_at_its_field(browser: Browser) -> None:
    page = await browser.open(PATH)
    for fields, field in (
        ({"name": "Not Valid", "role": "editor", "days": "7"}, "token-name-error"),
        ({"name": "ci", "role": "editor", "days": "5000"}, "token-days-error"),
        ({"name": "ci", "role": "king", "days": "7"}, "make-error"),
    ):
        response = await browser.submit(page, f"{PATH}/tokens", **fields)
        assert response.status_code == 422
        (error,) = (part for part in response.text.split("<span") if f'id="{field}"' in part)
        assert 'href="' in error or "#trouble" in error, field


async def test_names_of_others_are_text(browser: Browser) -> None:
    assert await invite(browser, name=HOSTILE) == 303
    response = await browser.http.get(PATH)
    assert HOSTILE not in response.text
    assert "&lt;script&gt;alert(1)" in response.text
    page = await browser.open(PATH)
    assert (await browser.submit(page, f"{PATH}/members/remove")).status_code == 303


async def test_a_form_of_another_session_changes_nothing(
    browser: Browser, world: ConsoleWorld
) -> None:
    page = await browser.open(PATH)
    fields = {"name": "bo", "kind": "User", "role": "admin", "csrf": "another"}
    response = await browser.submit(page, f"{PATH}/members", **fields)
    assert response.status_code == 403
    assert not world.client.people.of("RoleBinding")


async def test_who_may_only_look_at_workspaces_sees_usage_and_why_not_the_rest(
    browser: Browser, world: ConsoleWorld
) -> None:
    def allows(attributes: Object) -> bool:
        return bool(attributes["resource"] == "aichatworkspaces")

    world.client.allows = allows
    page = await browser.open(PATH)
    assert TEXTS["usage"] in page.text
    assert "rolebindings" in page.text
    assert [form.action for form in page.forms] == ["/logout"]


async def test_who_may_see_nothing_of_a_team_gets_a_page_that_says_so(
    browser: Browser, world: ConsoleWorld
) -> None:
    world.client.allows = lambda _: False
    await browser.open(PATH, 403)


async def test_a_team_that_is_not_there_and_one_that_no_namespace_can_be_are_404(
    browser: Browser,
) -> None:
    for team in ("not-there", "Not%20Valid", "-", "x" * 64, "a%2Fb"):
        response = await browser.http.get(f"/teams/{team}", headers={"Accept": "text/html"})
        assert response.status_code in (303, 404), team


async def test_usage_is_gauges(browser: Browser, world: ConsoleWorld) -> None:
    quota = {
        "metadata": {"name": "red-chat", "namespace": "red-chat", "resourceVersion": "5"},
        "status": {"hard": {"limits.cpu": "6"}, "used": {"limits.cpu": "3"}},
    }
    world.services.cluster._quotas._store.put(quota)
    for path in (PATH, f"/workspaces/red-chat?team={TEAM}", "/platform"):
        page = await browser.open(path)
        assert "3 of 6" in page.text, path
        assert "progress" in page.tags, path
