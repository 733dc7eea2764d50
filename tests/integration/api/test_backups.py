"""Backups by the API on a real API server, as callers with few rights."""

from collections.abc import Iterator
from typing import Any, Final

import httpx2
import pytest
import yaml

from tests.integration.api.served import TEAMS, Person, Served, grant, person, role
from tests.integration.conftest import Cluster
from tests.integration.conftest import platform as platform_of
from tests.waiting import eventually

TEAM: Final = TEAMS[0]
NAME: Final = "backed-up"
PATH: Final = f"/api/v1/workspaces/{NAME}"
OLD: Final = "20261130T023000Z-0f3b9c2d"
NEW: Final = "20261201T023000Z-1a2b3c4d"
_S3: Final = {"endpoint": "https://s3.example.org", "bucket": "backups", "secretName": "store"}
_BACKUP: Final = {
    "destinations": [
        {"name": "others", "s3": _S3, "allowedTeams": [TEAMS[1]]},
        {"name": "offsite", "s3": _S3},
    ],
    "passphraseSecretName": "passphrase",
}


@pytest.fixture(scope="module")
def platform(cluster: Cluster, api: Served, boss: Person) -> Iterator[None]:
    """A platform with a place for the team's backups."""
    cluster.apply(platform_of({"backup": _BACKUP}))
    with api.client(boss.token) as client:
        eventually(lambda: _destinations(client) == ["offsite"], "the destination is known")
    yield
    cluster.kubectl("delete", "aichatplatform", "default")


def _destinations(client: httpx2.Client) -> list[str]:
    options = client.get("/api/v1/options", params={"team": TEAM}).json()
    return [entry["name"] for entry in options["backupDestinations"]]


@pytest.fixture
def workspace(cluster: Cluster, api: Served, platform: None, boss: Person) -> Iterator[None]:
    """One with two backups, as an operator reports them."""
    assert platform is None
    with api.client(boss.token) as client:
        spec = {"workspaceName": NAME, "models": ["gemma2:2b"]}
        answer = client.post("/api/v1/workspaces", json={"team": TEAM, "spec": spec})
        assert answer.status_code == 201, answer.text
        entries = [{"name": name, "sizeBytes": 1, "openWebUI": "0.6.5"} for name in (NEW, OLD)]
        status = {"phase": "Ready", "backup": {"state": "Done", "items": entries}}
        patch = yaml.safe_dump({"status": status})
        cluster.kubectl(
            *("patch", "aiws", NAME, "-n", TEAM, "--subresource=status", "--type=merge"),
            *("-p", patch),
        )
        eventually(lambda: len(client.get(f"{PATH}/backups").json()["items"]) == 2, "they are seen")
        yield
        client.delete(PATH)
        eventually(lambda: client.get(PATH).status_code == 404, "it is gone")


@pytest.fixture(scope="module")
def patcher(cluster: Cluster, api_kubeconfig: object) -> Person:
    """Somebody who may see and change workspaces of the team, and make none."""
    assert api_kubeconfig
    rule = {"resources": ["aichatworkspaces"], "verbs": ["get", "list", "patch"]}
    grants = [role("only-patch", rule), grant("patcher", "only-patch", TEAM)]
    return person(cluster, "patcher", grants)


@pytest.fixture(scope="module")
def viewer(cluster: Cluster, api_kubeconfig: object) -> Person:
    assert api_kubeconfig
    grants = [grant("backup-viewer", "aichatworkspace-viewer", TEAM)]
    return person(cluster, "backup-viewer", grants)


def spec_of(cluster: Cluster, name: str = NAME) -> dict[str, Any]:
    spec: dict[str, Any] = cluster.get("aiws", name, "-n", TEAM)["spec"]
    return spec


@pytest.mark.usefixtures("workspace")
def test_who_may_patch_may_back_up_and_restore_and_not_clone(
    cluster: Cluster, api: Served, patcher: Person
) -> None:
    with api.client(patcher.token) as client:
        first = client.post(f"{PATH}:backup")
        assert first.status_code == 202, first.text
        stored = spec_of(cluster)["backup"]
        assert stored["request"]
        assert (stored["keep"], stored["timeZone"]) == (7, "Etc/UTC")
        assert client.get(f"{PATH}/backups").json()["isWaiting"] is True
        etag = first.headers["ETag"]
        restored = client.post(f"{PATH}:restore", json={"backup": OLD}, headers={"If-Match": etag})
        assert restored.status_code == 202, restored.text
        assert spec_of(cluster)["restore"]["backup"] == OLD
        lost = client.post(f"{PATH}:restore", json={"backup": NEW}, headers={"If-Match": etag})
        assert lost.status_code == 412
        refused = client.post(f"{PATH}:clone", json={"name": "trial"})
        assert refused.status_code == 403
        history = client.get(f"{PATH}/history").json()["items"]
        assert [entry["action"] for entry in history][:2] == ["restore", "backup"]


@pytest.mark.usefixtures("workspace")
def test_who_may_only_look_reads_the_list_and_changes_nothing(
    cluster: Cluster, api: Served, viewer: Person
) -> None:
    before = spec_of(cluster)
    with api.client(viewer.token) as client:
        names = [entry["name"] for entry in client.get(f"{PATH}/backups").json()["items"]]
        assert names == [NEW, OLD]
        bodies = {"backup": None, "restore": {"backup": OLD}, "clone": {"name": "trial"}}
        for action, body in bodies.items():
            assert client.post(f"{PATH}:{action}", json=body).status_code == 403
    assert spec_of(cluster) == before


@pytest.mark.usefixtures("workspace")
def test_a_clone_is_made_once_with_the_newest_backup(
    cluster: Cluster, calls: httpx2.Client
) -> None:
    tried = calls.post(f"{PATH}:clone", json={"name": "trial"}, params={"dryRun": "true"})
    assert tried.status_code == 200, tried.text
    assert calls.get("/api/v1/workspaces/trial").status_code == 404
    answer = calls.post(f"{PATH}:clone", json={"name": "trial"})
    assert answer.status_code == 201, answer.text
    assert calls.post(f"{PATH}:clone", json={"name": "trial"}).status_code == 200
    clone = spec_of(cluster, "trial")
    assert clone["restore"] == {"backup": NEW, "source": NAME, "request": ""}
    assert clone["models"] == ["gemma2:2b"]
    calls.delete("/api/v1/workspaces/trial")
    eventually(lambda: calls.get("/api/v1/workspaces/trial").status_code == 404, "it is gone")
