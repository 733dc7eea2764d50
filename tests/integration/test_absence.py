"""What is missing is no instruction: settings that were deleted, and what else may be gone."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.integration.conftest import (
    SYSTEM,
    Cluster,
    Operator,
    platform,
    restore_default_settings,
    workspace,
)
from tests.integration.tenants import condition
from tests.waiting import eventually, let_pass

pytestmark = pytest.mark.usefixtures("operator")
GROUP = "apps.aichatworkspaces.io"
RECORD = ("configmap", "aichat-workspace-settings", "-n", SYSTEM)


def created(cluster: Cluster, name: str) -> bool:
    return bool(condition(cluster, name).get("status") == "True")


def host(cluster: Cluster, name: str) -> object:
    return cluster.get("ingress", f"{name}-openwebui", "-n", name)["spec"]["rules"][0]["host"]


def events(cluster: Cluster, name: str, namespace: str = SYSTEM) -> dict[str, str]:
    """The notes of events about an object, by their reasons."""
    selector = ("--field-selector", f"regarding.name={name}")
    listed = cluster.get("events.events.k8s.io", "-n", namespace, *selector)["items"]
    return {event["reason"]: event["note"] for event in listed}


class TestSettings:
    """Of an AIChatPlatform that is deleted."""

    @pytest.fixture
    def tenant(self, cluster: Cluster) -> Iterator[str]:
        cluster.apply(platform({"ingress": {"domain": "kept.example.org"}}))
        cluster.apply(workspace("settled-down"))
        eventually(lambda: created(cluster, "settled-down"), "it is provisioned")
        eventually(
            lambda: host(cluster, "settled-down") == "settled-down.kept.example.org", "by settings"
        )
        yield "settled-down"
        restore_default_settings(cluster)
        cluster.kubectl("delete", "aiws", "settled-down", "-n", SYSTEM, "--timeout=60s")

    def test_its_settings_stay_in_force_across_a_restart(
        self, cluster: Cluster, tenant: str, shared_operator: Operator
    ) -> None:
        eventually(
            lambda: "kept.example.org" in cluster.get(*RECORD)["data"]["spec"], "they are recorded"
        )
        workloads = cluster.get("deployment,ingress", "-n", tenant)
        cluster.kube.delete("aichatplatform", "default")
        eventually(
            lambda: "SettingsKept" in events(cluster, "aichat-workspace-settings"), "it is told"
        )
        note = events(cluster, "aichat-workspace-settings")["SettingsKept"]
        assert "apply one with an empty spec" in note
        shared_operator.stop()
        shared_operator.start()
        cluster.apply(workspace("moved-in"))
        eventually(lambda: created(cluster, "moved-in"), "new ones are made by them, too")
        assert host(cluster, "moved-in") == "moved-in.kept.example.org"
        after = cluster.get("deployment,ingress", "-n", tenant)
        assert [item["metadata"]["generation"] for item in after["items"]] == [
            item["metadata"]["generation"] for item in workloads["items"]
        ]
        restore_default_settings(cluster)
        eventually(
            lambda: host(cluster, tenant) == f"{tenant}.localtest.me",
            "an empty one brings the defaults",
        )
        cluster.kubectl("delete", "aiws", "moved-in", "-n", SYSTEM, "--timeout=60s")

    def test_the_record_is_written_only_when_they_change(
        self, cluster: Cluster, tenant: str
    ) -> None:
        eventually(
            lambda: "kept.example.org" in cluster.get(*RECORD)["data"]["spec"], "they are recorded"
        )
        before = cluster.get(*RECORD)["metadata"]["resourceVersion"]
        cluster.kube.patch("aiws", tenant, SYSTEM, {"spec": {"suspended": True}})
        let_pass(3, "the record would be written")
        assert cluster.get(*RECORD)["metadata"]["resourceVersion"] == before


TEAM = "team-absent"
GLASS = ("--as=breaker", "--as-group=aichatworkspaces:break-glass")
NO_FINALIZERS = ("--type=merge", "-p", '{"metadata": {"finalizers": null}}')


def in_team(name: str, **spec: Any) -> dict[str, Any]:
    resource = workspace(name, **spec)
    resource["metadata"]["namespace"] = TEAM
    return resource


def ready(cluster: Cluster, name: str, namespace: str = TEAM) -> dict[str, Any]:
    conditions = cluster.get("aiws", name, "-n", namespace).get("status", {}).get("conditions", [])
    return next((dict(entry) for entry in conditions if entry["type"] == "Ready"), {})


def created_in_team(cluster: Cluster, name: str) -> bool:
    return bool(cluster.get("aiws", name, "-n", TEAM).get("status", {}).get("isCreated"))


def gone(cluster: Cluster, kind: str, name: str, *arguments: str) -> bool:
    return "NotFound" in cluster.kubectl("get", kind, name, *arguments, check=False)


def annotation(cluster: Cluster, namespace: str, name: str) -> str | None:
    marks = cluster.get("namespace", namespace)["metadata"].get("annotations", {})
    value: str | None = marks.get(f"apps.aichatworkspaces.io/{name}")
    return value


def strip(cluster: Cluster, name: str) -> None:
    """Take the finalizer off and the resource away, as only who breaks the glass can."""
    cluster.kubectl("delete", "aiws", name, "-n", TEAM, "--wait=false")
    cluster.kubectl("patch", "aiws", name, "-n", TEAM, *NO_FINALIZERS, *GLASS, check=False)
    eventually(lambda: gone(cluster, "aiws", name, "-n", TEAM), f"{name} is gone")


@pytest.fixture(scope="module")
def team(cluster: Cluster, operator: Path) -> Iterator[str]:
    assert operator.exists()
    cluster.kubectl("create", "namespace", TEAM)
    cluster.kubectl("label", "namespace", TEAM, "aichatworkspaces.io/team=true")
    yield TEAM
    cluster.kubectl("delete", "aiws", "--all", "-n", TEAM, "--timeout=60s")
    cluster.kubectl("delete", "namespace", TEAM, "--timeout=60s")


class TestFinalizer:
    """Of a workspace whose team would like it to run on, counted nowhere."""

    def test_nobody_takes_it_off_but_who_breaks_the_glass(
        self, cluster: Cluster, team: str, shared_operator: Operator
    ) -> None:
        cluster.apply(in_team("uncounted"))
        eventually(lambda: created_in_team(cluster, "uncounted"), "it is provisioned")
        cluster.kubectl(
            *("create", "rolebinding", "lead", "--clusterrole=edit", "--user=lead", "-n", team)
        )
        eventually(
            lambda: cluster.kubectl("get", "aiws", "-n", team, "--as=lead", check=False).startswith(
                "NAME"
            ),
            "the lead has access",
        )
        for who in (("--as=lead",), ()):
            output = cluster.kubectl(
                *("patch", "aiws", "uncounted", "-n", team, *NO_FINALIZERS, *who), check=False
            )
            assert "only the operator removes the finalizer" in output
        cluster.kubectl("label", "aiws", "uncounted", "-n", team, "--as=lead", "mood=fine")
        shared_operator.stop()
        try:
            strip(cluster, "uncounted")
            assert not gone(cluster, "namespace", "uncounted")
        finally:
            shared_operator.start()

    def test_a_namespace_without_its_resource_is_found_and_told(
        self, cluster: Cluster, team: str, metrics_port: int
    ) -> None:
        assert team
        eventually(lambda: "Orphaned" in events(cluster, "uncounted", "uncounted"), "it is told")
        note = events(cluster, "uncounted", "uncounted")["Orphaned"]
        assert f"its AIChatWorkspace {TEAM}/uncounted" in note
        assert annotation(cluster, "uncounted", "orphaned-since")
        metrics = httpx2.get(f"http://127.0.0.1:{metrics_port}/metrics").text
        assert "aichat_operator_orphaned_namespaces 1.0" in metrics
        workload = cluster.get("deployment", "uncounted-openwebui", "-n", "uncounted")
        assert workload["spec"]["replicas"] == 1, "its grace goes on"

    def test_it_is_stopped_and_can_be_taken_over(self, cluster: Cluster, team: str) -> None:
        assert team
        name = "uncounted"
        uid = cluster.get("namespace", name)["metadata"]["uid"]
        claims = {claim["metadata"]["uid"] for claim in cluster.get("pvc", "-n", name)["items"]}
        owner = annotation(cluster, name, "workspace-uid")
        long_ago = f"{(datetime.now(UTC) - timedelta(hours=2)).isoformat()} {owner}"
        mark = f"apps.aichatworkspaces.io/orphaned-since={long_ago}"
        cluster.kubectl("annotate", "namespace", name, "--overwrite", mark)
        let_pass(2, "it would be stopped before its grace is over")
        assert annotation(cluster, name, "retained") is None
        cluster.apply(platform({"deletion": {"orphanGraceHours": 1}}))
        try:
            eventually(lambda: annotation(cluster, name, "retained") == "true", "it is retained")
            for workload in (f"statefulset/{name}-ollama", f"deployment/{name}-openwebui"):
                assert cluster.get(workload, "-n", name)["spec"]["replicas"] == 0
            assert cluster.names("ingress", name) == []
            assert uid in events(cluster, name, name)["OrphanStopped"]
        finally:
            restore_default_settings(cluster)
        cluster.apply(in_team(name, namespaceUID=uid))
        eventually(lambda: created_in_team(cluster, name), "its team has it back")
        assert cluster.get("namespace", name)["metadata"]["uid"] == uid
        after = {claim["metadata"]["uid"] for claim in cluster.get("pvc", "-n", name)["items"]}
        assert after == claims, "with all data"
        cluster.kubectl("delete", "aiws", name, "-n", TEAM, "--timeout=60s")


class TestTeamLabel:
    """A namespace that is no team's any more."""

    def test_its_workspaces_end_all_the_same(self, cluster: Cluster, team: str) -> None:
        cluster.apply(in_team("offboarded"))
        eventually(lambda: created_in_team(cluster, "offboarded"), "it is provisioned")
        cluster.kubectl("label", "namespace", team, "aichatworkspaces.io/team-")
        try:
            cluster.kube.patch("aiws", "offboarded", team, {"spec": {"suspended": True}})
            eventually(
                lambda: (
                    cluster.get("aiws", "offboarded", "-n", team)["status"]["phase"] == "Suspended"
                ),
                "its status goes on",
            )
            cluster.kubectl("delete", "aiws", "offboarded", "-n", team, "--timeout=60s")
            assert gone(cluster, "namespace", "offboarded")
        finally:
            cluster.kubectl("label", "namespace", team, "aichatworkspaces.io/team=true")

    def test_one_that_was_not_begun_is_told_which_label_to_put_back(
        self, cluster: Cluster, team: str, shared_operator: Operator
    ) -> None:
        shared_operator.stop()
        cluster.apply(in_team("too-late"))
        cluster.kubectl("label", "namespace", team, "aichatworkspaces.io/team-")
        shared_operator.start()
        label = f"kubectl label namespace {team} aichatworkspaces.io/team=true"
        try:
            eventually(
                lambda: label in ready(cluster, "too-late").get("message", ""), "the status says it"
            )
            assert gone(cluster, "namespace", "too-late")
        finally:
            cluster.kubectl(*label.split()[1:])
        eventually(lambda: created_in_team(cluster, "too-late"), "it is served again", 120)
        cluster.kubectl("delete", "aiws", "too-late", "-n", team, "--timeout=60s")


class TestRestore:
    """From a backup, which brings the same names with new UIDs."""

    def test_a_restored_namespace_is_taken_over_by_the_command_in_the_message(
        self, cluster: Cluster, team: str, shared_operator: Operator
    ) -> None:
        name = "restored"
        cluster.apply(in_team(name))
        eventually(lambda: created_in_team(cluster, name), "it is provisioned")
        secret = cluster.get("secret", f"{name}-credentials", "-n", SYSTEM)["data"]
        shared_operator.stop()
        backup = cluster.get("namespace", name)
        strip(cluster, name)
        cluster.kubectl("delete", "namespace", name, "--timeout=60s")
        copied = ("name", "labels", "annotations")
        metadata = {key: backup["metadata"][key] for key in copied}
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        cluster.apply(in_team(name))
        shared_operator.start()
        eventually(
            lambda: ready(cluster, name).get("reason") == "NamespaceTaken", "it is left alone"
        )
        message = ready(cluster, name)["message"]
        (command,) = re.findall(r"kubectl (annotate namespace .* --overwrite)", message)
        lead = cluster.kubectl(*command.split(), "--as=lead", check=False)
        assert "forbidden" in lead, "no team can"
        cluster.kubectl(*command.split())
        eventually(lambda: created_in_team(cluster, name), "it has the namespace")
        status = cluster.get("aiws", name, "-n", team)["status"]
        namespace = cluster.get("namespace", name)["metadata"]
        assert status["namespace"]["uid"] == namespace["uid"] != backup["metadata"]["uid"]
        assert cluster.get("secret", f"{name}-credentials", "-n", SYSTEM)["data"] == secret
        cluster.kubectl("delete", "aiws", name, "-n", team, "--timeout=60s")
        assert gone(cluster, "namespace", name)


def test_the_platform_retains_what_is_deleted(cluster: Cluster, team: str) -> None:
    cluster.apply(in_team("protected"))
    eventually(lambda: created_in_team(cluster, "protected"), "it is provisioned")
    cluster.apply(platform({"deletion": {"retainAll": True}, "ingress": {"port": 8099}}))
    try:
        eventually(
            lambda: ":8099" in cluster.get("aiws", "protected", "-n", team)["status"]["url"],
            "the settings are in force",
        )
        cluster.kubectl("delete", "aiws", "protected", "-n", team, "--timeout=60s")
        assert annotation(cluster, "protected", "retained") == "true"
    finally:
        restore_default_settings(cluster)
    cluster.kubectl("delete", "namespace", "protected", "--timeout=60s")


@pytest.mark.parametrize(
    ("kind", "name"),
    [("namespaces", SYSTEM), ("customresourcedefinitions", f"aichatworkspaces.{GROUP}")],
)
def test_what_holds_all_workspaces_is_deleted_only_on_purpose(
    cluster: Cluster, kind: str, name: str
) -> None:
    output = cluster.kubectl("delete", kind, name, "--dry-run=server", check=False)
    assert "would delete all workspaces with their data" in output
    (command,) = re.findall(r"kubectl (annotate \S+ \S+ \S+=confirmed)", output)
    cluster.kubectl(*command.split())
    try:
        cluster.kubectl("delete", kind, name, "--dry-run=server")
    finally:
        cluster.kubectl(*command.replace("=confirmed", "-").split())
