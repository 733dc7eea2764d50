"""What the API server refuses of what the operator writes: told where people look, tried again in
peace, and no reason to call a running chat broken."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Ref
from aichat_workspace.domain.planning.actions import Prune
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from aichat_workspace.kube.client import Client
from aichat_workspace.kube.errors import ConflictError
from aichat_workspace.operator.observed.caches import Caches
from aichat_workspace.operator.writer import Writer
from tests.integration.conftest import (
    OPERATOR_USER,
    SYSTEM,
    Cluster,
    platform,
    restore_default_settings,
    workspace,
)
from tests.integration.tenants import bound_volume, condition, edit, growing_class, prove
from tests.waiting import eventually, let_pass

pytestmark = pytest.mark.usefixtures("operator")
WORDS: Final = "the policy of this house"
ADMISSION: Final = "admissionregistration.k8s.io/v1"


def created(cluster: Cluster, name: str) -> bool:
    return bool(cluster.get("aiws", name, "-n", SYSTEM).get("status", {}).get("isCreated"))


@pytest.fixture(scope="module", autouse=True)
def lingering(cluster: Cluster, operator: Path) -> str:
    """A workspace that is to be gone, with what holds its namespace. Kubernetes says what that is
    after a while, in which other tests run."""
    assert operator.exists()
    name, keeper = "lingering", ("configmap", "kept", "-n", "lingering")
    cluster.apply(workspace(name))
    eventually(lambda: created(cluster, name), f"{name} is provisioned")
    cluster.kubectl("create", *keeper)
    finalizers = json.dumps({"metadata": {"finalizers": ["example.org/keep"]}})
    cluster.kubectl("patch", *keeper, "--type=merge", "-p", finalizers)
    delete(cluster, name)
    return name


@contextmanager
def refused(
    cluster: Cluster, name: str, resource: str, verbs: list[str], allows: str
) -> Iterator[None]:
    """A policy that refuses the operator what the expression does not allow. The API server takes
    one in after a while: it is in force once a ConfigMap that no user may write is refused."""
    group, _, plural = resource.rpartition("/")
    probe = {"apiGroups": [""], "operations": ["CREATE"], "resources": ["configmaps"]}
    rule = {"apiGroups": [group], "operations": verbs, "resources": [plural]}
    is_probe = f"request.resource.resource == 'configmaps' && request.name == 'probe-{name}'"
    ours = f"request.userInfo.username == '{OPERATOR_USER}' || ({is_probe})"
    policy = {
        "apiVersion": ADMISSION,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {
                "resourceRules": [
                    {"apiVersions": ["*"], **resource_rule} for resource_rule in (probe, rule)
                ]
            },
            "matchConditions": [{"name": "ours", "expression": ours}],
            "validations": [{"expression": f"!({is_probe}) && ({allows})", "message": WORDS}],
        },
    }
    binding = {
        "apiVersion": ADMISSION,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    cluster.apply(policy)
    cluster.apply(binding)
    asks = ("create", "configmap", f"probe-{name}", "-n", "default", "--dry-run=server")
    try:
        eventually(lambda: WORDS in cluster.kubectl(*asks, check=False), "the policy is in force")
        yield
    finally:
        cluster.kubectl("delete", "validatingadmissionpolicybinding", name)
        cluster.kubectl("delete", "validatingadmissionpolicy", name)


def delete(cluster: Cluster, *names: str) -> None:
    for name in names:
        cluster.kube.delete("aiws", name, SYSTEM)


@pytest.mark.parametrize(
    ("name", "resource", "verbs", "allows"),
    [
        ("unheld", "apps.aichatworkspaces.io/aichatworkspaces", ["UPDATE"], "unheld"),
        ("unsecret", "/secrets", ["CREATE"], "unsecret-credentials"),
        ("unspaced", "/namespaces", ["CREATE"], "unspaced"),
    ],
)
def test_a_refused_first_step_is_reported(
    cluster: Cluster, name: str, resource: str, verbs: list[str], allows: str
) -> None:
    """F14: the API server refuses a first step; the workspace recovers once it is allowed."""
    with refused(cluster, name, resource, verbs, f"object.metadata.name != '{allows}'"):
        cluster.apply(workspace(name))
        eventually(
            lambda: condition(cluster, name, "Ready").get("reason") == "WriteRefused", "it is told"
        )
        status = cluster.get("aiws", name, "-n", SYSTEM)["status"]
        assert status["phase"] == "Degraded"
        assert not status["isCreated"]
        message = condition(cluster, name, "Ready")["message"]
        assert WORDS in message
        assert allows in message
        before = len(cluster.requests(name))
        let_pass(4, "it would be tried at full speed")
        assert len(cluster.requests(name)) - before <= 8, "it is tried ever later"
    eventually(lambda: created(cluster, name), "it is provisioned once it may", 90)
    delete(cluster, name)


def test_a_namespace_that_may_not_be_deleted_is_told(cluster: Cluster) -> None:
    name = "staying"
    cluster.apply(workspace(name))
    eventually(lambda: created(cluster, name), f"{name} is provisioned")
    with refused(cluster, name, "/namespaces", ["DELETE"], f"oldObject.metadata.name != '{name}'"):
        delete(cluster, name)
        eventually(
            lambda: condition(cluster, name, "Ready").get("reason") == "WriteRefused", "it is told"
        )
        assert WORDS in condition(cluster, name, "Ready")["message"]
        assert cluster.get("aiws", name, "-n", SYSTEM)["status"]["phase"] == "Terminating"
    eventually(
        lambda: not cluster.kube.has("aiws", name, SYSTEM),
        "it is gone once it may",
        90,
    )


def storage_class(name: str) -> dict[str, Any]:
    return {**growing_class(name), "allowVolumeExpansion": False}


def kept_message(cluster: Cluster, name: str) -> str:
    """Why a volume is not as asked; empty as long as nothing is said of it."""
    storage = condition(cluster, name, "StorageAsAsked")
    return str(storage["message"]) if storage.get("reason") == "VolumeKept" else ""


def test_a_volume_that_can_not_grow_leaves_the_workspace_as_well_as_it_was(
    cluster: Cluster,
) -> None:
    """One is bound, and its class lets nothing grow; the other is not bound yet, and then grows."""
    name = "ungrown"
    cluster.apply(storage_class("fixed"))
    cluster.apply(growing_class("later"))
    cluster.apply(bound_volume(f"{name}-ollama", "fixed", f"{name}-ollama", name))

    def storage(ollama: str, chat: str) -> Any:
        return {
            "ollama": {"size": ollama, "storageClassName": "fixed"},
            "openWebUI": {"size": chat, "storageClassName": "later"},
        }

    def size(workload: str) -> str:
        claim = cluster.get("pvc", f"{name}-{workload}", "-n", name)
        return str(claim["spec"]["resources"]["requests"]["storage"])

    def ask(ollama: str, chat: str) -> None:
        spec = {"workspaceName": name, "storage": storage(ollama, chat)}
        edit(cluster, name, spec)
        generation = cluster.get("aiws", name, "-n", SYSTEM)["metadata"]["generation"]
        eventually(
            lambda: (
                condition(cluster, name, "StorageAsAsked").get("observedGeneration") == generation
            ),
            "it was looked at",
        )

    cluster.apply(workspace(name, storage=storage("5Gi", "2Gi")))
    eventually(
        lambda: (
            created(cluster, name)
            and cluster.get("pvc", f"{name}-ollama", "-n", name)["status"]["phase"] == "Bound"
        ),
        "the first volume is bound",
    )
    ask("5Gi", "3Gi")
    assert "not bound yet" in kept_message(cluster, name)
    ask("6Gi", "3Gi")
    assert "StorageClass 'fixed' does not let volumes grow" in kept_message(cluster, name)
    assert condition(cluster, name)["status"] == "True", "Provisioned"
    assert condition(cluster, name, "Ready")["reason"] != "WriteRefused"
    assert (size("ollama"), size("openwebui")) == ("5Gi", "2Gi")
    cluster.apply(bound_volume(f"{name}-openwebui", "later", f"{name}-openwebui", name))
    eventually(lambda: size("openwebui") == "3Gi", "it grows once it is bound")
    cluster.apply({**storage_class("fixed"), "allowVolumeExpansion": True})
    eventually(lambda: size("ollama") == "6Gi", "it grows once its class lets it")
    eventually(
        lambda: condition(cluster, name, "StorageAsAsked")["status"] == "True", "all is as asked"
    )
    delete(cluster, name)


def test_a_larger_platform_default_breaks_no_workspace(cluster: Cluster) -> None:
    name = "modest"
    cluster.apply(workspace(name))
    eventually(lambda: created(cluster, name), f"{name} is provisioned")
    cluster.apply(platform({"ollama": {"storage": "31Gi"}}))
    try:
        eventually(
            lambda: "instead of 31Gi" in kept_message(cluster, name), "that it is kept is told"
        )
        assert condition(cluster, name)["status"] == "True"
    finally:
        restore_default_settings(cluster)
    eventually(lambda: not kept_message(cluster, name), "nothing is to be said any more")
    delete(cluster, name)


def test_an_image_that_a_policy_refuses_stops_with_the_first_workspace(cluster: Cluster) -> None:
    names, bad = ["sweep-a", "sweep-b", "sweep-c"], "docker.io/ollama/ollama:0.99.0"
    for order, name in enumerate(names):
        resource = workspace(name)
        resource["metadata"]["labels"] = {"aichatworkspaces.io/upgrade-order": str(order)}
        cluster.apply(resource)
    eventually(lambda: all(created(cluster, name) for name in names), "all are provisioned")
    proven = {"ollama": image(cluster, names[0], "statefulset", "ollama")}
    proven["openWebUI"] = image(cluster, names[0], "deployment", "openwebui")
    prove(cluster, names, proven)
    allows = f"object.spec.template.spec.containers.all(c, c.image != '{bad}')"

    def reasons(name: str) -> tuple[str, str]:
        return (
            condition(cluster, name).get("reason"),
            condition(cluster, name, "UpToDate").get("reason"),
        )

    with refused(cluster, "sweep", "apps/statefulsets", ["UPDATE"], allows):
        upgrades = {"concurrent": 1, "maxFailures": 0}
        cluster.apply(platform({"images": {"ollama": bad}, "upgrades": upgrades}))
        try:
            eventually(lambda: reasons("sweep-a")[0] == "WriteRefused", "the first one tries")
            for name in names[1:]:
                eventually(
                    lambda name=name: reasons(name) == ("Created", "UpgradeWaiting"),  # type: ignore[misc]
                    f"{name} keeps its image",
                )
            let_pass(3, "the others would change")
            assert [reasons(name) for name in names] == [
                ("WriteRefused", "UpgradeFailed"),
                ("Created", "UpgradeWaiting"),
                ("Created", "UpgradeWaiting"),
            ]
            cluster.kube.patch("aiws", "sweep-b", SYSTEM, {"metadata": {"annotations": {"a": "b"}}})
            eventually(
                lambda: reasons("sweep-b") == ("Created", "UpgradeStopped"),
                "who is looked at is told",
            )
            assert "'sweep-a'" in condition(cluster, "sweep-b", "UpToDate")["message"]
        finally:
            restore_default_settings(cluster)
        eventually(lambda: reasons("sweep-a") == ("Created", "Upgrading"), "it is corrected")
    delete(cluster, *names)


def test_what_blocks_a_namespaces_deletion_is_reported(cluster: Cluster, lingering: str) -> None:
    eventually(
        lambda: "example.org/keep" in condition(cluster, lingering, "Ready").get("message", ""),
        "what holds it is told",
        90,
    )
    free = json.dumps({"metadata": {"finalizers": None}})
    cluster.kubectl("patch", "configmap", "kept", "-n", lingering, "--type=merge", "-p", free)
    eventually(
        lambda: not cluster.kube.has("aiws", lingering, SYSTEM),
        "it is gone",
        90,
    )


def image(cluster: Cluster, name: str, kind: str, workload: str) -> str:
    document = cluster.get(kind, f"{name}-{workload}", "-n", name)
    return str(document["spec"]["template"]["spec"]["containers"][0]["image"])


async def test_a_written_status_starts_no_reconcile(cluster: Cluster) -> None:
    """By what a real API server answers, which keeps it as it was sent."""
    name, requeued = "quiet", list[str]()
    cluster.apply(workspace(name, models=["gemma2:2b"], patterns=["explain_code"]))
    eventually(lambda: created(cluster, name), f"{name} is provisioned")
    eventually(lambda: cluster.rests(2), "the operator has written all it has to")
    async with await Client.connect(str(cluster.kubeconfig), user_agent="test") as client:
        caches = Caches(client, requeued.append)
        kind = f"aichatworkspace.{names.VERSION}.{names.GROUP}"  # as the operator asks
        caches.workspaces.observe(cluster.get(kind, name, "-n", SYSTEM))
        (seen,) = map(Workspace.parse, caches.workspaces.by_index(name))
        other = seen.status.model_copy(update={"url": "http://elsewhere.test"})
        requeued.clear()
        await Writer(client, caches).report(seen, other, datetime.now(UTC))
        (now,) = map(Workspace.parse, caches.workspaces.by_index(name))
        assert now.status.url == other.url
        assert requeued == []
    eventually(
        lambda: "elsewhere" not in str(cluster.get("aiws", name, "-n", SYSTEM)["status"]),
        "to the operator it was another's, and was corrected",
    )
    delete(cluster, name)


async def test_an_object_that_changed_before_it_was_pruned_is_a_conflict(cluster: Cluster) -> None:
    """As the API server itself answers a patch whose test fails: no field is wrong."""
    cluster.kubectl("create", "service", "clusterip", "changed", "--tcp=80", "-n", "default")
    stale = [{"op": "test", "path": "/metadata/resourceVersion", "value": "1"}]
    async with await Client.connect(str(cluster.kubeconfig), user_agent="test") as client:
        writer = Writer(client, Caches(client, lambda _: None))
        with pytest.raises(ConflictError):
            await writer.execute(Prune(Ref("Service", "default", "changed"), stale))
    cluster.kubectl("delete", "service", "changed", "-n", "default")
