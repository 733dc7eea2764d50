"""Upgrades before a real API server. Without nodes no pod runs, so each turn ends by its time."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from tests.integration.conftest import (
    SYSTEM,
    Cluster,
    platform,
    restore_default_settings,
    workspace,
)
from tests.integration.tenants import condition, prove
from tests.waiting import eventually, let_pass

pytestmark = pytest.mark.usefixtures("operator")
MIRROR: Final = "mirror.example.org"
NEWER: Final = "ghcr.io/open-webui/open-webui:v0.99.0"
_OURS: Final = (
    "object.metadata.?labels[?'app.kubernetes.io/managed-by'].orValue('') == "
    "'aichat-workspace-operator'"
)
_IMAGE: Final = "object.spec.template.spec.containers[0].image"
_REWRITE: Final = (
    '[JSONPatch{op: "replace", path: "/spec/template/spec/containers/0/image", value: '
    f'{_IMAGE}.replace("docker.io/", "{MIRROR}/").replace("ghcr.io/", "{MIRROR}/")}}]'
)


@contextmanager
def rewritten_images(cluster: Cluster) -> Iterator[None]:
    """A policy that takes all images of workloads from a mirror, as clusters behind a registry of
    their own have it."""
    group, name = "admissionregistration.k8s.io", "rewrite-images"
    rule = {
        "apiGroups": ["apps"],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["deployments", "statefulsets"],
    }
    mutation = {"patchType": "JSONPatch", "jsonPatch": {"expression": _REWRITE}}
    spec = {
        "reinvocationPolicy": "Never",
        "matchConstraints": {"resourceRules": [rule]},
        "matchConditions": [{"name": "ours", "expression": _OURS}],
        "mutations": [mutation],
    }
    head = {"apiVersion": f"{group}/v1", "metadata": {"name": name}}
    cluster.apply({**head, "kind": "MutatingAdmissionPolicy", "spec": spec})
    binding = {"policyName": name}
    cluster.apply({**head, "kind": "MutatingAdmissionPolicyBinding", "spec": binding})
    try:
        eventually(lambda: MIRROR in _dry_run(cluster), "the policy is in force")
        yield
    finally:
        cluster.kubectl("delete", f"mutatingadmissionpolicybindings.{group}", name)
        cluster.kubectl("delete", f"mutatingadmissionpolicies.{group}", name)


def _dry_run(cluster: Cluster) -> str:
    """A Deployment with the operator's label, as the API server would store it."""
    labels = {"app.kubernetes.io/managed-by": "aichat-workspace-operator"}
    container = {"name": "probe", "image": "docker.io/a/b:1"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    manifest = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "probe", "namespace": "default", "labels": labels},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }
    return cluster.kubectl(
        *("create", "--dry-run=server", "-o", "json", "-f", "-"), stdin=json.dumps(manifest)
    )


def image(cluster: Cluster, name: str) -> str:
    deployment = cluster.get("deployment", f"{name}-openwebui", "-n", name)
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])


def created(cluster: Cluster, name: str) -> bool:
    return bool(cluster.get("aiws", name, "-n", SYSTEM).get("status", {}).get("isCreated"))


def test_behind_a_policy_that_rewrites_images_all_are_upgraded_and_nothing_is_written_in_a_loop(
    cluster: Cluster,
) -> None:
    names = ["lime-a", "lime-b", "lime-c"]
    with rewritten_images(cluster):
        for name in names:
            cluster.apply(workspace(name))
        eventually(lambda: all(created(cluster, name) for name in names), "all are provisioned")
        for name in names:
            assert image(cluster, name).startswith(MIRROR)
            stored = condition(cluster, name, "StoredAsApplied")
            assert stored["reason"] == "RewrittenOnWrite"
            assert "spec.template.spec.containers[openwebui].image" in stored["message"]
        prove(cluster, names, {"ollama": "o:1", "openWebUI": "w:1"})
        quiet(cluster, *names)
        cluster.apply(platform({"images": {"openWebUI": NEWER}, "upgrades": {"concurrent": 2}}))
        eventually(lambda: _count(cluster, names) == 2, "two are changed")
        let_pass(2, "the third would change")
        assert _count(cluster, names) == 2
        cluster.apply(
            platform(
                {
                    "images": {"openWebUI": NEWER},
                    "upgrades": {"concurrent": 2, "turnDeadlineSeconds": 10},
                    "ollama": {"cpuRequest": "400m"},
                }
            )
        )
        eventually(lambda: _count(cluster, names) == 3, "the third is, once their time is over")
        eventually(
            lambda: {_up_to_date(cluster, name) for name in names} == {"UpgradeStuck"},
            "each has had its turn, and is named",
        )
        quiet(cluster, *names)
        set_image = ("set", "image", "deployment/lime-a-openwebui", "-n", "lime-a", "*=evil:1")
        cluster.kubectl(*set_image)
        eventually(lambda: image(cluster, "lime-a").startswith(MIRROR), "drift is repaired")
    for name in names:
        cluster.kube.delete("aiws", name, SYSTEM)
    restore_default_settings(cluster)


def test_a_retired_size_class_moves_its_workspaces_a_few_at_a_time(cluster: Cluster) -> None:
    names = ["plum-a", "plum-b", "plum-c"]
    small = {"name": "small", "resources": {"ollama": {"memoryLimit": "3Gi"}}}
    medium = {"name": "medium", "resources": {"ollama": {"memoryLimit": "5Gi"}}}

    def moved() -> int:
        sets = [cluster.get("statefulset", f"{name}-ollama", "-n", name) for name in names]
        containers = [entry["spec"]["template"]["spec"]["containers"][0] for entry in sets]
        return sum(container["resources"]["limits"]["memory"] == "5Gi" for container in containers)

    cluster.apply(platform({"sizeClasses": [small, medium]}))
    for name in names:
        cluster.apply(workspace(name, className="small"))
    eventually(lambda: all(created(cluster, name) for name in names), "all are provisioned")
    prove(cluster, names, {"ollama": "o:1", "openWebUI": "w:1"})
    classes = [{**small, "successor": "medium"}, medium]
    cluster.apply(platform({"sizeClasses": classes, "upgrades": {"concurrent": 2}}))
    eventually(lambda: moved() == 2, "two are moved")
    let_pass(2, "the third would be moved")
    assert moved() == 2
    waiting = [name for name in names if _up_to_date(cluster, name) == "UpgradeWaiting"]
    assert len(waiting) == 1
    cluster.apply(
        platform(
            {
                "sizeClasses": classes,
                "upgrades": {"concurrent": 2, "turnDeadlineSeconds": 10},
                "ollama": {"cpuRequest": "400m"},
            }
        )
    )
    eventually(lambda: moved() == 3, "the third is, once their time is over")
    assert cluster.get("aiws", "plum-a", "-n", SYSTEM)["spec"]["className"] == "small"
    for name in names:
        cluster.kube.delete("aiws", name, SYSTEM)
    restore_default_settings(cluster)


def quiet(cluster: Cluster, *names: str) -> None:
    """Nothing is written of these workspaces while nothing happens."""
    let_pass(1, "what is under way ends")
    before = [len(cluster.requests(name)) for name in names]
    let_pass(3, "something would be written in a loop")
    assert [len(cluster.requests(name)) for name in names] == before


def _count(cluster: Cluster, names: list[str]) -> int:
    return sum(image(cluster, name) == NEWER.replace("ghcr.io", MIRROR) for name in names)


def _up_to_date(cluster: Cluster, name: str) -> str:
    return str(condition(cluster, name, "UpToDate").get("reason"))


@pytest.mark.parametrize(
    "mark",
    [
        {"annotations": {"apps.aichatworkspaces.io/upgrades": "skip"}},
        {"labels": {"aichatworkspaces.io/upgrade-order": "999"}},
    ],
    ids=["skip", "order"],
)
def test_a_team_can_not_keep_upgrades_away_from_its_workspace(
    cluster: Cluster, mark: dict[str, dict[str, str]]
) -> None:
    """It may edit its workspaces, and not the platform's settings."""
    name = f"own-{next(iter(mark))}"
    lead = ("--as=lead", "--as-group=system:authenticated")
    edits = ("create", "clusterrolebinding", f"{name}-lead", "--clusterrole=edit", "--user=lead")
    cluster.kubectl(*edits)
    resource = workspace(name)
    resource["metadata"].update(mark)
    try:
        text = json.dumps(resource)
        answer = cluster.kubectl("create", *lead, "-f", "-", stdin=text, check=False)
        assert "are the platform team's" in answer
        del resource["metadata"][next(iter(mark))]
        cluster.kubectl("create", *lead, "-f", "-", stdin=json.dumps(resource))
        patch = ("patch", "aiws", name, "-n", SYSTEM, "--type=merge", "-p")
        edited = json.dumps({"metadata": mark})
        assert "are the platform team's" in cluster.kubectl(*patch, edited, *lead, check=False)
        cluster.kubectl(*patch, edited)
        spec = json.dumps({"spec": {"expiresAfter": "9d"}})
        assert "patched" in cluster.kubectl(*patch, spec, *lead), "other edits are the team's"
    finally:
        cluster.kube.delete("aiws", name, SYSTEM)
        cluster.kubectl("delete", "clusterrolebinding", f"{name}-lead")
