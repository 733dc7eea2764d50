from typing import Any

import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.field_ownership import removals
from aichat_workspace.operator.observed import trimming
from tests.unit.domain.samples import CERTIFICATE

_METADATA = {"name": "a", "namespace": "team", "managedFields": [{"manager": "kubectl"}]}
_KEPT = {"name": "a", "namespace": "team"}


def deployment(*conditions: str) -> dict[str, Any]:
    listed = [{"type": name, "status": "True", "lastUpdateTime": "now"} for name in conditions]
    status = {"readyReplicas": 1, "availableReplicas": 1, "conditions": listed}
    return {"kind": "Deployment", "metadata": _METADATA, "spec": {"replicas": 1}, "status": status}


def test_of_a_workload_only_what_is_read_of_its_status_is_kept() -> None:
    trimmed = trimming.tenant_object(deployment("Progressing", "ReplicaFailure"))
    assert trimmed["spec"] == {"replicas": 1}
    assert trimmed["metadata"] == _KEPT
    assert trimmed["status"] == {
        "readyReplicas": 1,
        "conditions": [{"type": "ReplicaFailure", "status": "True"}],
    }
    assert "conditions" not in trimming.tenant_object(deployment("Progressing"))["status"]


def test_of_a_quota_it_is_kept_what_it_enforces_and_not_what_is_used() -> None:
    status = {"hard": {"cpu": "2"}, "used": {"cpu": "1"}}
    quota = {"kind": "ResourceQuota", "metadata": _METADATA, "status": status}
    assert trimming.tenant_object(quota)["status"] == {"hard": {"cpu": "2"}}


def test_of_a_run_of_backups_it_is_kept_how_it_ended() -> None:
    conditions = [{"type": name, "status": "True"} for name in ("SuccessCriteriaMet", "Complete")]
    status = {"succeeded": 1, "startTime": "now", "conditions": conditions}
    job = {"kind": "Job", "metadata": _METADATA, "status": status}
    assert trimming.tenant_object(job)["status"] == {"succeeded": 1, "conditions": conditions[1:]}
    scheduled = {"kind": "CronJob", "metadata": _METADATA, "status": {"lastScheduleTime": "now"}}
    assert "status" not in trimming.tenant_object(scheduled)


def test_a_status_that_nothing_reads_is_dropped() -> None:
    service = {"kind": "Service", "metadata": _METADATA, "status": {"loadBalancer": {}}}
    assert trimming.tenant_object(service) == {"kind": "Service", "metadata": _KEPT}


def test_of_a_pod_the_conditions_and_containers_that_tell_of_a_problem_are_kept() -> None:
    container = {"name": "c", "ready": False, "restartCount": 3, "imageID": "sha256:0"}
    conditions = [{"type": "Ready", "status": "False"}, {"type": "Initialized", "status": "True"}]
    status = {"phase": "Running", "conditions": conditions, "containerStatuses": [container]}
    pod = {"kind": "Pod", "metadata": _METADATA, "spec": {"nodeName": "n"}, "status": status}
    assert trimming.pod(pod) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _KEPT,
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "False"}],
            "containerStatuses": [{"name": "c", "ready": False, "restartCount": 3}],
        },
    }


def test_of_a_pod_it_is_kept_which_pods_it_stands_beside() -> None:
    affinity: dict[str, Any] = {"podAffinity": {"required": []}}
    spec = {"nodeName": "n", "affinity": {**affinity, "nodeAffinity": {}}}
    pod = trimming.pod({"kind": "Pod", "metadata": _METADATA, "spec": spec})
    assert pod["spec"] == {"affinity": affinity}


def test_a_job_counts_its_pods() -> None:
    status = {"failed": 1, "succeeded": 0, "active": 1}
    job = trimming.tenant_object({"kind": "Job", "metadata": _METADATA, "status": status})
    assert job["status"] == {"failed": 1, "succeeded": 0}


def test_a_secret_keeps_its_data_only_where_the_operator_made_it_or_it_names_a_workspace() -> None:
    secret = {"kind": "Secret", "metadata": _METADATA, "data": {"key": "dmFsdWU="}}
    assert "data" not in trimming.secret(secret)
    marks = {"annotations": {names.SECRET_FOR_ANNOTATION: "team/a"}}
    assert "data" in trimming.secret({**secret, "metadata": {**_METADATA, **marks}})


def test_of_a_tenants_namespace_it_is_kept_what_others_added_to_it() -> None:
    fields: dict[str, Any] = {"f:metadata": {"f:labels": {"f:istio-injection": {}}}}
    metadata = {
        "name": "a",
        "labels": {"istio-injection": "enabled"},
        "annotations": {names.OWNER_UID_ANNOTATION: "uid-a"},
        "managedFields": [{"manager": "kubectl-label", "fieldsV1": fields}],
    }
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    desired = {**body, "metadata": {"name": "a"}}
    trimmed = trimming.namespace(body)
    assert "managedFields" not in trimmed["metadata"]
    assert removals(trimmed, desired) == (("metadata", "labels", "istio-injection"),)


def test_of_a_node_its_addresses_and_its_pods_ranges_are_kept() -> None:
    addresses = [{"type": "ExternalIP", "address": "203.0.113.7"}]
    metadata = {"name": "n", "resourceVersion": "1"}
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {**metadata, "annotations": {"seen": "now"}},
        "spec": {"podCIDR": "10.0.0.0/24", "podCIDRs": ["10.0.0.0/24", "fd00::/64"]},
        "status": {"addresses": addresses, "conditions": [{"type": "Ready"}]},
    }
    assert trimming.node(node) == {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": metadata,
        "spec": {"podCIDRs": ["10.0.0.0/24", "fd00::/64"]},
        "status": {"addresses": addresses},
    }


def test_of_a_config_map_the_entries_with_certificates_are_kept() -> None:
    data = {"ca.crt": CERTIFICATE, "settings": "much"}
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _METADATA, "data": data}
    assert trimming.config_map(config_map)["data"] == {"ca.crt": CERTIFICATE}


@pytest.mark.parametrize(
    ("type_name", "is_kept"), [("kubernetes.io/dockerconfigjson", True), ("Opaque", False)]
)
def test_of_a_secret_without_a_workspace_only_registries_passwords_are_kept(
    type_name: str, is_kept: bool
) -> None:
    secret = {"kind": "Secret", "metadata": _METADATA, "type": type_name, "data": {"k": "eA=="}}
    assert ("data" in trimming.secret(secret)) is is_kept


def test_of_a_workspace_the_apis_record_of_changes_is_dropped() -> None:
    """So an entry costs the operator no memory, and is no event."""
    marks = {names.HISTORY_ANNOTATION: "[]", names.UPGRADES_ANNOTATION: "skip"}
    workspace: dict[str, Any] = {
        "kind": "AIChatWorkspace",
        "metadata": {**_METADATA, "annotations": marks},
    }
    trimmed = trimming.workspace(workspace)
    assert trimmed["metadata"] == {**_KEPT, "annotations": {names.UPGRADES_ANNOTATION: "skip"}}
    assert workspace["metadata"]["annotations"] == marks
    assert trimming.workspace({"metadata": _METADATA}) == {"metadata": _KEPT}
