"""What is missing is no instruction: settings that were deleted, and what else may be gone."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.conftest import (
    SYSTEM,
    Cluster,
    Operator,
    restore_default_settings,
    workspace,
)
from tests.integration.tenants import condition
from tests.waiting import eventually, let_pass

pytestmark = pytest.mark.usefixtures("operator")
RECORD = ("configmap", "aichat-workspace-settings", "-n", SYSTEM)


def platform(spec: object) -> dict[str, Any]:
    return {
        "apiVersion": "apps.aichatworkspaces.io/v1alpha1",
        "kind": "AIChatPlatform",
        "metadata": {"name": "default"},
        "spec": spec,
    }


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
