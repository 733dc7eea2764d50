"""Commands for a team's people and scripts."""

import json
from datetime import UTC, datetime

import pytest

from tests.unit.cli.test_output import validator
from tests.unit.cli.world import READY_STATUS, SYSTEM, World, with_team

BOB = "oidc:https://id.example.org/#bob"


@pytest.fixture
def team(world: World) -> World:
    world.put()
    with_team(world)
    world.cluster.people.created = datetime.now(UTC).isoformat()
    return world


def test_somebody_is_invited_listed_and_removed(team: World) -> None:
    invited = team.run("invite", BOB, "--role", "editor")
    assert (invited.code, invited.out) == (0, f"{BOB} is editor in team red\n")
    header, row = team.run("members", "list").out.splitlines()
    assert header.split() == ["MEMBER", "KIND", "ROLE", "GIVEN", "BY", "SINCE"]
    assert row.split()[:4] == [BOB, "user", "editor", "ann"]
    again = team.run("members", "invite", BOB, "--role", "viewer", "--team", "red")
    assert again.out == f"{BOB} is viewer in team red\n"
    assert team.run("members", "list", "-o", "name").out == f"{BOB}\n"
    removed = team.run("members", "remove", BOB, "--yes")
    assert (removed.code, removed.err) == (0, f"{BOB} is removed from team red\n")
    assert team.run("members", "list").out == "no members\n"


def test_groups_and_the_teams_accounts_are_invited_by_their_kind(team: World) -> None:
    team.run("invite", "red", "--kind", "group", "--role", "viewer")
    team.run("invite", "ci", "--kind", "service-account", "--role", "editor")
    rows = [text.split()[:3] for text in team.run("members", "list").out.splitlines()[1:]]
    assert rows == [["red", "group", "viewer"], ["ci", "service-account", "editor"]]
    assert team.run("members", "remove", "red", "--yes").code == 3
    assert team.run("members", "remove", "red", "--kind", "group", "--yes").code == 0


def test_a_removal_asks_first(team: World) -> None:
    team.run("invite", BOB, "--role", "editor")
    refused = team.run("members", "remove", BOB)
    assert refused.code == 2
    assert f"Remove {BOB} from team red?" in refused.err
    assert "add --yes" in refused.err
    assert team.run("tokens", "revoke", "ci").code == 2
    assert team.cluster.people.of("RoleBinding")


def test_who_is_no_member_by_an_invitation_is_not_removed(team: World) -> None:
    result = team.run("members", "remove", BOB, "--yes")
    assert result.code == 3
    assert "try: aichatctl members list" in result.err


def test_a_dry_run_says_what_would_be(team: World) -> None:
    result = team.run("invite", BOB, "--role", "admin", "--dry-run")
    assert result.out == f"{BOB} would be admin in team red\n"
    assert not team.cluster.people.of("RoleBinding")
    team.run("invite", BOB, "--role", "admin")
    assert "would be removed" in team.run("members", "remove", BOB, "--dry-run").err
    assert team.cluster.people.of("RoleBinding")


def test_a_token_alone_goes_to_standard_output(team: World) -> None:
    created = team.run("tokens", "create", "ci", "--role", "viewer", "--expires", "12h")
    assert (created.code, created.out) == (0, "a.b.c\n")
    assert "is not shown again" in created.err
    (request,) = team.cluster.people.token_requests
    assert request["expirationSeconds"] == 12 * 3600
    header, row = team.run("tokens", "list").out.splitlines()
    assert header.split() == ["TOKEN", "ROLE", "ENDS", "MADE", "BY"]
    assert row.split()[:2] == ["ci", "viewer"]
    assert row.split()[-1] == "ann"
    revoked = team.run("tokens", "revoke", "ci", "--yes")
    assert "ci is revoked" in revoked.err
    assert team.run("tokens", "list").out == "no tokens\n"


def test_a_name_that_is_taken_leads_to_the_list(team: World) -> None:
    create = ("tokens", "create", "ci", "--role", "viewer")
    document = json.loads(team.run(*create, "-o", "json").out)
    assert document["token"] == "a.b.c"
    result = team.run(*create)
    assert result.code == 1
    assert "try: aichatctl tokens list" in result.err


def test_the_team_is_named_where_there_is_a_choice(team: World) -> None:
    team.put("blue-chat", team="blue")
    team.put("system-chat", team=SYSTEM)
    result = team.run("members", "list")
    assert result.code == 2
    assert "yours are: blue, red" in result.err
    assert team.run("members", "list", "--team", "red").code == 0


def test_hostile_names_are_shown_as_text(team: World) -> None:
    result = team.run("invite", "evil\u202e\u2066name", "--role", "viewer")
    assert result.code == 0, result.err
    assert "\u202e" not in result.out + team.run("members", "list").out


def test_an_account_in_a_chat_is_made_and_printed_once(world: World) -> None:
    put_running(world)
    result = world.run("invite-to-chat", "red-chat", "bo@example.org", "--name", "Bo")
    account = world.chat.accounts["bo@example.org"]
    assert (result.code, account["name"], account["role"]) == (0, "Bo", "user")
    assert result.out.splitlines()[1:] == [
        "Email     bo@example.org",
        f"Password  {account['password']}",
    ]
    assert "not shown again" in result.err
    document = json.loads(
        world.run(
            "invite-to-chat", "red-chat", "eve@example.org", "--role", "admin", "-o", "json"
        ).out
    )
    validator("invite-to-chat").validate(document)
    assert document["password"] == world.chat.accounts["eve@example.org"]["password"]
    assert document["role"] == "admin"


def test_an_address_with_an_account_in_the_chat_has_a_fix(world: World) -> None:
    put_running(world)
    world.chat.accounts["bo@example.org"] = {"password": "theirs", "role": "user"}
    result = world.run("invite-to-chat", "red-chat", "bo@example.org")
    assert (result.code, result.out) == (1, "")
    assert "bo@example.org has no new account" in result.err
    assert "Admin Panel" in result.err


def put_running(world: World) -> None:
    """Let there be a workspace whose chat is up."""
    tenant = {"name": "red-chat", "uid": "its-namespace"}
    world.put(status={**READY_STATUS, "namespace": tenant})
