"""The runs of the backup program that spec.backup asks for, as a real API server takes them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.integration.conftest import (
    BACKUP_IMAGE,
    SYSTEM,
    Cluster,
    platform,
    restore_default_settings,
    workspace,
)
from tests.integration.tenants import settled
from tests.waiting import eventually

NAME: Final = "kept"
CRON_JOB: Final = f"{NAME}-backup"
MARK: Final = {"apps.aichatworkspaces.io/for-workspace": "*"}
STORE: Final = {
    "endpoint": "https://s3.example.org:9000",
    "bucket": "chats",
    "prefix": "eu",
    "region": "eu-west-1",
    "secretName": "backup-keys",
}
BUCKET: Final = {"name": "bucket", "description": "nightly", "s3": STORE}
VOLUME: Final = {"name": "volume", "volume": {"size": "3Gi", "storageClassName": "slow"}}
NIGHTLY: Final = {"schedule": "30 2 * * *"}


def settings(*destinations: Any) -> dict[str, Any]:
    return platform(
        {"backup": {"destinations": destinations, "passphraseSecretName": "backup-passphrase"}}
    )


@pytest.fixture(scope="module")
def tenant(cluster: Cluster, operator: Path) -> Iterator[str]:
    keys = {"accessKeyID": "access", "secretAccessKey": "secret"}
    contents = {"backup-keys": keys, "backup-passphrase": {"passphrase": "correct horse battery"}}
    for name, data in contents.items():
        metadata = {"name": name, "namespace": SYSTEM, "annotations": MARK}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}
        cluster.apply(secret)
    cluster.apply(settings(BUCKET, VOLUME))
    cluster.apply(workspace(NAME, backup=NIGHTLY))
    eventually(
        lambda: cron_job(cluster),
        "the workspace has a CronJob",
        story=operator.read_text,
    )
    yield NAME
    cluster.kube.delete("aiws", NAME, SYSTEM)
    restore_default_settings(cluster)
    for name in contents:
        cluster.kube.delete("secret", name, SYSTEM)


@pytest.fixture(autouse=True)
def as_before(cluster: Cluster, tenant: str) -> Iterator[None]:
    yield
    cluster.apply(settings(BUCKET, VOLUME))
    edit(cluster, tenant, backup=NIGHTLY)
    eventually(lambda: schedule(cluster) == NIGHTLY["schedule"], "the nightly run is back")


def edit(cluster: Cluster, name: str, **spec: Any) -> None:
    cluster.apply(workspace(name, **spec))
    settled(cluster, name)


def objects(cluster: Cluster, kind: str, label: str = "") -> list[Any]:
    labels = f"aichatworkspace={NAME}{label}"
    items: list[Any] = cluster.get(kind, "-n", NAME, "-l", labels)["items"]
    return items


def cron_job(cluster: Cluster) -> Any:
    return next(iter(objects(cluster, "cronjob")), None)


def schedule(cluster: Cluster) -> str | None:
    present = cron_job(cluster)
    return present["spec"]["schedule"] if present else None


def pod(manifest: Any) -> Any:
    return manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def variables(cluster: Cluster) -> dict[str, str]:
    (container,) = pod(cron_job(cluster))["containers"]
    return {entry["name"]: entry.get("value", "") for entry in container["env"]}


def egress(cluster: Cluster) -> Any:
    return cluster.get("networkpolicy", CRON_JOB, "-n", NAME)["spec"].get("egress")


def backed_up(cluster: Cluster) -> Any:
    status = cluster.get("aiws", NAME, "-n", SYSTEM).get("status", {})
    conditions = {entry["type"]: entry for entry in status.get("conditions", ())}
    return conditions.get("BackedUp", {})


def test_a_cron_job_is_what_spec_backup_says(cluster: Cluster, tenant: str) -> None:
    backup = {"schedule": "@hourly", "timeZone": "Europe/Paris", "keep": 3}
    edit(cluster, tenant, backup=backup)
    eventually(lambda: schedule(cluster) == "@hourly", "the schedule is the new one")
    run = cron_job(cluster)["spec"]
    assert (run["timeZone"], run["concurrencyPolicy"]) == ("Europe/Paris", "Forbid")
    assert variables(cluster)["BACKUP_KEEP"] == "3"
    (container,) = pod(cron_job(cluster))["containers"]
    assert container["image"] == BACKUP_IMAGE


def test_a_suspended_workspace_has_a_suspended_schedule(cluster: Cluster, tenant: str) -> None:
    assert cron_job(cluster)["spec"]["suspend"] is False
    edit(cluster, tenant, backup=NIGHTLY, suspended=True)
    eventually(lambda: cron_job(cluster)["spec"]["suspend"] is True, "its schedule is suspended")
    edit(cluster, tenant, backup=NIGHTLY)
    eventually(lambda: cron_job(cluster)["spec"]["suspend"] is False, "its schedule goes on")


def test_what_others_change_in_it_is_put_back(cluster: Cluster, tenant: str) -> None:
    container = {"name": "backup", "image": "other:1"}
    template = {"spec": {"template": {"spec": {"containers": [container]}}}}
    change = {"spec": {"schedule": "0 0 1 1 *", "jobTemplate": template}}
    cluster.kube.patch("cronjob", CRON_JOB, tenant, change)

    def is_mended() -> bool:
        (mended,) = pod(cron_job(cluster))["containers"]
        return schedule(cluster) == NIGHTLY["schedule"] and mended["image"] == BACKUP_IMAGE

    eventually(is_mended, "the CronJob is as it was")


def test_a_request_is_one_job(cluster: Cluster, tenant: str) -> None:
    """Its pod is admitted under Pod Security restricted, with room in the quota."""
    edit(cluster, tenant, backup={**NIGHTLY, "request": "before the update"})
    eventually(lambda: objects(cluster, "job"), "a Job is made")
    (job,) = objects(cluster, "job")
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["create"]
    component = ",app.kubernetes.io/component=backup"
    eventually(lambda: objects(cluster, "pods", component), "its pod is admitted")
    hard = cluster.get("resourcequota", NAME, "-n", NAME)["spec"]["hard"]
    assert hard["pods"] == "3"
    edit(cluster, tenant, backup={**NIGHTLY, "keep": 2, "request": "before the update"})
    eventually(lambda: variables(cluster)["BACKUP_KEEP"] == "2", "the CronJob follows the spec")
    (same,) = objects(cluster, "job")
    assert same["metadata"]["uid"] == job["metadata"]["uid"]
    cluster.kube.delete("job", job["metadata"]["name"], NAME)


@pytest.mark.usefixtures("tenant")
def test_a_run_goes_where_the_platform_says(cluster: Cluster) -> None:
    assert variables(cluster)["BACKUP_STORE"] == f"s3://chats/eu/{SYSTEM}/{NAME}"
    assert variables(cluster)["AWS_REGION"] == "eu-west-1"
    assert variables(cluster)["AWS_ENDPOINT_URL_S3"] == STORE["endpoint"]
    listed = cluster.get("aichatplatform", "default")["spec"]["backup"]["destinations"]
    assert [entry.get("description") for entry in listed] == ["nightly", None]
    (rule,) = egress(cluster)
    assert rule["ports"] == [{"port": 9000, "protocol": "TCP"}]
    peers = {"namespaces": ["storage"], "podLabels": {"app": "s3"}, "ports": [9001]}
    store = {**STORE, "endpoint": "https://s3.storage.svc", **peers, "addresses": ["10.9.9.9/32"]}
    cluster.apply(settings({**BUCKET, "s3": {**store, "bucket": "others", "prefix": ""}}, VOLUME))
    eventually(
        lambda: variables(cluster)["BACKUP_STORE"] == f"s3://others/{SYSTEM}/{NAME}",
        "runs go to the other bucket",
    )
    by_pods, by_address = egress(cluster)
    assert by_pods["ports"] == [{"port": 9001, "protocol": "TCP"}]
    assert by_pods["to"][0]["podSelector"]["matchLabels"] == {"app": "s3"}
    assert by_pods["to"][0]["namespaceSelector"]["matchLabels"] == {
        "kubernetes.io/metadata.name": "storage"
    }
    assert by_address["to"] == [{"ipBlock": {"cidr": "10.9.9.9/32"}}]
    assert by_address["ports"] == [{"port": 443, "protocol": "TCP"}]


def test_a_team_chooses_among_its_destinations(cluster: Cluster, tenant: str) -> None:
    edit(cluster, tenant, backup={**NIGHTLY, "destination": "volume"})
    eventually(
        lambda: variables(cluster)["BACKUP_STORE"] == f"file:///backups/{NAME}",
        "runs go to the volume",
    )
    claim = cluster.get("pvc", f"{NAME}-backups", "-n", NAME)
    assert claim["spec"]["storageClassName"] == "slow"
    assert claim["spec"]["resources"]["requests"]["storage"] == "3Gi"
    hard = cluster.get("resourcequota", NAME, "-n", NAME)["spec"]["hard"]
    assert hard["persistentvolumeclaims"] == "3"


@pytest.mark.parametrize(
    ("destinations", "reason"),
    [
        ((), "BackupDestinationNotFound"),
        (({**BUCKET, "allowedTeams": ["others"]},), "BackupDestinationNotFound"),
        (({**BUCKET, "s3": {**STORE, "secretName": "absent"}},), "BackupSecretNotFound"),
    ],
    ids=["no destination", "none for the team", "no keys"],
)
@pytest.mark.usefixtures("tenant")
def test_a_destination_that_can_not_be_had_is_a_condition(
    cluster: Cluster, destinations: tuple[Any, ...], reason: str
) -> None:
    cluster.apply(settings(*destinations))
    eventually(lambda: backed_up(cluster).get("reason") == reason, f"the condition is {reason}")
    eventually(lambda: cron_job(cluster) is None, "there are no runs")
    assert cluster.get("deployment", f"{NAME}-openwebui", "-n", NAME)


@pytest.mark.usefixtures("tenant")
def test_without_a_passphrase_there_are_no_backups(cluster: Cluster) -> None:
    cluster.apply(platform({"backup": {"destinations": [BUCKET]}}))
    eventually(
        lambda: "passphraseSecretName" in backed_up(cluster).get("message", ""),
        "the condition names the setting",
    )


def test_without_spec_backup_nothing_is_left_of_it(cluster: Cluster, tenant: str) -> None:
    edit(cluster, tenant, backup={**NIGHTLY, "request": "once more"})
    eventually(lambda: objects(cluster, "job"), "a Job is made")
    edit(cluster, tenant)

    def remains() -> list[str]:
        present = cluster.names("cronjob,job,networkpolicy,secret", NAME)
        return [name for name in present if "-backup" in name]

    eventually(
        lambda: not remains(),
        "runs, their way out and the keys are gone",
        story=lambda: str(remains()),
    )
    eventually(
        lambda: cluster.get("resourcequota", NAME, "-n", NAME)["spec"]["hard"]["pods"] == "2",
        "the quota has no room for runs",
    )
    assert backed_up(cluster) == {}
    eventually(lambda: cluster.rests(2), "the operator rests")


def refusal(cluster: Cluster, name: str, **backup: Any) -> str:
    """Apply a workspace with kubectl, server-side; return what the API server says against it."""
    manifest = json.dumps(workspace(name, backup=backup))
    output = cluster.kubectl("apply", "--server-side", "-f", "-", stdin=manifest, check=False)
    return output if "invalid" in output else ""


def test_an_empty_backup_is_applied_any_number_of_times(cluster: Cluster) -> None:
    name = "on-demand"
    for _ in range(3):
        assert not refusal(cluster, name)
    request = json.dumps({"spec": {"backup": {"request": "now"}}})
    cluster.kubectl("patch", "aiws", name, "-n", SYSTEM, "--type=merge", "-p", request)
    for _ in range(2):
        assert not refusal(cluster, name)
    assert cluster.get("aiws", name, "-n", SYSTEM)["spec"]["backup"]["request"] == "now"
    cluster.kube.delete("aiws", name, SYSTEM)


def test_an_empty_schedule_is_applied_where_an_empty_backup_can_not_be(cluster: Cluster) -> None:
    """Who has owned every field of an object, as after a client-side apply, and owns none any more,
    has asked for none of them: then the API server writes null (decision 54)."""
    name = "formerly-client-side"
    manifest = json.dumps(workspace(name, backup={}))
    cluster.kubectl("apply", "-f", "-", stdin=manifest)
    outputs = [refusal(cluster, name) for _ in range(2)]
    assert any("spec.backup" in output for output in outputs), "then docs/backup.md may say less"
    for _ in range(3):
        assert not refusal(cluster, name, schedule="")
    cluster.kube.delete("aiws", name, SYSTEM)
