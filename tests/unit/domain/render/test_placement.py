from typing import Any

import pytest

from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.policy import effective_spec, limits
from aichat_workspace.domain.render import render
from aichat_workspace.domain.v1alpha1.metadata_settings import ROUTE_NAMES
from aichat_workspace.domain.v1alpha1.network_settings import Profile
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from tests.unit.domain.samples import CREDENTIALS, workspace

WORKLOADS = {"StatefulSet": "ollama", "Deployment": "openwebui"}


def rendered(settings: dict[str, Any], **spec: Any) -> dict[str, Manifest]:
    """The sample's workloads, quota and way in by kind."""
    platform = PlatformSpec.model_validate(settings)
    return {
        manifest["kind"]: manifest for manifest in render(workspace(**spec), platform, CREDENTIALS)
    }


def pods(settings: dict[str, Any], **spec: Any) -> list[Any]:
    manifests = rendered({"pods": settings}, **spec)
    return [manifests[kind]["spec"]["template"]["spec"] for kind in WORKLOADS]


def test_by_default_pods_have_the_images_user_and_run_on_linux() -> None:
    for pod, group in zip(pods({}), (1000, 0), strict=True):
        security = pod["securityContext"]
        assert (security["runAsUser"], security["runAsGroup"]) == (1000, group)
        assert security["fsGroup"] == 1000
        assert pod["nodeSelector"] == {"kubernetes.io/os": "linux"}
        assert not {"affinity", "runtimeClassName", "priorityClassName", "hostUsers"} & pod.keys()


def test_user_and_group_can_be_left_to_the_cluster() -> None:
    for pod in pods({"runAs": "Cluster"}):
        assert pod["securityContext"] == {
            "runAsNonRoot": True,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        for container in (*pod["containers"], *pod.get("initContainers", ())):
            assert not {"runAsUser", "runAsGroup"} & container["securityContext"].keys()


def test_runtime_class_priority_and_user_namespace_are_the_platforms() -> None:
    settings = {
        "runtimeClass": {"name": "kata"},
        "priorityClassName": "chats",
        "hostUsers": False,
    }
    for pod in pods(settings):
        assert pod["runtimeClassName"] == "kata"
        assert pod["priorityClassName"] == "chats"
        assert pod["hostUsers"] is False


def test_a_quota_has_room_for_the_runtime_classs_overhead_of_both_workloads() -> None:
    overhead = {"name": "kata", "cpuOverhead": "250m", "memoryOverhead": "128Mi"}
    before, after = (
        rendered({"pods": {"runtimeClass": runtime_class}})["ResourceQuota"]["spec"]["hard"]
        for runtime_class in ({"name": "kata"}, overhead)
    )
    assert (before["limits.cpu"], after["limits.cpu"]) == ("6", "6500m")
    assert (before["requests.cpu"], after["requests.cpu"]) == ("600m", "1100m")
    assert (before["limits.memory"], after["limits.memory"]) == ("10Gi", "10496Mi")
    assert before["pods"] == after["pods"]
    platform = PlatformSpec.model_validate({"pods": {"runtimeClass": overhead}})
    tight = workspace(quota={"cpu": "6"}).spec
    (violation,) = limits.violations(tight, platform)
    assert "need 6500m" in violation.message
    assert effective_spec.minimum(tight, platform)["storage"] == 22 * 2**30


def test_affinity_to_nodes_is_kubernetes_own() -> None:
    expression = {"key": "pool", "operator": "In", "values": ["gpu"]}
    term = {"matchExpressions": [expression]}
    exists = {"matchExpressions": [{"key": "fast", "operator": "Exists"}]}
    settings = {
        "nodeAffinity": {
            "required": [term],
            "preferred": [{"weight": 7, "preference": exists}],
        }
    }
    for pod in pods(settings, scheduling={"nodeSelector": {"kubernetes.io/arch": "arm64"}}):
        assert pod["affinity"] == {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]},
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {"weight": 7, "preference": exists}
                ],
            }
        }
        assert pod["nodeSelector"]["kubernetes.io/arch"] == "arm64"


def test_pods_of_a_kind_are_spread_over_all_workspaces() -> None:
    keys = ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    for pod, component in zip(pods({"spreadOver": keys}), WORKLOADS.values(), strict=True):
        terms = pod["affinity"]["podAntiAffinity"][
            "preferredDuringSchedulingIgnoredDuringExecution"
        ]
        assert [(term["weight"], term["podAffinityTerm"]["topologyKey"]) for term in terms] == [
            (100, keys[0]),
            (50, keys[1]),
        ]
        ours = {"app.kubernetes.io/managed-by": "aichat-workspace-operator"}
        for term in terms:
            selected = {**ours, "app.kubernetes.io/component": component}
            assert term["podAffinityTerm"]["labelSelector"] == {"matchLabels": selected}
            assert term["podAffinityTerm"]["namespaceSelector"] == {"matchLabels": ours}


def test_pods_carry_the_platforms_metadata_and_nothing_selects_by_it() -> None:
    platform_metadata = {
        "labels": {"example.org/tier": "b"},
        "annotations": {"example.org/scrape": "no"},
    }
    manifests = rendered({"pods": {"metadata": platform_metadata}}, restart={"ollama": "one"})
    for kind in WORKLOADS:
        metadata = manifests[kind]["spec"]["template"]["metadata"]
        assert metadata["labels"]["example.org/tier"] == "b"
        assert metadata["annotations"]["example.org/scrape"] == "no"
        assert "example.org/tier" not in manifests[kind]["spec"]["selector"]["matchLabels"]
        assert "example.org/tier" not in manifests[kind]["metadata"]["labels"]
    restarted = manifests["StatefulSet"]["spec"]["template"]["metadata"]["annotations"]
    assert restarted["apps.aichatworkspaces.io/restart"] == "one"


@pytest.mark.parametrize(
    ("way", "kind"), [({}, "Ingress"), ({"gateway": {"name": "g", "namespace": "e"}}, "HTTPRoute")]
)
def test_ways_in_carry_the_platforms_metadata(way: dict[str, Any], kind: str) -> None:
    names = {"alb.ingress.kubernetes.io/scheme": "internal"}
    platform_metadata = {"labels": {"example.org/tier": "b"}, "annotations": names}
    metadata = rendered({"ingress": {**way, "metadata": platform_metadata}})[kind]["metadata"]
    assert metadata["labels"]["example.org/tier"] == "b"
    assert metadata["labels"]["aichatworkspace"] == "team-a-aichat"
    assert metadata["annotations"].items() >= names.items()


def test_what_the_operator_writes_on_ways_in_is_refused_to_the_platform() -> None:
    written = set()
    for profile in Profile:
        for kind in ("Issuer", "ClusterIssuer"):
            settings = {"profile": profile, "issuer": {"name": "ca", "kind": kind}}
            way_in = rendered({"ingress": settings})["Ingress"]
            written |= {
                name
                for name in way_in["metadata"]["annotations"]
                if not name.startswith("apps.aichatworkspaces.io/")
            }
    assert written == set(ROUTE_NAMES)
