from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from aichat_workspace.api.auth import audit_log
from aichat_workspace.api.auth.authorization import Authorizer
from aichat_workspace.api.schemas.history import HistoryEntry
from aichat_workspace.api.schemas.workspace import WorkspaceCreate
from aichat_workspace.api.web.limits.rate_limits import RateLimits
from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.api.workspaces.history import record
from aichat_workspace.api.workspaces.logs.reader import Workload
from aichat_workspace.api.workspaces.views import view
from aichat_workspace.api.workspaces.writing.service import ChangeOptions, Workspaces
from aichat_workspace.domain.policy import limits
from aichat_workspace.domain.v1alpha1.platform_spec import PLATFORM_NAME, PlatformSpec
from aichat_workspace.kube.errors import (
    ApiError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    UnreachableError,
)
from tests.fakes.workspace_client import FakeWorkspaceClient
from tests.unit.api.samples import ANN, resource

TEAM = "aichat-workspace-operator-system"


@pytest.fixture
async def client() -> FakeWorkspaceClient:
    client = FakeWorkspaceClient(stored=resource("another", resource="team-a", team=TEAM))
    client.cluster = ClusterView(client, {})
    return client


@pytest.fixture
def workspaces(client: FakeWorkspaceClient) -> Workspaces:
    assert client.cluster is not None
    authorizer = Authorizer.create(client, RateLimits.create(1e6, 10**6))
    return Workspaces(client.cluster, authorizer, client)


def create_body(name: str = "team-a", **spec: Any) -> WorkspaceCreate:
    return WorkspaceCreate.model_validate({"spec": {"workspaceName": name, **spec}})


class TestCreate:
    async def test_the_first_of_two_creations_of_a_name_keeps_it_after_later_changes(
        self, client: FakeWorkspaceClient, workspaces: Workspaces
    ) -> None:
        """The operator may have changed the first one before its creator gets the response."""
        first = resource(team=TEAM, version=10, owner="ann")
        second = resource(team="other", version=11, uid="second")
        changed = resource(team=TEAM, version=12, owner="ann")
        client.creates(first, events=[first, second, changed])
        view, is_new = await workspaces.create(ANN, create_body(), dry_run=False)
        assert (view.key, is_new) == ((TEAM, "team-a"), True)
        assert not client.deleted

    async def test_the_second_of_two_creations_of_a_name_is_undone(
        self, client: FakeWorkspaceClient, workspaces: Workspaces
    ) -> None:
        first = resource(team="other", version=10, uid="first")
        second = resource(team=TEAM, version=11, owner="ann")
        changed = resource(team="other", version=12, uid="first")
        client.creates(second, events=[first, second, changed])
        with pytest.raises(ProblemError) as caught:
            await workspaces.create(ANN, create_body(), dry_run=False)
        assert caught.value.code == "name-taken"
        assert client.deleted == [f"team-a/{TEAM}"]

    async def test_a_resource_name_of_another_workspace_is_a_conflict_without_its_name(
        self, workspaces: Workspaces
    ) -> None:
        with pytest.raises(ProblemError) as caught:
            await workspaces.create(ANN, create_body(), dry_run=False)
        assert caught.value.code == "resource-name-taken"
        assert "'another'" not in caught.value.detail  # the caller may not see it

    async def test_a_resource_name_without_a_workspace_is_a_conflict(
        self, client: FakeWorkspaceClient, workspaces: Workspaces
    ) -> None:
        del client.stored["spec"]
        with pytest.raises(ProblemError) as caught:
            await workspaces.create(ANN, create_body(), dry_run=False)
        assert caught.value.code == "resource-name-taken"


Change = Callable[[Workspaces, bool], Awaitable[object]]
CHANGES: dict[str, Change] = {
    "replace": lambda workspaces, dry_run: workspaces.replace(
        ANN,
        "team-a",
        create_body(models=("m",)).spec,
        ChangeOptions(if_match="*", dry_run=dry_run),
    ),
    "patch": lambda workspaces, dry_run: workspaces.patch(
        ANN, "team-a", {"models": ["m"]}, ChangeOptions(dry_run=dry_run)
    ),
    "suspend": lambda workspaces, dry_run: workspaces.patch(
        ANN, "team-a", {"suspended": True}, ChangeOptions(dry_run=dry_run)
    ),
    "resume": lambda workspaces, dry_run: workspaces.patch(
        ANN, "team-a", {"suspended": False}, ChangeOptions(dry_run=dry_run)
    ),
    "delete": lambda workspaces, dry_run: workspaces.delete(
        ANN, "team-a", ChangeOptions(dry_run=dry_run)
    ),
    "create": lambda workspaces, dry_run: workspaces.create(ANN, create_body(), dry_run=dry_run),
}


def prepare(client: FakeWorkspaceClient, action: str) -> None:
    """Provide the workspace that the action changes or creates."""
    spec = {"suspended": True} if action == "resume" else {}
    obj = resource(team=TEAM, version=10, owner="ann", spec=spec)
    if action == "create":
        client.creates(obj, events=[obj])
    else:
        client.watch_event(obj)


class TestAudit:
    @pytest.mark.parametrize("action", CHANGES)
    @pytest.mark.parametrize("dry_run", [False, True])
    async def test_each_change_notes_what_it_is_about(
        self, client: FakeWorkspaceClient, workspaces: Workspaces, action: str, dry_run: bool
    ) -> None:
        prepare(client, action)
        with audit_log.collect_notes() as notes:
            await CHANGES[action](workspaces, dry_run)
        about = {"team": TEAM, "workspace": "team-a"}
        assert notes == about | ({"dry_run": True} if dry_run else {})

    @pytest.mark.parametrize("action", CHANGES)
    @pytest.mark.parametrize("error", [UnreachableError("reset"), ApiError(504, "Timeout", "etcd")])
    @pytest.mark.parametrize("dry_run", [False, True])
    async def test_a_change_whose_reply_is_lost_is_noted_and_a_dry_run_is_not(
        self,
        client: FakeWorkspaceClient,
        workspaces: Workspaces,
        action: str,
        error: Exception,
        dry_run: bool,
    ) -> None:
        prepare(client, action)
        client.error = error
        with audit_log.collect_notes() as notes, pytest.raises(type(error)):
            await CHANGES[action](workspaces, dry_run)
        assert ("it is unknown" in notes.get("note", "")) is not dry_run

    @pytest.mark.parametrize("action", CHANGES)
    async def test_the_outcome_of_a_refused_change_is_known(
        self, client: FakeWorkspaceClient, workspaces: Workspaces, action: str
    ) -> None:
        prepare(client, action)
        client.error = ForbiddenError(403, "Forbidden", "exceeded quota")
        with audit_log.collect_notes() as notes, pytest.raises(ForbiddenError):
            await CHANGES[action](workspaces, False)
        assert "note" not in notes

    @pytest.mark.parametrize("error", [None, UnreachableError("reset"), ApiError(500, "x", "etcd")])
    async def test_an_undone_creation_is_noted(
        self, client: FakeWorkspaceClient, workspaces: Workspaces, error: Exception | None
    ) -> None:
        first = resource(team="other", version=10, uid="first")
        second = resource(team=TEAM, version=11, owner="ann")
        client.creates(second, events=[first, second], error=error)
        with audit_log.collect_notes() as notes, pytest.raises(ProblemError) as caught:
            await workspaces.create(ANN, create_body(), dry_run=False)
        assert caught.value.code == "name-taken"
        assert ("may still be there" in notes["note"]) is (error is not None)
        assert "another had the name before" in notes["note"]


EVERY_TAINT = {"tolerations": [{"operator": "Exists"}]}


class TestHistory:
    async def history(self, workspaces: Workspaces) -> list[tuple[str | None, str]]:
        workspace = await workspaces.find(ANN, "get", "team-a")
        return [(entry.user, entry.action) for entry in record.parse(workspace.annotations)]

    @pytest.mark.parametrize("action", ["replace", "patch", "suspend", "resume"])
    async def test_a_change_is_recorded_in_the_same_write(
        self, client: FakeWorkspaceClient, workspaces: Workspaces, action: str
    ) -> None:
        prepare(client, action)
        await CHANGES[action](workspaces, False)
        expected = action if action in ("suspend", "resume") else "edit"
        assert await self.history(workspaces) == [("ann", expected)]

    @pytest.mark.parametrize("action", ["replace", "patch", "suspend", "resume"])
    async def test_a_dry_run_is_not_recorded(
        self, client: FakeWorkspaceClient, workspaces: Workspaces, action: str
    ) -> None:
        prepare(client, action)
        await CHANGES[action](workspaces, True)
        assert await self.history(workspaces) == []

    async def test_what_changes_nothing_is_not_recorded(
        self, client: FakeWorkspaceClient, workspaces: Workspaces
    ) -> None:
        client.watch_event(resource(team=TEAM, version=10))
        _, has_changed = await workspaces.patch(ANN, "team-a", {"suspended": None})
        assert not has_changed
        assert await self.history(workspaces) == []

    async def changed(self, workspaces: Workspaces, **changes: Any) -> HistoryEntry:
        await workspaces.patch(ANN, "team-a", changes)
        workspace = await workspaces.find(ANN, "get", "team-a")
        return record.parse(workspace.annotations)[-1]

    async def test_a_model_that_is_added_to_those_of_the_size_class_is_the_only_one_that_comes(
        self, client: FakeWorkspaceClient, workspaces: Workspaces
    ) -> None:
        put_size_classes(client, {"name": "small", "models": ["gemma2:2b", "mistral"]})
        client.watch_event(resource(team=TEAM, version=10, spec={"className": "small"}))
        entry = await self.changed(workspaces, models=["gemma2:2b", "mistral", "llama3.2"])
        assert (entry.added, entry.removed) == (("llama3.2",), ())
        entry = await self.changed(workspaces, models=["mistral"])
        assert (entry.added, entry.removed) == ((), ("gemma2:2b", "llama3.2"))

    async def test_models_of_a_class_that_is_not_known_keep_no_change_out(
        self,
        client: FakeWorkspaceClient,
        workspaces: Workspaces,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def models_of(*_: object) -> tuple[str, ...]:
            raise ProblemError(503, "unavailable", "the class is not known")

        monkeypatch.setattr(workspaces.cluster, "models_of", models_of)
        client.watch_event(resource(team=TEAM, version=10, spec={"className": "gone"}))
        entry = await self.changed(workspaces, displayName="Ann's", models=["mistral"])
        assert (entry.changed, entry.added) == (("spec.displayName", "spec.models"), ("mistral",))

    async def test_full_annotations_keep_no_change_out(
        self, client: FakeWorkspaceClient, workspaces: Workspaces
    ) -> None:
        full = resource(team=TEAM, version=10)
        full["metadata"]["annotations"]["other"] = "x" * (record.MAX_ANNOTATIONS_BYTES - 100)
        client.watch_event(full)
        _, has_changed = await workspaces.patch(ANN, "team-a", {"suspended": True})
        assert has_changed
        assert [operation["op"] for operation in client.patches[0]] == ["test", "test", "replace"]

    async def test_a_state_whose_annotations_have_gone_is_read_again(
        self, client: FakeWorkspaceClient, workspaces: Workspaces
    ) -> None:
        """The patch fails then, though the spec is the same."""
        stale = resource(team=TEAM, version=10)
        client.watch_event(stale)
        client.stored = {**stale, "metadata": {**stale["metadata"], "annotations": {}}}
        client.error = InvalidError(422, "Invalid", "the path does not exist")
        with pytest.raises(InvalidError):
            await workspaces.patch(ANN, "team-a", {"suspended": True})
        assert len(client.patches) == 2
        assert {"op": "test", "path": "/metadata/annotations", "value": None} in client.patches[1]


class TestLimits:
    async def test_a_spec_beyond_the_platforms_limits_is_refused_with_the_field_and_the_same_text(
        self, client: FakeWorkspaceClient, workspaces: Workspaces
    ) -> None:
        client.creates(resource(team=TEAM, version=10, owner="ann"))
        body = create_body(scheduling=EVERY_TAINT, ingress={"className": "public"})
        with pytest.raises(ProblemError) as caught:
            await workspaces.create(ANN, body, dry_run=False)
        expected = limits.violations(body.spec, PlatformSpec())
        assert [(error.field, error.message) for error in caught.value.errors] == [
            (violation.field, violation.message) for violation in expected
        ]
        assert [error.field for error in caught.value.errors] == [
            "spec.scheduling.tolerations[0]",
            "spec.ingress.className",
        ]
        assert caught.value.status == 422

    async def test_a_change_beyond_a_limit_is_refused(
        self, client: FakeWorkspaceClient, workspaces: Workspaces
    ) -> None:
        client.watch_event(resource(team=TEAM, version=10))
        with pytest.raises(ProblemError, match="tolerates every taint") as caught:
            await workspaces.patch(ANN, "team-a", {"scheduling": EVERY_TAINT})
        assert caught.value.errors[0].field == "spec.scheduling.tolerations[0]"

    async def test_what_a_workspace_had_before_a_limit_was_lowered_keeps_no_change_out(
        self, client: FakeWorkspaceClient, workspaces: Workspaces
    ) -> None:
        before = resource(team=TEAM, version=10, spec={"scheduling": EVERY_TAINT})
        client.watch_event(before)
        _, has_changed = await workspaces.patch(ANN, "team-a", {"suspended": True})
        assert has_changed


def put_size_classes(client: FakeWorkspaceClient, *classes: dict[str, Any]) -> None:
    metadata = {"name": PLATFORM_NAME, "resourceVersion": "1"}
    assert client.cluster is not None
    client.cluster._platform._store.put({"metadata": metadata, "spec": {"sizeClasses": classes}})


class TestSizeClasses:
    @pytest.fixture(autouse=True)
    async def classes(self, client: FakeWorkspaceClient) -> None:
        put_size_classes(
            client,
            {"name": "small"},
            {"name": "theirs", "allowedTeams": ["science"]},
            {"name": "old", "successor": "small"},
        )

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("huge", "there is no size class 'huge'"),
            ("theirs", "may not choose the size class 'theirs'"),
            ("old", "'old' is retired, and 'small' has replaced it"),
        ],
    )
    async def test_no_new_workspace_gets_a_class_that_its_team_is_not_offered(
        self, workspaces: Workspaces, name: str, message: str
    ) -> None:
        with pytest.raises(ProblemError) as caught:
            await workspaces.create(ANN, create_body(className=name), dry_run=True)
        (error,) = caught.value.errors
        assert (caught.value.status, error.field) == (422, "spec.className")
        assert message in error.message
        assert f"'{TEAM}' may choose small;" in error.message

    async def test_a_workspace_keeps_a_retired_class_and_no_other_changes_to_it(
        self, client: FakeWorkspaceClient, workspaces: Workspaces
    ) -> None:
        client.watch_event(resource(team=TEAM, version=10, spec={"className": "old"}))
        _, has_changed = await workspaces.patch(ANN, "team-a", {"suspended": True})
        assert has_changed
        client.watch_event(resource(team=TEAM, version=50, spec={"className": "small"}))
        with pytest.raises(ProblemError, match="is retired"):
            await workspaces.patch(ANN, "team-a", {"className": "old"})


async def test_a_missing_workspace_takes_as_many_reviews_as_a_hidden_one(
    client: FakeWorkspaceClient, workspaces: Workspaces
) -> None:
    """Else the time of an answer would reveal which it is."""
    client.allows = lambda _: False
    client.watch_event(resource("hidden", team=TEAM))
    for verb, part in (("get", ""), ("delete", ""), ("get", "log")):
        counts = []
        for name in ("hidden", f"unknown-{verb}-{part}"):
            before = len(client.reviews)
            with pytest.raises(ProblemError) as caught:
                await workspaces.find(ANN, verb, name, subresource=part)
            assert caught.value.code == "workspace-not-found"
            counts.append(len(client.reviews) - before)
        client.reviews.clear()
        if (verb, part) == ("get", ""):
            assert counts == [1, 1]
    assert counts[1] == 2


class TestAddress:
    """Two resources name the workspace chat; team-a's is the holder."""

    @pytest.fixture(autouse=True)
    def _claimants(self, client: FakeWorkspaceClient) -> None:
        rejected = {"conditions": [{"type": "Ready", "reason": "WorkspaceNameTaken"}]}
        client.watch_event(resource("chat", team="team-b", uid="b", version=2, status=rejected))
        client.watch_event(resource("chat", team="team-a", uid="a", version=1))

    @pytest.mark.parametrize(
        ("visible", "team"),
        [({"team-a", "team-b"}, "team-a"), ({"team-a"}, "team-a"), ({"team-b"}, "team-b")],
    )
    async def test_a_name_leads_to_the_first_claimant_that_the_caller_may_see(
        self, client: FakeWorkspaceClient, workspaces: Workspaces, visible: set[str], team: str
    ) -> None:
        client.allows = lambda attributes: attributes["namespace"] in visible
        assert (await workspaces.find(ANN, "get", "chat")).team == team
        await workspaces.delete(ANN, "chat")
        assert client.deleted == [f"chat/{team}"]

    async def test_a_team_says_which_claimant(self, workspaces: Workspaces) -> None:
        assert (await workspaces.find(ANN, "get", "chat", "team-b")).team == "team-b"

    async def test_a_caller_who_may_see_none_gets_404(
        self, client: FakeWorkspaceClient, workspaces: Workspaces
    ) -> None:
        client.allows = lambda _: False
        with pytest.raises(ProblemError) as caught:
            await workspaces.find(ANN, "get", "chat")
        assert caught.value.code == "workspace-not-found"


async def test_however_a_name_is_asked_for_a_missing_one_takes_as_many_reviews_as_a_hidden_one(
    client: FakeWorkspaceClient, workspaces: Workspaces
) -> None:
    client.allows = lambda _: False
    client.watch_event(resource("hidden", team="hers"))
    client.watch_event(resource("hidden-too", team=TEAM))
    counts: dict[str, list[int]] = {}
    for name in ("hidden", "hidden-too", "unknown"):
        counts[name] = []
        for team in (None, TEAM, "hers", "other", None):
            before = len(client.reviews)
            with pytest.raises(ProblemError):
                await workspaces.find(ANN, "get", name, team)
            counts[name].append(len(client.reviews) - before)
    assert counts["hidden"] == counts["hidden-too"] == counts["unknown"] == [1, 1, 1, 1, 0]


class TestConflicts:
    async def test_a_deletion_of_any_state_does_not_depend_on_the_version(
        self, client: FakeWorkspaceClient, workspaces: Workspaces
    ) -> None:
        """The operator raises the version with each step of a download."""
        obj = resource(team=TEAM, version=10)
        etag = view(obj).etag
        for if_match, version in ((None, None), ("*", None), (" * ", None), (etag, "10")):
            client.watch_event(obj)
            await workspaces.delete(ANN, "team-a", ChangeOptions(if_match=if_match))
            assert client.delete_options.pop()["version"] == version

    async def test_a_recreated_workspace_is_409_without_an_etag_and_412_with_one(
        self, client: FakeWorkspaceClient, workspaces: Workspaces
    ) -> None:
        old = resource(team=TEAM, version=10, uid="old")
        client.stored = resource(team=TEAM, version=20, uid="new")
        options = ChangeOptions(if_match=view(old).etag)
        for change, status in (
            (workspaces.delete(ANN, "team-a"), 409),
            (workspaces.patch(ANN, "team-a", {"suspended": True}), 409),
            (workspaces.delete(ANN, "team-a", options), 412),
            (workspaces.patch(ANN, "team-a", {"suspended": True}, options), 412),
        ):
            client.watch_event(old)
            client.error = ConflictError(409, "Conflict", "the UID is another")
            with pytest.raises(ProblemError) as caught:
                await change
            assert caught.value.status == status

    async def test_an_etag_of_a_recreated_workspace_changes_that_one(
        self, client: FakeWorkspaceClient, workspaces: Workspaces
    ) -> None:
        """Its reader has it from a replica with a newer view."""
        client.watch_event(resource(team=TEAM, version=10, uid="old"))
        client.stored = resource(team=TEAM, version=20, uid="new")
        await workspaces.delete(ANN, "team-a", ChangeOptions(if_match=view(client.stored).etag))
        assert client.deleted == [f"team-a/{TEAM}"]

    async def test_a_delete_that_conflicts_at_every_attempt_is_409(
        self, client: FakeWorkspaceClient, workspaces: Workspaces
    ) -> None:
        client.stored = resource(team=TEAM, version=10)
        client.watch_event(client.stored)
        client.error = ConflictError(409, "Conflict", "moved")
        with pytest.raises(ProblemError) as caught:
            await workspaces.delete(ANN, "team-a")
        assert (caught.value.status, caught.value.code) == (409, "conflict")


_STORED: dict[str, Any] = {"ofTomorrow": {"a": 1}, "models": ["no model's name"], "quota": {"x": 1}}


class TestStoredSpec:
    async def test_invalid_stored_fields_stay_and_do_not_block_a_change(
        self, client: FakeWorkspaceClient, workspaces: Workspaces
    ) -> None:
        client.watch_event(resource(team=TEAM, version=10, spec=_STORED))
        changed, _ = await workspaces.patch(ANN, "team-a", {"suspended": True})
        assert changed.document["spec"] == {"workspaceName": "team-a", **_STORED, "suspended": True}

    @pytest.mark.parametrize(
        ("patch", "field"),
        [
            ({"ofTomorrow": {"a": 2}}, "spec.ofTomorrow"),
            ({"unknown": 1}, "spec.unknown"),
            ({"models": ["no name either"]}, "spec.models[0]"),
            ({"quota": {"y": 1}}, "spec.quota.y"),
        ],
    )
    async def test_fields_that_the_caller_changes_must_be_valid(
        self, client: FakeWorkspaceClient, workspaces: Workspaces, patch: dict[str, Any], field: str
    ) -> None:
        client.watch_event(resource(team=TEAM, version=10, spec=_STORED))
        with pytest.raises(ProblemError) as caught:
            await workspaces.patch(ANN, "team-a", patch)
        assert [error.field for error in caught.value.errors] == [field]


class TestRestart:
    NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)

    async def test_a_workspace_whose_time_is_over_has_nothing_to_restart(
        self, client: FakeWorkspaceClient, workspaces: Workspaces
    ) -> None:
        status = {"phase": "Suspended", "observedGeneration": 1}
        client.watch_event(resource(team=TEAM, version=10, status=status))
        with pytest.raises(ProblemError) as caught:
            await workspaces.restart(ANN, "team-a", Workload, self.NOW)
        assert (caught.value.status, caught.value.code) == (409, "suspended")

    async def test_a_workspace_that_was_just_resumed_is_restarted(
        self, client: FakeWorkspaceClient, workspaces: Workspaces
    ) -> None:
        status = {"phase": "Suspended", "observedGeneration": 1}
        client.watch_event(resource(team=TEAM, version=10, generation=2, status=status))
        with audit_log.collect_notes() as notes:
            view = await workspaces.restart(ANN, "team-a", [Workload.OPENWEBUI], self.NOW)
        assert view.document["spec"]["restart"] == {"openWebUI": "2026-11-24T09:00:00+00:00"}
        assert notes == {"team": TEAM, "workspace": "team-a", "workload": "openwebui"}
