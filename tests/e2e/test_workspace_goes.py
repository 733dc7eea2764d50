"""The deletion of one workspace, which leaves the other as it is."""

import pytest
import yaml

from tests.e2e.conftest import (
    OPERATOR_USER,
    RESOURCE,
    ROOT,
    SECOND,
    SYSTEM,
    TENANT,
    Node,
    wait_ready,
)

ROLES = ROOT / "config" / "rbac" / "role.yaml"
OPERATOR = "aichat-workspace-operator"
SHARED_NAMES = {  # of what a workspace becomes
    "/limitranges",
    "/persistentvolumeclaims",
    "/resourcequotas",
    "/serviceaccounts",
    "/services",
    "apps/deployments",
    "apps/statefulsets",
    "networking.k8s.io/ingresses",
    "networking.k8s.io/networkpolicies",
}
# What these tests do not use, each with why the operator has it all the same.
EXPLAINED = {
    **{
        f"create {kind}": "server-side apply of a new object is a patch that needs create as well"
        for kind in SHARED_NAMES
    },
    **{
        f"delete {kind}": "an object that the spec asks for no more; most go with their namespace"
        for kind in SHARED_NAMES
    },
    **{
        f"{verb} gateway.networking.k8s.io/httproutes": "a cluster with the Gateway API"
        for verb in ("watch", "create", "patch", "delete")
    },
    **{
        f"{verb} batch/{kind}": "backups and restores: test_backup.py, one of the slow ones"
        for kind in ("cronjobs", "jobs")
        for verb in ("create", "patch", "delete")
    },
    **{
        f"{verb} snapshot.storage.k8s.io/volumesnapshots": "a cluster with snapshots of volumes"
        for verb in ("watch", "create", "patch", "delete")
    },
    "watch snapshot.storage.k8s.io/volumesnapshotclasses": "a cluster with snapshots of volumes",
    "create /configmaps": "the record of the settings is made by server-side apply, too",
    "watch gateway.networking.k8s.io/gateways": "a cluster with the Gateway API",
    "watch cert-manager.io/clusterissuers": "a cluster with cert-manager",
    "delete /pods": "a pod that keeps its StatefulSet from replacing it",
    "patch events.k8s.io/events": "what happened once more",
    "delete apps.aichatworkspaces.io/aichatworkspaces": "spec.expiresAfter: integration tests",
}


@pytest.mark.usefixtures("whole_node")
def test_one_workspace_goes_and_the_other_stays(node: Node) -> None:
    node.kubectl("delete", "aiws", "aichatworkspace-team-b", "-n", SYSTEM, "--timeout=120s")
    assert SECOND not in node.kubectl("get", "namespaces", "-o", "name")
    wait_ready(node, RESOURCE, TENANT)


@pytest.mark.usefixtures("whole_node")
def test_the_operator_has_exactly_the_permissions_that_it_uses(node: Node) -> None:
    """By all that the API server has seen of it; the last test, so that this is everything."""
    used = {
        f"{request['verb']} {_kind(request['objectRef'])}"
        for request in node.requests(OPERATOR_USER)
        if request.get("objectRef")
    }
    assert used <= granted(), "no request was refused by its role"
    assert granted() - used <= EXPLAINED.keys()


def granted() -> set[str]:
    """Verb and kind of everything that the roles allow."""
    documents = yaml.safe_load_all(ROLES.read_text())
    rules = [
        rule
        for role in documents
        if role["kind"] in ("ClusterRole", "Role") and role["metadata"]["name"] == OPERATOR
        for rule in role["rules"]
    ]
    return {
        f"{verb} {group}/{resource}"
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def _kind(reference: dict[str, str]) -> str:
    parts = [reference["resource"], *filter(None, [reference.get("subresource")])]
    return f"{reference.get('apiGroup', '')}/{'/'.join(parts)}"
