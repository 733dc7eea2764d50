"""What is asked for of backups: fields of the spec, and what is refused before they are written."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

import httpx2
import pytest

from aichat_workspace.api.workspaces.backups import clone_spec, listed
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.domain import names
from aichat_workspace.domain.v1alpha1.workspace_spec import WorkspaceSpec
from tests.unit.api.routes.calling import Cluster, calling, only_in
from tests.unit.api.samples import resource

OLD: Final = "20261130T023000Z-0f3b9c2d"
NEW: Final = "20261201T023000Z-1a2b3c4d"
GONE: Final = "20250101T000000Z-99999999"
BACKUPS: Final = [
    {"name": NEW, "sizeBytes": 200, "openWebUI": "0.6.5"},
    {"name": OLD, "sizeBytes": 100, "openWebUI": ""},
]
STATUS: Final[dict[str, Any]] = {
    "backup": {"state": "Done", "request": "one", "destination": "offsite", "items": BACKUPS}
}
LOCAL: Final[dict[str, Any]] = {"name": "local", "volume": {"size": "10Gi"}}
SNAPSHOTS: Final[dict[str, Any]] = {
    "name": "snapshots",
    "snapshot": {"volumeSnapshotClassName": ""},
}
DESTINATION: Final[dict[str, Any]] = {
    "name": "offsite",
    "s3": {"endpoint": "https://s3.example.org", "bucket": "backups", "secretName": "store"},
}
NEAR: Final[dict[str, Any]] = {**DESTINATION, "name": "near"}
_VERSIONS: Final = count(1)
PATH: Final = "/api/v1/workspaces/team-a"


@pytest.fixture(autouse=True)
def view_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take bodies: the view of the cluster in memory is complete."""
    monkeypatch.setattr(ClusterView, "is_synced", True)


@asynccontextmanager
async def world() -> AsyncIterator[tuple[Cluster, httpx2.AsyncClient]]:
    """Yield the cluster, and a client of the API above it that may send bodies as Ann."""
    async with calling() as (cluster, client):
        client.headers["Authorization"] = "Bearer ann"
        put_platform(cluster, DESTINATION)
        team = {"name": "team", "labels": {names.TEAM_LABEL: "true"}, "resourceVersion": "1"}
        cluster.services.cluster._namespaces._store.put({"metadata": team})
        yield cluster, client


def put_platform(cluster: Cluster, *destinations: dict[str, Any], passphrase: bool = True) -> None:
    """Let the platform have these destinations."""
    spec: dict[str, Any] = {"destinations": [*destinations]}
    spec |= {"passphraseSecretName": "passphrase"} if passphrase else {}
    version = str(next(_VERSIONS))
    metadata = {"name": "default", "resourceVersion": version, "generation": 1, "uid": "platform"}
    cluster.services.cluster._platform._store.put({"metadata": metadata, "spec": {"backup": spec}})


def spec_of(cluster: Cluster, name: str = "team-a") -> dict[str, Any]:
    """Return the stored spec of a workspace."""
    stored = cluster.services.cluster.get("team", name)
    assert stored is not None
    spec: dict[str, Any] = stored.document["spec"]
    return spec


def not_backed_up(reason: str) -> dict[str, Any]:
    """Return a status whose condition BackedUp is False."""
    ready = {"type": "Ready", "status": "True", "reason": "Ready", "message": ""}
    entry = {"type": "BackedUp", "status": "False", "reason": reason, "message": "what to do"}
    return {"conditions": [ready, entry]}


class TestList:
    def test_it_has_what_the_status_lists_with_the_time_of_each(self) -> None:
        spec = {"backup": {"schedule": "30 2 * * *", "keep": 3, "request": "two"}}
        document = listed({"spec": spec, "status": STATUS})
        assert document["items"] == [
            {**BACKUPS[0], "madeAt": "2026-12-01T02:30:00Z"},
            {**BACKUPS[1], "madeAt": "2026-11-30T02:30:00Z"},
        ]
        assert (document["schedule"], document["timeZone"]) == ("30 2 * * *", "Etc/UTC")
        assert (document["destination"], document["keep"]) == ("offsite", 3)
        assert document["isWaiting"] is True

    def test_a_request_whose_run_has_begun_does_not_wait(self) -> None:
        document = listed({"spec": {"backup": {"request": "one"}}, "status": STATUS})
        assert document["isWaiting"] is False

    def test_a_name_without_a_time_has_none(self) -> None:
        status = {"backup": {"state": "Done", "items": [{"name": "by hand", "sizeBytes": 1}]}}
        assert listed({"spec": {}, "status": status})["items"][0]["madeAt"] is None

    def test_a_workspace_without_backups_has_an_empty_list(self) -> None:
        document = listed({"spec": {}, "status": {}})
        assert document["items"] == []
        assert document["keep"] is None
        assert document["state"] is None
        assert document["lastRun"] is None

    @pytest.mark.parametrize("reason", ["BackupOverdue", "BackupSecretNotFound"])
    def test_a_false_condition_counts_more_than_a_run_that_was_well(self, reason: str) -> None:
        document = listed({"spec": {"backup": {}}, "status": {**STATUS, **not_backed_up(reason)}})
        assert (document["state"], document["reason"]) == ("Failed", reason)
        assert document["message"] == "what to do"
        assert document["lastRun"]["state"] == "Done"

    def test_a_run_that_goes_on_is_running_while_backups_are_overdue(self) -> None:
        status = {"backup": {"state": "Running"}, **not_backed_up("BackupOverdue")}
        document = listed({"spec": {"backup": {}}, "status": status})
        assert (document["state"], document["reason"]) == ("Running", "BackupOverdue")

    def test_before_the_first_run_the_condition_alone_says_what_is_wrong(self) -> None:
        status = not_backed_up("BackupSecretNotFound")
        document = listed({"spec": {"backup": {}}, "status": status})
        assert (document["state"], document["lastRun"]) == ("Failed", None)

    def test_a_condition_that_is_true_leaves_the_runs_own_words(self) -> None:
        run = {"state": "Running", "message": "no room yet", "finishedAt": None, "reason": ""}
        backed_up = {"type": "BackedUp", "status": "True", "reason": "BackedUp", "message": "well"}
        document = listed({"spec": {}, "status": {"backup": run, "conditions": [backed_up]}})
        assert (document["state"], document["message"]) == ("Running", "no room yet")
        assert document["lastRun"] == run


class TestBackup:
    async def test_a_request_is_a_new_text_and_nothing_else_of_the_spec_changes(self) -> None:
        async with world() as (cluster, client):
            cluster.watch_event(resource(spec={"backup": {"schedule": "@daily", "request": "x"}}))
            before = datetime.now(UTC).isoformat()
            first = await client.post(f"{PATH}:backup")
            assert first.status_code == 202
            backup = first.json()["spec"]["backup"]
            assert backup["schedule"] == "@daily"
            assert backup["request"] >= before
            await client.post(f"{PATH}:backup")
            assert spec_of(cluster)["backup"]["request"] > backup["request"]

    async def test_a_retry_with_the_same_text_changes_nothing(self) -> None:
        async with world() as (cluster, client):
            cluster.watch_event(resource())
            first = await client.post(f"{PATH}:backup", json={"request": "before the upgrade"})
            assert first.json()["spec"]["backup"]["request"] == "before the upgrade"
            stored = spec_of(cluster)
            again = await client.post(f"{PATH}:backup", json={"request": "before the upgrade"})
            assert again.status_code == 202
            assert spec_of(cluster) == stored
            await client.post(f"{PATH}:backup", json={"request": "after the upgrade"})
            assert spec_of(cluster)["backup"]["request"] == "after the upgrade"

    @pytest.mark.parametrize("body", [{"request": "x" * 65}, {"request": 1}, {"requests": "x"}])
    async def test_a_text_that_is_none_is_refused_with_its_field(self, body: Any) -> None:
        async with world() as (cluster, client):
            cluster.watch_event(resource())
            answer = await client.post(f"{PATH}:backup", json=body)
            assert answer.status_code == 422
            assert answer.json()["errors"][0]["field"] == next(iter(body))

    @pytest.mark.parametrize("body", [{}, {"request": ""}])
    async def test_a_body_without_a_text_is_a_new_request(self, body: Any) -> None:
        async with world() as (cluster, client):
            cluster.watch_event(resource())
            assert (await client.post(f"{PATH}:backup", json=body)).status_code == 202
            assert spec_of(cluster)["backup"]["request"]

    async def test_a_workspace_without_backups_gets_one_with_the_defaults(self) -> None:
        async with world() as (cluster, client):
            cluster.watch_event(resource())
            await client.post(f"{PATH}:backup")
            assert spec_of(cluster)["backup"].keys() == {"request"}

    async def test_a_dry_run_changes_nothing(self) -> None:
        async with world() as (cluster, client):
            cluster.watch_event(resource())
            answer = await client.post(f"{PATH}:backup", params={"dryRun": "true"})
            assert answer.json()["spec"]["backup"]["request"]
            assert "backup" not in spec_of(cluster)

    async def test_an_earlier_state_is_not_changed(self) -> None:
        async with world() as (cluster, client):
            put_platform(cluster, DESTINATION)
            cluster.stored = resource()
            cluster.watch_event(cluster.stored)
            answer = await client.post(f"{PATH}:backup", headers={"If-Match": '"another.1.1"'})
            assert answer.status_code == 412

    @pytest.mark.parametrize(
        ("destinations", "spec", "fix"),
        [
            ([], {}, "spec.backup.destinations"),
            ([{**DESTINATION, "allowedTeams": ["blue"]}], {}, "spec.backup.destinations"),
            ([DESTINATION], {"backup": {"destination": "attic"}}, "may choose offsite"),
        ],
        ids=["none", "none for the team", "one that is not there"],
    )
    async def test_it_needs_a_destination_for_the_team(
        self, destinations: list[dict[str, Any]], spec: dict[str, Any], fix: str
    ) -> None:
        async with world() as (cluster, client):
            put_platform(cluster, *destinations)
            cluster.watch_event(resource(spec=spec))
            answer = await client.post(f"{PATH}:backup")
            assert answer.status_code == 409
            assert answer.json()["code"] == "no-backup-destination"
            assert fix in answer.json()["detail"]
            assert not cluster.patches

    async def test_a_platform_without_a_passphrase_has_an_error_of_its_own(self) -> None:
        async with world() as (cluster, client):
            put_platform(cluster, DESTINATION, passphrase=False)
            cluster.watch_event(resource())
            answer = await client.post(f"{PATH}:backup")
            assert (answer.status_code, answer.json()["code"]) == (409, "no-backup-passphrase")
            assert "spec.backup.passphraseSecretName" in answer.json()["detail"]
            assert not cluster.patches
            put_platform(cluster, SNAPSHOTS, passphrase=False)
            assert (await client.post(f"{PATH}:backup")).is_success, "snapshots need none"

    async def test_who_may_not_patch_the_workspace_is_refused(self) -> None:
        async with world() as (cluster, client):
            cluster.watch_event(resource())
            cluster.allows = lambda attributes: attributes["verb"] == "get"
            for action, body in (("backup", None), ("restore", {"backup": NEW})):
                answer = await client.post(f"{PATH}:{action}", json=body)
                assert answer.status_code == 403


class TestRestore:
    async def test_it_names_the_backup_with_a_new_text(self) -> None:
        async with world() as (cluster, client):
            cluster.watch_event(resource(status=STATUS))
            answer = await client.post(f"{PATH}:restore", json={"backup": OLD})
            assert answer.status_code == 202
            first = spec_of(cluster)["restore"]
            assert (first["backup"], first.keys()) == (OLD, {"backup", "request"})
            await client.post(f"{PATH}:restore", json={"backup": OLD})
            assert spec_of(cluster)["restore"]["request"] > first["request"]

    async def test_what_is_not_listed_needs_a_word_of_its_own(self) -> None:
        async with world() as (cluster, client):
            cluster.watch_event(resource(status=STATUS))
            answer = await client.post(f"{PATH}:restore", json={"backup": GONE})
            assert answer.status_code == 422
            assert answer.json()["errors"][0]["field"] == "backup"
            assert "unlisted" in answer.json()["detail"]
            assert not cluster.patches
            answer = await client.post(f"{PATH}:restore", json={"backup": GONE, "unlisted": True})
            assert answer.status_code == 202

    async def test_a_name_that_no_backup_can_have_is_refused(self) -> None:
        async with world() as (cluster, client):
            cluster.watch_event(resource(status=STATUS))
            body = {"backup": "../team-b/x", "unlisted": True}
            assert (await client.post(f"{PATH}:restore", json=body)).status_code == 422

    async def test_anothers_backup_is_looked_for_in_its_list(self) -> None:
        async with world() as (cluster, client):
            cluster.watch_event(resource())
            cluster.watch_event(resource("team-b", status=STATUS, version=2))
            body = {"backup": OLD, "source": "team-b"}
            assert (await client.post(f"{PATH}:restore", json=body)).status_code == 202
            assert spec_of(cluster)["restore"]["source"] == "team-b"
            assert "restore" not in spec_of(cluster, "team-b")
            refused = await client.post(f"{PATH}:restore", json={**body, "backup": GONE})
            assert "workspace 'team-b' lists no backup" in refused.json()["detail"]

    async def test_a_source_of_another_team_is_no_source(self) -> None:
        async with world() as (cluster, client):
            cluster.watch_event(resource())
            cluster.watch_event(resource("team-b", team="other", status=STATUS, version=2))
            body = {"backup": OLD, "source": "team-b"}
            answer = await client.post(f"{PATH}:restore", json=body)
            assert (answer.status_code, answer.json()["code"]) == (404, "workspace-not-found")
            assert answer.json()["errors"][0]["field"] == "source"
            assert "unlisted" in answer.json()["detail"]

    async def test_its_own_name_as_the_source_is_no_clone(self) -> None:
        async with world() as (cluster, client):
            cluster.watch_event(resource(status=STATUS))
            await client.post(f"{PATH}:restore", json={"backup": OLD, "source": "team-a"})
            assert "source" not in spec_of(cluster)["restore"]

    async def test_another_workspaces_backup_is_read_where_its_list_says(self) -> None:
        async with world() as (cluster, client):
            put_platform(cluster, DESTINATION, NEAR, LOCAL)
            away = {"backup": {**STATUS["backup"], "destination": "near"}}
            cluster.watch_event(resource())
            cluster.watch_event(resource("team-b", status=away, version=2))
            body = {"backup": OLD, "source": "team-b"}
            assert (await client.post(f"{PATH}:restore", json=body)).status_code == 202
            assert spec_of(cluster)["restore"]["destination"] == "near"
            cluster.watch_event(resource(spec={"backup": {"destination": "near"}}, version=3))
            assert (await client.post(f"{PATH}:restore", json=body)).status_code == 202
            assert "destination" not in spec_of(cluster)["restore"], "it reads there anyway"
            cluster.watch_event(resource(spec={"backup": {"destination": "local"}}, version=90))
            answer = await client.post(f"{PATH}:restore", json={**body, "unlisted": True})
            assert "a volume of each workspace by itself" in answer.json()["detail"]
            assert (
                await client.post(f"{PATH}:restore", json={"backup": OLD, "unlisted": True})
            ).is_success

    async def test_another_workspaces_backup_has_to_be_where_the_team_may_read(self) -> None:
        async with world() as (cluster, client):
            put_platform(cluster, DESTINATION, {**NEAR, "allowedTeams": ["others"]})
            away = {"backup": {**STATUS["backup"], "destination": "near"}}
            cluster.watch_event(resource())
            cluster.watch_event(resource("team-b", status=away, version=2))
            body = {"backup": OLD, "source": "team-b"}
            answer = await client.post(f"{PATH}:restore", json=body)
            assert (answer.status_code, answer.json()["code"]) == (409, "backup-out-of-reach")
            assert "'near', which the team may not choose" in answer.json()["detail"]

    async def test_a_destination_that_is_asked_for_is_read_whatever_the_list_is_of(self) -> None:
        async with world() as (cluster, client):
            put_platform(cluster, DESTINATION, NEAR)
            cluster.watch_event(resource(status=STATUS))
            body = {"backup": GONE, "destination": "near"}
            assert (await client.post(f"{PATH}:restore", json=body)).status_code == 202
            assert spec_of(cluster)["restore"]["destination"] == "near"
            body = {"backup": GONE, "destination": "offsite"}
            answer = await client.post(f"{PATH}:restore", json=body)
            assert answer.json()["code"] == "backup-not-listed", "the list is of that one"

    async def test_a_destination_that_is_not_there_is_named(self) -> None:
        async with world() as (cluster, client):
            cluster.watch_event(resource(status=STATUS))
            body = {"backup": OLD, "destination": "tape"}
            answer = await client.post(f"{PATH}:restore", json=body)
            assert (answer.status_code, answer.json()["code"]) == (409, "no-backup-destination")
            (error,) = answer.json()["errors"]
            assert error["field"] == "destination"
            assert "may choose offsite; change spec.restore.destination" in error["message"]
            assert not cluster.patches


class TestClone:
    @pytest.mark.parametrize("place", [LOCAL, SNAPSHOTS], ids=["a volume", "snapshots"])
    async def test_backups_in_the_namespace_are_not_cloned(self, place: dict[str, Any]) -> None:
        async with world() as (cluster, client):
            put_platform(cluster, place)
            cluster.watch_event(resource(status=STATUS))
            answer = await client.post(f"{PATH}:clone", json={"name": "trial"})
            assert (answer.status_code, answer.json()["code"]) == (409, "backup-out-of-reach")

    async def test_it_begins_with_the_newest_backup_of_its_source(self) -> None:
        async with world() as (cluster, client):
            cluster.watch_event(resource(status=STATUS))
            creations = _creations(cluster)
            answer = await client.post(f"{PATH}:clone", json={"name": "trial"})
            assert answer.status_code == 201
            manifest = creations[-1]
            assert manifest["metadata"]["namespace"] == "team"
            assert manifest["spec"]["workspaceName"] == "trial"
            assert manifest["spec"]["restore"] == {"backup": NEW, "source": "team-a"}
            assert '"action":"clone"' in str(manifest["metadata"]["annotations"])

    async def test_it_reads_its_sources_backup_where_that_is(self) -> None:
        async with world() as (cluster, client):
            put_platform(cluster, DESTINATION, NEAR)
            away = {"backup": {**STATUS["backup"], "destination": "near"}}
            cluster.watch_event(resource(status=away))
            creations = _creations(cluster)
            body = {"name": "trial"}
            assert (await client.post(f"{PATH}:clone", json=body)).status_code == 201
            expected = {"backup": NEW, "source": "team-a", "destination": "near"}
            assert creations[-1]["spec"]["restore"] == expected
            body = {"name": "second", "backup": GONE, "destination": "offsite"}
            assert (await client.post(f"{PATH}:clone", json=body)).status_code == 201
            assert creations[-1]["spec"]["restore"] == {"backup": GONE, "source": "team-a"}
            body = {"name": "third", "destination": "offsite"}
            answer = await client.post(f"{PATH}:clone", json=body)
            assert answer.status_code == 422
            assert answer.json()["errors"][0]["field"] == "backup"

    async def test_the_same_request_makes_one_clone_also_after_a_newer_backup(self) -> None:
        async with world() as (cluster, client):
            clone = {"restore": {"backup": OLD, "source": "team-a"}}
            cluster.watch_event(resource(status=STATUS))
            cluster.watch_event(resource("trial", spec=clone, version=2))
            answer = await client.post(f"{PATH}:clone", json={"name": "trial"})
            assert answer.status_code == 200
            other = await client.post(f"{PATH}:clone", json={"name": "trial", "backup": NEW})
            assert other.json()["code"] == "name-taken"

    async def test_it_needs_a_backup_that_is_listed(self) -> None:
        async with world() as (cluster, client):
            cluster.watch_event(resource())
            answer = await client.post(f"{PATH}:clone", json={"name": "trial"})
            assert (answer.status_code, answer.json()["code"]) == (409, "no-backup")
            body = {"name": "trial", "backup": GONE}
            answer = await client.post(f"{PATH}:clone", json=body)
            assert (answer.status_code, answer.json()["code"]) == (422, "backup-not-listed")
            creations = _creations(cluster)
            await client.post(f"{PATH}:clone", json={**body, "unlisted": True})
            assert creations[-1]["spec"]["restore"]["backup"] == GONE

    async def test_it_needs_the_right_to_read_the_source_and_to_create(self) -> None:
        async with world() as (cluster, client):
            cluster.watch_event(resource(status=STATUS))
            cluster.allows = lambda attributes: attributes["verb"] == "get"
            answer = await client.post(f"{PATH}:clone", json={"name": "trial"})
            assert answer.status_code == 403
            cluster.services.authorizer._answers._answers.clear()
            cluster.allows = only_in("another")
            answer = await client.post(f"{PATH}:clone", json={"name": "trial"})
            assert answer.status_code == 404

    def test_what_is_of_one_workspace_alone_is_left_out(self) -> None:
        spec: dict[str, Any] = {
            "workspaceName": "team-a",
            "models": ["gemma2:2b"],
            "costCentre": "research",
            "namespaceUID": "retained",
            "suspended": True,
            "restart": {"ollama": "today"},
            "restore": {"backup": OLD},
            "backup": {"schedule": "@daily", "keep": 3, "request": "today"},
            "ingress": {
                "className": "traefik",
                "host": "chat.example.org",
                "tls": {"secretName": "certificate"},
            },
            "connections": [
                {"name": "one", "url": "https://a.example.org/v1", "secretName": "key"}
            ],
            "access": {
                "signUp": True,
                "adminSecretName": "admin",
                "passwordReset": "today",
                "passwordForm": False,
                "oidc": {
                    "providerURL": "https://id.example.org",
                    "clientID": "chat",
                    "secretName": "client",
                },
            },
        }
        clone = clone_spec(spec, "trial", NEW)
        assert clone == {
            "workspaceName": "trial",
            "models": ["gemma2:2b"],
            "costCentre": "research",
            "backup": {"schedule": "@daily", "keep": 3},
            "ingress": {"className": "traefik"},
            "access": {"signUp": True},
            "restore": {"backup": NEW, "source": "team-a"},
        }
        WorkspaceSpec.model_validate(clone)

    def test_a_certificate_by_an_issuer_and_a_public_provider_stay(self) -> None:
        tls = {"issuer": {"name": "letsencrypt"}}
        access = {
            "oidc": {"providerURL": "https://id.example.org", "clientID": "chat"},
            "passwordForm": False,
        }
        spec = {"workspaceName": "team-a", "ingress": {"tls": tls}, "access": access}
        clone = clone_spec(spec, "trial", NEW)
        assert clone["ingress"] == {"tls": tls}
        assert clone["access"] == access

    def test_no_field_that_names_a_secret_comes_into_a_clone(self) -> None:
        """A new field that names a Secret fails here until somebody decides what clones do."""
        assert sorted(_secret_fields(WorkspaceSpec.model_json_schema(by_alias=True))) == [
            "Access.adminSecretName",
            "Connection.secretName",
            "Oidc.secretName",
            "Tls.secretName",
        ]


def _secret_fields(schema: dict[str, Any]) -> list[str]:
    return [
        f"{name}.{field}"
        for name, definition in schema["$defs"].items()
        for field in definition.get("properties", {})
        if "secret" in field.lower()
    ]


def _creations(cluster: Cluster) -> list[dict[str, Any]]:
    """Let creations succeed, and return what they are asked for."""
    creations: list[dict[str, Any]] = []

    async def create(*arguments: Any, **_: Any) -> Any:
        body = arguments[1]
        creations.append(body)
        created = resource(body["metadata"]["name"], spec=body["spec"], version=50)
        cluster.watch_event(created)
        return created

    cluster.create = create  # type: ignore[method-assign]
    return creations
