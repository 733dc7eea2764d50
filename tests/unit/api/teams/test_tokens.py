"""How a script gets a token, and loses it."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from aichat_workspace.api.schemas.teams import Invitation, Role, SubjectKind, TokenCreate
from aichat_workspace.api.teams.members import Members, Subject
from aichat_workspace.api.teams.tokens import MAX_TOKENS, Tokens
from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.domain import names
from aichat_workspace.kube.errors import ApiError
from tests.unit.api.teams.team_cluster import ANN, CREATED, TEAM, TeamCluster, namespace, team_roles

CI = TokenCreate.model_validate({"name": "ci", "role": "editor", "expiresInSeconds": 3600})
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def cluster() -> TeamCluster:
    return TeamCluster()


@pytest.fixture
def tokens(cluster: TeamCluster) -> Tokens:
    return Tokens(team_roles(cluster), "aichat-workspace-api", lambda: NOW)


async def test_a_token_is_that_of_an_account_of_its_own_for_this_api_alone(
    cluster: TeamCluster, tokens: Tokens
) -> None:
    created = await tokens.create(ANN, TEAM, CI)
    assert created["token"] == "a.b.c"
    assert created["username"] == "system:serviceaccount:team-a:aichat-token-ci"
    assert created["expires"] == "2026-01-02T00:00:00Z", "as the API server says"
    assert cluster.token_requests == [
        {
            "path": "/api/v1/namespaces/team-a/serviceaccounts/aichat-token-ci/token",
            "audiences": ["aichat-workspace-api"],
            "expirationSeconds": 3600,
        }
    ]
    (account,), (binding,) = cluster.of("ServiceAccount"), cluster.of("RoleBinding")
    assert account["automountServiceAccountToken"] is False
    assert binding["roleRef"]["name"] == "aichatworkspace-editor"
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "aichat-token-ci", "namespace": TEAM}
    ]
    (owner,) = binding["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("ServiceAccount", account["metadata"]["uid"])


async def test_a_list_has_no_token(tokens: Tokens) -> None:
    await tokens.create(ANN, TEAM, CI)
    assert await tokens.read(ANN, TEAM) == [
        {
            "name": "ci",
            "role": "editor",
            "username": "system:serviceaccount:team-a:aichat-token-ci",
            "createdBy": "ann",
            "created": "2026-01-01T00:00:00Z",
            "expires": "2026-01-01T01:00:00Z",
        }
    ]


@pytest.mark.parametrize(
    "refused",
    [
        ("create", "serviceaccounts", None),
        ("create", "serviceaccounts", "token"),
        ("create", "rolebindings", None),
        ("patch", "aichatworkspaces", None),
    ],
)
async def test_a_token_needs_all_that_kubectl_needs_for_it(
    cluster: TeamCluster, tokens: Tokens, refused: tuple[str, str, str | None]
) -> None:
    def allows(review: dict[str, Any]) -> bool:
        request = (review["verb"], review["resource"], review.get("subresource"))
        return request != refused and review["verb"] != "bind"

    cluster.allows = allows
    with pytest.raises(ProblemError) as raised:
        await tokens.create(ANN, TEAM, CI)
    assert raised.value.status == 403
    assert not cluster.of("ServiceAccount")
    assert not cluster.token_requests


@pytest.mark.parametrize("broken", ["RoleBinding", "TokenRequest"])
async def test_what_fails_midway_leaves_no_account(
    cluster: TeamCluster, tokens: Tokens, broken: str
) -> None:
    cluster.broken = broken
    with pytest.raises(ApiError):
        await tokens.create(ANN, TEAM, CI)
    assert not cluster.of("ServiceAccount")


async def test_no_token_is_requested_for_an_account_that_was_there(
    cluster: TeamCluster, tokens: Tokens
) -> None:
    metadata = {"name": "aichat-token-ci", "namespace": TEAM, "uid": "theirs"}
    cluster.put("ServiceAccount", {"metadata": {**metadata, "creationTimestamp": CREATED}})
    with pytest.raises(ProblemError) as raised:
        await tokens.create(ANN, TEAM, CI)
    assert (raised.value.status, raised.value.code) == (409, "token-exists")
    assert not cluster.token_requests


async def test_a_token_whose_label_was_taken_off_is_listed_and_counted_and_can_be_revoked(
    cluster: TeamCluster, tokens: Tokens
) -> None:
    await tokens.create(ANN, TEAM, CI)
    (account,) = cluster.of("ServiceAccount")
    del account["metadata"]["labels"]
    assert [token["name"] for token in await tokens.read(ANN, TEAM)] == ["ci"]
    await tokens.revoke(ANN, TEAM, "ci")
    assert not cluster.of("ServiceAccount")


async def test_an_account_that_is_a_member_already_gets_no_token(
    cluster: TeamCluster, tokens: Tokens
) -> None:
    """Its token would have the member's role, too, and be shown with the one that was asked for."""
    account = Subject(SubjectKind.SERVICE_ACCOUNT, "aichat-token-ci")
    await Members(tokens.roles).invite(ANN, TEAM, account, Role.ADMIN, dry_run=False)
    with pytest.raises(ProblemError, match="is a member") as raised:
        await tokens.create(ANN, TEAM, CI)
    assert raised.value.status == 409
    assert not cluster.of("ServiceAccount")
    with pytest.raises(ValidationError, match="those of tokens"):
        Invitation.model_validate(
            {"kind": "ServiceAccount", "name": "aichat-token-ci", "role": "admin"}
        )


async def test_who_may_not_delete_accounts_deletes_no_expired_ones(
    cluster: TeamCluster, tokens: Tokens
) -> None:
    await tokens.create(ANN, TEAM, CI)
    cluster.allows = lambda review: review["verb"] != "delete"
    later = Tokens(tokens.roles, tokens.audience, lambda: NOW.replace(hour=2))
    await later.create(ANN, TEAM, CI.model_copy(update={"name": "next"}))
    assert {token["name"] for token in await later.read(ANN, TEAM)} == {"ci", "next"}


async def test_a_team_has_a_bounded_number_of_tokens_and_expired_ones_make_room(
    tokens: Tokens,
) -> None:
    for number in range(MAX_TOKENS):
        await tokens.create(ANN, TEAM, CI.model_copy(update={"name": f"ci-{number}"}))
    with pytest.raises(ProblemError) as raised:
        await tokens.create(ANN, TEAM, CI)
    assert (raised.value.status, raised.value.code) == (409, "too-many-tokens")
    later = Tokens(tokens.roles, tokens.audience, lambda: NOW.replace(hour=2))
    await later.create(ANN, TEAM, CI)
    assert [account["name"] for account in await later.read(ANN, TEAM)] == ["ci"]


async def test_revoking_deletes_the_account(cluster: TeamCluster, tokens: Tokens) -> None:
    await tokens.create(ANN, TEAM, CI)
    assert (await tokens.revoke(ANN, TEAM, "ci"))["name"] == "ci"
    assert not cluster.of("ServiceAccount")


@pytest.mark.parametrize(
    ("act", "verb"),
    [
        (lambda tokens: tokens.read(ANN, TEAM), "list"),
        (lambda tokens: tokens.revoke(ANN, TEAM, "ci"), "delete"),
    ],
)
async def test_who_may_not_is_told_so(
    cluster: TeamCluster, tokens: Tokens, act: Any, verb: str
) -> None:
    cluster.allows = lambda review: review["verb"] != verb
    with pytest.raises(ProblemError) as raised:
        await act(tokens)
    assert f"may not {verb} serviceaccounts" in raised.value.detail


async def test_no_account_is_made_outside_of_teams(cluster: TeamCluster) -> None:
    roles = team_roles(cluster, namespace("kube-system"))
    with pytest.raises(ProblemError) as raised:
        await Tokens(roles, "aichat-workspace-api").create(ANN, "kube-system", CI)
    assert raised.value.status == 404
    assert not cluster.of("ServiceAccount")


@pytest.mark.parametrize("noted", ["", "soon", "2026-01-01", "9999-01-01T00:00:00Z"])
async def test_what_others_wrote_on_an_account_hides_no_live_token(
    cluster: TeamCluster, tokens: Tokens, noted: str
) -> None:
    await tokens.create(ANN, TEAM, CI)
    (account,) = cluster.of("ServiceAccount")
    account["metadata"]["annotations"] = {
        names.EXPIRES_ANNOTATION: noted,
        names.ROLE_ANNOTATION: "root",
    }
    (document,) = await tokens.read(ANN, TEAM)
    assert document["expires"] == "2026-04-01T00:00:00Z"
    assert (document["role"], document["createdBy"]) == (None, None)
