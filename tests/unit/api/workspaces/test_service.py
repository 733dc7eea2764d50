from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest
from structlog.testing import capture_logs

from aichat_workspace.api.auth.authentication import Caller
from aichat_workspace.api.auth.authorization import Authorizer
from aichat_workspace.api.schemas.workspace import WorkspaceCreate
from aichat_workspace.api.web.problems import ProblemError
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.api.workspaces.service import ChangeOptions, Workspaces
from aichat_workspace.api.workspaces.views import view
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    ForbiddenError,
    UnreachableError,
)
from aichat_workspace.kube.resource import Resource
from tests.unit.api.samples import resource

ANN = Caller("ann", "1", ())
TEAM = "aichat-workspace-operator-system"


class ApiServer(Client):
    """Holds what is created; `meanwhile` is what its watch tells before a create is answered.
    Changes are carried out, and told by the watch at once; then `fails` is raised, if it is there.
    `now` is what stands at the place of whatever is asked for."""

    def __init__(self, cluster: ClusterView | None = None) -> None:
        self.cluster = cluster
        self.made: dict[str, Any] = {}
        self.meanwhile: list[dict[str, Any]] = []
        self.deleted: list[str] = []
        self.there: list[dict[str, Any]] = []
        self.lists: list[int] = []
        self.now = resource("another", resource="team-a", team=TEAM)
        self.fails: Exception | None = None
        self.allows: Callable[[dict[str, Any]], bool] = lambda _: True
        self.reviewed: list[dict[str, Any]] = []

    async def list_pages(self, *_: Any, page_size: int = 500, **__: Any) -> AsyncIterator[Any]:
        self.lists.append(page_size)
        yield {"metadata": {"resourceVersion": "20"}, "items": self.there[:page_size]}

    def tells(self, obj: dict[str, Any]) -> None:
        assert self.cluster is not None
        self.cluster.workspaces._store.put(obj)

    async def create(self, *_: Any, **__: Any) -> Any:
        for each in self.meanwhile:
            self.tells(each)
        self._fail()
        if not self.made:
            raise AlreadyExistsError(409, "AlreadyExists", "it is there")
        return self.made

    async def get(self, *_: Any) -> Any:
        return self.now

    async def json_patch(
        self,
        resource: Resource,
        name: str,
        namespace: str | None,
        operations: Sequence[Any],
        *,
        field_manager: str,
        dry_run: bool = False,
    ) -> Any:
        assert (resource.kind, field_manager) == ("AIChatWorkspace", "aichat-workspace-api")
        held = self.cluster and self.cluster.workspaces.get(namespace or "", name)
        assert held
        spec, before = operations[-1]["value"], held["metadata"]
        changed = {} if spec == held["spec"] else {"generation": before["generation"] + 1}
        version = {"resourceVersion": str(int(before["resourceVersion"]) + len(changed))}
        written = {**held, "spec": spec, "metadata": {**before, **changed, **version}}
        if not dry_run:
            self.tells(written)
        self._fail()
        return written

    async def delete(self, *at: Any, **how: Any) -> None:
        if not how.get("dry_run"):
            self.deleted.append("/".join(map(str, at[1:])))
            held = self.cluster and self.cluster.workspaces.get(at[2], at[1])
            if self.cluster and held:
                self.cluster.workspaces._store.remove(held)
        self._fail()

    async def review(self, _: str, body: dict[str, Any]) -> Any:
        asked = body["spec"]["resourceAttributes"]
        self.reviewed.append(asked)
        return {"status": {"allowed": self.allows(asked)}}

    def _fail(self) -> None:
        if self.fails:
            raise self.fails


@pytest.fixture
async def server() -> ApiServer:
    found = ApiServer()
    found.cluster = ClusterView(found, {})
    return found


def workspaces(server: ApiServer) -> Workspaces:
    assert server.cluster is not None
    return Workspaces(server, server.cluster, Authorizer.create(server))


def wish(name: str = "team-a", **spec: Any) -> WorkspaceCreate:
    return WorkspaceCreate.model_validate({"spec": {"workspaceName": name, **spec}})


async def test_of_two_who_create_one_name_the_first_keeps_it_whatever_came_since(
    server: ApiServer,
) -> None:
    """The operator may have touched the first one before its creator is answered."""
    mine = resource(team=TEAM, version=10, owner="ann")
    theirs = resource(team="other", version=11, uid="theirs")
    server.made = mine
    server.meanwhile = [mine, theirs, resource(team=TEAM, version=12, owner="ann")]
    view, is_new = await workspaces(server).create(ANN, wish(), dry_run=False)
    assert (view.key, is_new) == ((TEAM, "team-a"), True)
    assert not server.deleted


async def test_of_two_who_create_one_name_the_second_takes_its_own_back(server: ApiServer) -> None:
    mine = resource(team=TEAM, version=11, owner="ann")
    server.made = mine
    first = resource(team="other", version=10, uid="theirs")
    server.meanwhile = [first, mine, resource(team="other", version=12, uid="theirs")]
    with pytest.raises(ProblemError) as caught:
        await workspaces(server).create(ANN, wish(), dry_run=False)
    assert caught.value.code == "name-taken"
    assert server.deleted == [f"team-a/{TEAM}"]


async def test_a_resource_of_the_name_for_another_workspace_is_called_so(server: ApiServer) -> None:
    with pytest.raises(ProblemError) as caught:
        await workspaces(server).create(ANN, wish(), dry_run=False)
    assert caught.value.code == "resource-name-taken"
    assert "'another'" not in caught.value.detail  # nothing that its maker may see


async def test_the_version_that_there_is_costs_no_whole_list(server: ApiServer) -> None:
    assert await workspaces(server).version() == 20
    assert server.lists == [1]


async def test_a_list_that_shows_that_all_is_known_is_remembered(server: ApiServer) -> None:
    assert server.cluster is not None
    server.there = [resource("a", version=10), resource("b", version=11)]
    server.cluster.workspaces._store.reset(server.there[:1], 10)
    assert not await workspaces(server).is_complete()
    assert server.cluster.complete_version == 10
    server.cluster.workspaces._store.put(server.there[1])
    assert await workspaces(server).is_complete()
    assert server.cluster.complete_version == 20


async def test_a_resource_of_the_name_that_is_no_workspace_is_in_the_way_as_well(
    server: ApiServer,
) -> None:
    del server.now["spec"]
    with pytest.raises(ProblemError) as caught:
        await workspaces(server).create(ANN, wish(), dry_run=False)
    assert caught.value.code == "resource-name-taken"


Use = Callable[[Workspaces, bool], Awaitable[object]]
CHANGES: dict[str, Use] = {
    "replace": lambda use, dry_run: use.replace(
        ANN, "team-a", wish(models=("m",)).spec, ChangeOptions(if_match="*", dry_run=dry_run)
    ),
    "patch": lambda use, dry_run: use.patch(
        ANN, "team-a", {"models": ["m"]}, ChangeOptions(dry_run=dry_run)
    ),
    "suspend": lambda use, dry_run: use.patch(
        ANN, "team-a", {"suspended": True}, ChangeOptions(dry_run=dry_run), action="suspend"
    ),
    "resume": lambda use, dry_run: use.patch(
        ANN, "team-a", {"suspended": False}, ChangeOptions(dry_run=dry_run), action="resume"
    ),
    "delete": lambda use, dry_run: use.delete(ANN, "team-a", ChangeOptions(dry_run=dry_run)),
    "create": lambda use, dry_run: use.create(ANN, wish(), dry_run=dry_run),
}


def ready_for(server: ApiServer, action: str) -> Workspaces:
    """A workspace to change, or what is to be created."""
    spec = {"suspended": True} if action == "resume" else {}
    held = resource(team=TEAM, version=10, owner="ann", spec=spec)
    if action == "create":
        server.made, server.meanwhile = held, [held]
    else:
        server.tells(held)
    return workspaces(server)


@pytest.mark.parametrize("action", CHANGES)
async def test_each_change_leaves_one_line_of_who_did_what(server: ApiServer, action: str) -> None:
    use = ready_for(server, action)
    with capture_logs() as logs:
        await CHANGES[action](use, False)
    outcome = 201 if action == "create" else 202
    said = {"user": "ann", "team": TEAM, "workspace": "team-a", "outcome": outcome}
    assert logs == [{"event": "audit", "log_level": "info", "action": action, **said}]


@pytest.mark.parametrize("action", CHANGES)
async def test_a_rehearsed_change_leaves_no_line(server: ApiServer, action: str) -> None:
    use = ready_for(server, action)
    with capture_logs() as logs:
        await CHANGES[action](use, True)
    server.fails = UnreachableError("reset")
    with capture_logs() as more, suppress(UnreachableError):
        await CHANGES[action](use, True)
    assert not logs
    assert not more


async def test_what_was_so_already_leaves_no_line(server: ApiServer) -> None:
    server.tells(resource(team=TEAM, version=10, spec={"suspended": True}))
    with capture_logs() as logs:
        await CHANGES["suspend"](workspaces(server), False)
    assert not logs


@pytest.mark.parametrize("action", CHANGES)
@pytest.mark.parametrize("lost", [UnreachableError("reset"), ApiError(504, "Timeout", "etcd")])
async def test_a_change_whose_reply_is_lost_leaves_a_line_that_says_so(
    server: ApiServer, action: str, lost: Exception
) -> None:
    use = ready_for(server, action)
    server.fails = lost
    with capture_logs() as logs, pytest.raises(type(lost)):
        await CHANGES[action](use, False)
    (line,) = logs
    assert (line["user"], line["action"], line["team"]) == ("ann", action, TEAM)
    assert (line["workspace"], line["outcome"]) == ("team-a", 503)
    assert "it is unknown" in line["note"]


@pytest.mark.parametrize("action", CHANGES)
async def test_a_change_that_is_refused_leaves_no_line(server: ApiServer, action: str) -> None:
    use = ready_for(server, action)
    server.fails = ForbiddenError(403, "Forbidden", "exceeded quota")
    with capture_logs() as logs, pytest.raises(ForbiddenError):
        await CHANGES[action](use, False)
    assert not logs


@pytest.mark.parametrize("fails", [None, UnreachableError("reset"), ApiError(500, "x", "etcd")])
async def test_what_is_taken_back_is_made_and_taken_back_in_the_log(
    server: ApiServer, fails: Exception | None
) -> None:
    mine = resource(team=TEAM, version=11, owner="ann")
    server.made = mine
    server.meanwhile = [resource(team="other", version=10, uid="theirs"), mine]
    use = workspaces(server)
    create = server.create

    async def then_fails(*at: Any, **how: Any) -> Any:
        made = await create(*at, **how)
        server.fails = fails
        return made

    server.create = then_fails  # type: ignore[method-assign]
    with capture_logs() as logs, pytest.raises(ProblemError) as caught:
        await use.create(ANN, wish(), dry_run=False)
    assert caught.value.code == "name-taken"
    assert [(each["action"], each["outcome"]) for each in logs] == [
        ("create", 201),
        ("take back", 409),
    ]
    assert ("may still be there" in logs[1]["note"]) is (fails is not None)


async def test_what_is_not_there_is_asked_for_as_what_is_hidden_is(server: ApiServer) -> None:
    """Else the time that an answer takes would tell one from the other."""
    server.allows = lambda _: False
    server.tells(resource("hidden", team=TEAM))
    use = workspaces(server)
    for verb, part in (("get", ""), ("delete", ""), ("get", "log")):
        asked = []
        for name in ("hidden", f"unknown-{verb}-{part}"):
            before = len(server.reviewed)
            with pytest.raises(ProblemError) as caught:
                await use.find(ANN, verb, name, subresource=part)
            assert caught.value.code == "workspace-not-found"
            asked.append(len(server.reviewed) - before)
        server.reviewed.clear()
        if (verb, part) == ("get", ""):
            assert asked == [1, 1]
    assert asked[1] == 2


async def test_what_was_made_anew_is_a_conflict_for_whoever_sent_no_etag(
    server: ApiServer,
) -> None:
    old = resource(team=TEAM, version=10, uid="old")
    server.now = resource(team=TEAM, version=20, uid="new")
    use = workspaces(server)
    etag = view(old).etag
    for change, status in (
        (use.delete(ANN, "team-a"), 409),
        (use.patch(ANN, "team-a", {"suspended": True}), 409),
        (use.delete(ANN, "team-a", ChangeOptions(if_match=etag)), 412),
        (use.patch(ANN, "team-a", {"suspended": True}, ChangeOptions(if_match=etag)), 412),
    ):
        server.tells(old)
        server.fails = ConflictError(409, "Conflict", "the UID is another")
        with pytest.raises(ProblemError) as caught:
            await change
        assert caught.value.status == status


async def test_an_etag_of_what_was_made_anew_changes_just_that(server: ApiServer) -> None:
    """Its reader has it from a replica that knows more."""
    server.tells(resource(team=TEAM, version=10, uid="old"))
    server.now = resource(team=TEAM, version=20, uid="new")
    await workspaces(server).delete(ANN, "team-a", ChangeOptions(if_match=view(server.now).etag))
    assert server.deleted == [f"team-a/{TEAM}"]


async def test_a_delete_that_never_meets_the_same_state_twice_is_a_conflict(
    server: ApiServer,
) -> None:
    server.now = resource(team=TEAM, version=10)
    server.tells(server.now)
    server.fails = ConflictError(409, "Conflict", "moved")
    with pytest.raises(ProblemError) as caught:
        await workspaces(server).delete(ANN, "team-a")
    assert (caught.value.status, caught.value.code) == (409, "conflict")


_STORED: dict[str, Any] = {"ofTomorrow": {"a": 1}, "models": ["no model's name"], "quota": {"x": 1}}


async def test_what_was_stored_under_other_rules_hinders_no_change_and_stays(
    server: ApiServer,
) -> None:
    server.tells(resource(team=TEAM, version=10, spec=_STORED))
    found, _ = await workspaces(server).patch(ANN, "team-a", {"suspended": True})
    assert found.document["spec"] == {"workspaceName": "team-a", **_STORED, "suspended": True}


@pytest.mark.parametrize(
    ("patch", "field"),
    [
        ({"ofTomorrow": {"a": 2}}, "spec.ofTomorrow"),
        ({"unknown": 1}, "spec.unknown"),
        ({"models": ["no name either"]}, "spec.models[0]"),
        ({"quota": {"y": 1}}, "spec.quota.y"),
    ],
)
async def test_what_the_caller_writes_is_held_to_the_rules_all_the_same(
    server: ApiServer, patch: dict[str, Any], field: str
) -> None:
    server.tells(resource(team=TEAM, version=10, spec=_STORED))
    with pytest.raises(ProblemError) as caught:
        await workspaces(server).patch(ANN, "team-a", patch)
    assert [each.field for each in caught.value.errors] == [field]
