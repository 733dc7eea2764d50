"""All workspaces of a team are changed, each by itself."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from aichat_workspace.api.auth import audit_log
from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.auth.authorization import Authorizer
from aichat_workspace.api.teams import actions as team_actions
from aichat_workspace.api.teams.actions import Outcome
from aichat_workspace.api.web.limits.rate_limits import RateLimits
from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.api.workspaces.writing.service import Workspaces
from aichat_workspace.foundation.resource import Resource
from aichat_workspace.kube.errors import UnreachableError
from tests.fakes.workspace_client import FakeWorkspaceClient
from tests.unit.api.samples import resource

ANN = Caller("ann", "1", ())


@dataclass
class FakeClient(FakeWorkspaceClient):
    """A team's workspaces; everything is allowed unless forbidden."""

    forbidden: set[tuple[str, str]] = field(default_factory=set)
    """Verbs and names of resources; an empty name for the whole team."""
    unreachable: str = ""
    """Whose write gets no answer."""
    written: list[str] = field(default_factory=list)

    async def json_patch(self, resource: Resource, name: str, *arguments: Any, **how: Any) -> Any:
        if name == self.unreachable:
            raise UnreachableError("reset")
        self.written.append(name)
        return await super().json_patch(resource, name, *arguments, **how)


def team(*names: str, suspended: str = "") -> FakeClient:
    client = FakeClient()
    client.allows = lambda attributes: (
        attributes.get("namespace") == "red"
        and (attributes["verb"], attributes.get("name", "")) not in client.forbidden
    )
    client.cluster = ClusterView(client, {})
    for version, name in enumerate(names, start=1):
        spec = {"suspended": name == suspended}
        client.watch_event(resource(name, team="red", version=version, spec=spec))
    return client


def service(client: FakeClient) -> Workspaces:
    assert client.cluster is not None
    limits = RateLimits.create(1e6, 10**6)
    return Workspaces(client.cluster, Authorizer.create(client, limits), client)


async def test_each_workspace_is_told_apart_and_one_line_names_them() -> None:
    client = team("a", "b", "c", "d", suspended="d")
    client.forbidden, client.unreachable = {("patch", "b")}, "c"
    with audit_log.collect_notes() as notes:
        outcome = await team_actions.set_suspended(
            service(client), ANN, "red", is_suspended=True, dry_run=False
        )
    statuses = [(change.name, change.status) for change in outcome.outcomes]
    assert statuses == [("a", 202), ("b", 403), ("c", 503), ("d", 200)]
    assert (outcome.remaining, client.written) == (0, ["a"])
    assert notes == {"team": "red", "changed": ["a"], "failed": ["b", "c"], "unknown": ["c"]}


async def test_who_may_not_list_a_team_learns_nothing_of_it() -> None:
    client = team("a")
    client.forbidden = {("list", "")}
    with pytest.raises(ProblemError) as caught:
        await team_actions.set_suspended(
            service(client), ANN, "red", is_suspended=True, dry_run=False
        )
    assert (caught.value.status, client.written) == (403, [])


async def test_a_repeated_request_goes_on_with_what_remains(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(team_actions, "MAX_CHANGES", 2)
    client = team("a", "b", "c")
    workspaces = service(client)
    remaining = []
    for _ in range(2):
        outcome = await team_actions.set_suspended(
            workspaces, ANN, "red", is_suspended=True, dry_run=False
        )
        remaining.append(outcome.remaining)
    assert remaining == [1, 0]
    assert sorted(client.written) == ["a", "b", "c"]
    assert outcome.outcomes == (Outcome("a", 200), Outcome("b", 200), Outcome("c", 202))


async def test_no_change_begins_once_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team_actions, "_SECONDS", 0.0)
    client = team(*"abcdef")
    outcome = await team_actions.set_suspended(
        service(client), ANN, "red", is_suspended=True, dry_run=False
    )
    assert (len(client.written), outcome.remaining) == (4, 2)


async def test_a_dry_run_writes_nothing() -> None:
    client = team("a")
    outcome = await team_actions.set_suspended(
        service(client), ANN, "red", is_suspended=True, dry_run=True
    )
    assert outcome.outcomes == (Outcome("a", 202),)
    assert client.cluster is not None
    assert not client.cluster.claimants("a")[0].document["spec"]["suspended"]
