"""The runs of the backup program, as Kubernetes gets them."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from aichat_workspace.domain import names
from aichat_workspace.domain.decision.backups import resource_text
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.kubernetes.pods import pod_template
from aichat_workspace.domain.policy.backups import ACCESS_KEY, PASSPHRASE, SECRET_KEY
from aichat_workspace.domain.policy.platform_secrets import PlatformSecrets
from aichat_workspace.domain.policy.secret_references import BACKUP, RESTORE, ReferencedSecret
from aichat_workspace.domain.render import render
from aichat_workspace.domain.render.backup_jobs import job_spec
from aichat_workspace.domain.render.context import (
    Backups,
    DataRun,
    NewSnapshot,
    RestoredVolume,
    Tenant,
)
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from tests.unit.domain.backups import IMAGE, PLATFORM, SNAPSHOTS, platform, render_backups
from tests.unit.domain.samples import CREDENTIALS, workspace

GOLDEN = Path(__file__).parents[1] / "golden" / "backups.yaml"
NIGHTLY = {"schedule": "30 2 * * *", "request": "now"}
RUN = "team-a-aichat-restore-0a1b2c3d"


def with_snapshots(backup: dict[str, Any]) -> list[Manifest]:
    """Return what is rendered where backups are snapshots: all at once that ever is."""
    subject = workspace(backup=backup)
    of_backups = Backups(
        SNAPSHOTS.backup.destinations[0],
        IMAGE,
        "team-a",
        resource_text(subject),
        is_requested=True,
        restore=DataRun(RUN, ("restore", "20261123T113005Z-0000000a"), "team-a-aichat"),
        snapshot_class="fast-snapshots",
        new_snapshot=NewSnapshot("team-a-aichat-backup-0000000b", "fast-snapshots"),
        restored=(RUN, RestoredVolume("team-a-aichat-backup-0000000a", "2Gi", "fast")),
    )
    manifests = render(subject, SNAPSHOTS, CREDENTIALS, backups=of_backups)
    return [m for m in manifests if m["metadata"]["labels"][names.COMPONENT_LABEL] == "backup"]


RUN_KINDS = ("CronJob", "Job", "PersistentVolumeClaim", "NetworkPolicy", "VolumeSnapshot")


def rendered(settings: PlatformSpec = PLATFORM, **spec: Any) -> dict[str, Manifest]:
    manifests = render_backups(workspace(**spec), settings, is_requested=True)
    return {
        f"{manifest['kind']}/{manifest['metadata']['name']}": manifest for manifest in manifests
    }


def pod(manifest: Manifest) -> Manifest:
    spec: Manifest = pod_template(manifest)["spec"]
    return spec


def variables(manifest: Manifest) -> dict[str, str]:
    (container,) = pod(manifest)["containers"]
    return {entry["name"]: entry.get("value", "") for entry in container["env"]}


def cron_job(settings: PlatformSpec = PLATFORM, **spec: Any) -> Manifest:
    return rendered(settings, **{"backup": NIGHTLY, **spec})["CronJob/team-a-aichat-backup"]


def test_backups_render_to_their_golden_manifests(pytestconfig: pytest.Config) -> None:
    documents = [
        manifest
        for destination in ("bucket", "volume")
        for manifest in render_backups(
            workspace(backup={**NIGHTLY, "destination": destination}), is_requested=True
        )
        if manifest["kind"] in RUN_KINDS and "backup" in manifest["metadata"]["name"]
    ]
    documents += [m for m in with_snapshots(NIGHTLY) if m["kind"] in RUN_KINDS]
    text = yaml.safe_dump_all(documents, sort_keys=False, width=100)
    if pytestconfig.getoption("golden"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


def test_a_workspace_without_backups_has_nothing_of_them() -> None:
    before = {(m["kind"], m["metadata"]["name"]) for m in render_backups(workspace())}
    assert not {kind for kind, _ in before} & {"CronJob", "Job"}


def test_without_a_schedule_there_is_no_cron_job() -> None:
    objects = rendered(backup={"request": "now"})
    assert not [name for name in objects if name.startswith("CronJob")]
    assert f"Job/{names.backup_run('team-a-aichat', 'now')}" in objects


def test_the_longest_name_leaves_room_for_what_kubernetes_appends() -> None:
    longest = "a" * names.WORKSPACE_NAME_MAX_LENGTH
    assert len(names.backup(longest)) <= 52
    assert len(names.backup_run(longest, "now")) <= 63


def test_another_request_is_another_job() -> None:
    assert names.backup_run("a", "one") != names.backup_run("a", "two")
    assert names.backup_run("a", "one") == names.backup_run("a", "one")


def test_a_suspended_workspace_has_suspended_runs_and_one_on_request_alone() -> None:
    objects = rendered(backup=NIGHTLY, suspended=True)
    assert objects["CronJob/team-a-aichat-backup"]["spec"]["suspend"] is True
    run = objects[f"Job/{names.backup_run('team-a-aichat', 'now')}"]
    assert "affinity" not in pod(run)
    assert cron_job()["spec"]["suspend"] is False


def test_a_run_is_where_the_chat_has_its_volume() -> None:
    ((term,),) = pod(cron_job())["affinity"]["podAffinity"].values()
    assert term["labelSelector"]["matchLabels"] == {
        names.WORKSPACE_LABEL: "team-a-aichat",
        names.COMPONENT_LABEL: "openwebui",
    }


def test_a_run_writes_as_the_chat_does() -> None:
    objects = rendered(backup=NIGHTLY)
    run, chat = pod(cron_job()), pod(objects["Deployment/team-a-aichat-openwebui"])
    assert run["securityContext"] == chat["securityContext"]
    assert run["automountServiceAccountToken"] is False


def test_only_runs_name_the_keys_and_the_passphrase() -> None:
    objects = rendered(backup=NIGHTLY)
    (copy,) = (name for name in objects if name.startswith("Secret/team-a-aichat-openwebui-backup"))
    name = copy.partition("/")[2]
    assert json.dumps(pod(cron_job())).count(name) == len({PASSPHRASE, ACCESS_KEY, SECRET_KEY})
    for workload in ("StatefulSet/team-a-aichat-ollama", "Deployment/team-a-aichat-openwebui"):
        assert name not in json.dumps(objects[workload])


def test_a_folder_of_the_bucket_is_the_teams_and_the_workspaces() -> None:
    assert variables(cron_job())["BACKUP_STORE"] == "s3://chats/team-a/team-a-aichat"
    prefixed = variables(cron_job(platform(store={"prefix": "aichat/eu"})))
    assert prefixed["BACKUP_STORE"] == "s3://chats/aichat/eu/team-a/team-a-aichat"


def test_a_volume_is_claimed_and_mounted() -> None:
    backup = {**NIGHTLY, "destination": "volume"}
    objects = rendered(backup=backup)
    claim = objects["PersistentVolumeClaim/team-a-aichat-backups"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "20Gi"
    assert claim["spec"]["storageClassName"] == "slow"
    assert objects["ResourceQuota/team-a-aichat"]["spec"]["hard"]["persistentvolumeclaims"] == "3"
    run = objects["CronJob/team-a-aichat-backup"]
    assert variables(run)["BACKUP_STORE"] == "file:///backups/team-a-aichat"
    assert "AWS_REGION" not in variables(run)
    assert {"name": "backups", "mountPath": "/backups"} in pod(run)["containers"][0]["volumeMounts"]
    assert "NetworkPolicy/team-a-aichat-backup" not in objects


def test_the_resource_has_nothing_that_programs_write() -> None:
    metadata = {"labels": {"of": "a person"}, "managedFields": [{"manager": "kubectl"}]}
    resource = json.loads(variables(cron_job(metadata=metadata))["BACKUP_WORKSPACE"])
    assert resource["metadata"] == {
        "name": "aichatworkspace-team-a",
        "namespace": names.SYSTEM_NAMESPACE,
        "labels": {"of": "a person"},
    }
    assert resource["spec"]["backup"] == NIGHTLY
    assert resource.keys() == {"apiVersion", "kind", "metadata", "spec"}


def test_a_status_changes_no_run() -> None:
    status = {"phase": "Ready", "backup": {"state": "Done", "succeededAt": "2026-12-01T02:31:00Z"}}
    assert cron_job(status=status) == cron_job()


def test_as_many_backups_stay_as_the_workspace_says() -> None:
    assert variables(cron_job(backup={**NIGHTLY, "keep": 3}))["BACKUP_KEEP"] == "3"


def test_the_time_zone_is_the_schedules() -> None:
    run = cron_job(backup={**NIGHTLY, "timeZone": "Europe/Paris"})
    assert (run["spec"]["schedule"], run["spec"]["timeZone"]) == ("30 2 * * *", "Europe/Paris")


def test_the_quota_has_room_for_a_run() -> None:
    hard = rendered(backup=NIGHTLY)["ResourceQuota/team-a-aichat"]["spec"]["hard"]
    assert hard["pods"] == "3"


def test_the_platforms_settings_of_pods_hold_for_runs() -> None:
    pods = {
        "runtimeClass": {"name": "kata"},
        "priorityClassName": "low",
        "hostUsers": False,
        "metadata": {"labels": {"cost": "it"}, "annotations": {"mesh.example.org/inject": "no"}},
    }
    settings = PlatformSpec.model_validate(
        {
            "pods": pods,
            "backup": PLATFORM.backup.model_dump(by_alias=True),
        }
    )
    run = cron_job(settings)
    assert pod(run)["runtimeClassName"] == "kata"
    assert pod(run)["priorityClassName"] == "low"
    assert pod(run)["hostUsers"] is False
    metadata = pod_template(run)["metadata"]
    assert metadata["labels"]["cost"] == "it"
    assert metadata["annotations"] == {"mesh.example.org/inject": "no"}


class TestWaysOut:
    def policy(self, **store: Any) -> list[Any]:
        policy = rendered(platform(store=store), backup=NIGHTLY)[
            "NetworkPolicy/team-a-aichat-backup"
        ]
        assert policy["spec"]["podSelector"]["matchLabels"][names.COMPONENT_LABEL] == "backup"
        egress: list[Any] = policy["spec"]["egress"]
        return egress

    def test_lead_outside_on_the_stores_port_where_its_address_is_not_known(self) -> None:
        (rule,) = self.policy()
        assert rule["ports"] == [{"port": 9000, "protocol": "TCP"}]
        assert [peer["ipBlock"]["cidr"] for peer in rule["to"]] == ["0.0.0.0/0", "::/0"]

    @pytest.mark.parametrize(
        "store",
        [{"addresses": ["10.1.2.3/32"]}, {"endpoint": "https://10.1.2.3:9000"}],
        ids=["listed", "in the endpoint"],
    )
    def test_lead_to_the_stores_address_alone(self, store: dict[str, Any]) -> None:
        (rule,) = self.policy(**store)
        assert rule["to"] == [{"ipBlock": {"cidr": "10.1.2.3/32"}}]

    def test_lead_to_the_stores_pods_by_their_own_port(self) -> None:
        (rule,) = self.policy(namespaces=["storage"], podLabels={"app": "minio"}, ports=[9001])
        assert rule["ports"] == [{"port": 9001, "protocol": "TCP"}]
        (peer,) = rule["to"]
        assert peer["podSelector"]["matchLabels"] == {"app": "minio"}

    @pytest.mark.parametrize(
        ("store", "is_direct"), [({}, False), ({"namespaces": ["storage"]}, True)]
    )
    def test_go_around_the_proxy_where_policies_name_the_store(
        self, store: dict[str, Any], is_direct: bool
    ) -> None:
        proxy = {"url": "http://10.9.9.9:3128"}
        backup = platform(store=store).backup.model_dump(by_alias=True)
        settings = PlatformSpec.model_validate({"proxy": proxy, "backup": backup})
        environment = variables(cron_job(settings))
        assert environment["HTTPS_PROXY"] == "http://10.9.9.9:3128"
        assert ("s3.example.org" in environment["NO_PROXY"].split(",")) is is_direct

    def test_trust_the_platforms_authorities(self) -> None:
        secrets = PlatformSecrets(authorities=ReferencedSecret("Opaque", {"ca.crt": "eA=="}))
        spec = template_of(platform_secrets=secrets)
        assert spec["initContainers"][0]["image"] == IMAGE
        (container,) = spec["containers"]
        assert "SSL_CERT_FILE" in {entry["name"] for entry in container["env"]}


def template_of(**fields: Any) -> Manifest:
    """Return the pod of a restore, which brings arguments and another workspace's folder."""
    backups = Backups(PLATFORM.backup.destinations[0], IMAGE, "team-a", "{}")
    secret = ReferencedSecret("Opaque", {})
    tenant = Tenant(
        workspace().spec,
        PLATFORM,
        CREDENTIALS,
        referenced={BACKUP: secret},
        backups=backups,
        **fields,
    )
    run = job_spec(
        tenant, backups, ["restore", "NAME"], source="other", is_beside_chat=False, retries=0
    )
    spec: Manifest = run["template"]["spec"]
    return spec


def test_a_restore_reads_the_folder_of_another_workspace_of_the_team() -> None:
    (container,) = template_of()["containers"]
    assert container["args"] == ["restore", "NAME"]
    assert {"name": "BACKUP_STORE", "value": "s3://chats/team-a/other"} in container["env"]


def test_a_recovery_has_nothing_of_a_store() -> None:
    resource = workspace(suspended=True)
    run = DataRun("team-a-aichat-recover-0a1b2c3d", ("recover", "--forget", "restore"), None)
    backups = Backups(None, IMAGE, "team-a", resource_text(resource), restore=run)
    manifests = render(resource, PLATFORM, CREDENTIALS, backups=backups, stops_chat=True)
    job = next(manifest for manifest in manifests if manifest["kind"] == "Job")
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["args"] == ["recover", "--forget", "restore"]
    assert {entry["name"] for entry in container["env"]} == {"BACKUP_DATA", "BACKUP_SCRATCH"}
    assert {volume["name"] for volume in pod["volumes"]} == {"data", "tmp"}
    assert [mount["name"] for mount in container["volumeMounts"]] == ["data", "tmp"]


def test_a_restore_is_a_job_of_its_own_while_the_chat_and_its_schedule_rest() -> None:
    resource = workspace(backup={"schedule": "30 2 * * *"})
    run = DataRun("team-a-aichat-restore-0a1b2c3d", ("restore", "a-backup"), "source-aichat")
    place = PLATFORM.backup.destinations[0]
    manifests = render(
        resource,
        PLATFORM,
        CREDENTIALS,
        {purpose: ReferencedSecret("Opaque", {}) for purpose in (BACKUP, RESTORE)},
        backups=Backups(place, IMAGE, "team-a", resource_text(resource), restore=run, origin=place),
        stops_chat=True,
    )
    of_kind = {manifest["kind"]: manifest for manifest in manifests}
    assert of_kind["Deployment"]["spec"]["replicas"] == 0
    assert of_kind["StatefulSet"]["spec"]["replicas"] == 1
    assert of_kind["CronJob"]["spec"]["suspend"]
    job = of_kind["Job"]
    assert job["metadata"]["name"] == run.name
    (container,) = pod(job)["containers"]
    assert container["args"] == ["restore", "a-backup"]
    assert variables(job)["BACKUP_STORE"] == "s3://chats/team-a/source-aichat"
    assert "affinity" not in pod(job), "there is no chat to be beside"
    (rule,) = job["spec"]["podFailurePolicy"]["rules"]
    assert rule["onExitCodes"]["values"] == [1], "what the program says itself is final"
    assert job["spec"]["backoffLimit"] > 2
    assert "ttlSecondsAfterFinished" not in job["spec"], "it tells that the restore was made"


class TestSnapshots:
    def objects(self, **backup: Any) -> dict[str, Manifest]:
        return {m["kind"]: m for m in with_snapshots({**NIGHTLY, **backup})}

    def test_no_pod_has_a_secret_or_a_store(self) -> None:
        for kind in ("CronJob", "Job"):
            manifest = self.objects()[kind]
            assert not [volume for volume in pod(manifest)["volumes"] if "secret" in volume]
            assert {*variables(manifest)} == {"BACKUP_DATA", "BACKUP_SCRATCH"}
        assert "NetworkPolicy" not in self.objects(), "and no way out"

    def test_a_run_checks_the_data_and_says_which_class_the_snapshot_is_to_have(self) -> None:
        template = self.objects()["CronJob"]["spec"]["jobTemplate"]
        assert template["metadata"]["annotations"] == {
            names.DESTINATION_ANNOTATION: "snapshots",
            names.SNAPSHOT_CLASS_ANNOTATION: "fast-snapshots",
        }
        (container,) = template["spec"]["template"]["spec"]["containers"]
        assert container["args"] == ["check"]

    def test_a_snapshot_says_what_the_chat_was_and_how_many_stay(self) -> None:
        marks = self.objects(keep=3)["VolumeSnapshot"]["metadata"]["annotations"]
        assert marks[names.KEEP_ANNOTATION] == "3"
        assert "open-webui" in marks[names.IMAGE_ANNOTATION]

    def test_a_restore_copies_from_the_volume_and_can_not_write_to_it(self) -> None:
        runs = {m["metadata"]["name"]: m for m in with_snapshots(NIGHTLY) if m["kind"] == "Job"}
        spec = pod(runs[RUN])
        (container,) = spec["containers"]
        assert container["args"][-2:] == ["--folder", "/restored"]
        mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
        assert mounts["restored"] == {
            "name": "restored",
            "mountPath": "/restored",
            "readOnly": True,
        }
        (volume,) = (volume for volume in spec["volumes"] if volume["name"] == "restored")
        assert volume["persistentVolumeClaim"] == {"claimName": RUN}, (
            "the volume itself is not read-only: its file system may have to be repaired"
        )
