"""The platform team's settings: refused when bad, in force when edited; and a team's bounds."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.integration.conftest import SYSTEM, Cluster, eventually, workspace

pytestmark = pytest.mark.usefixtures("gateway_api", "operator")
NAME = "settled"
TEAM = "team-bounded"


@pytest.fixture(scope="module")
def gateway_api(cluster: Cluster) -> None:
    """The kind as far as the API server needs to know it; a Gateway's controller is not here."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    cluster.apply(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {
                "name": "httproutes.gateway.networking.k8s.io",
                "annotations": {"api-approved.kubernetes.io": "https://gateway-api.sigs.k8s.io"},
            },
            "spec": {
                "group": "gateway.networking.k8s.io",
                "scope": "Namespaced",
                "names": {"kind": "HTTPRoute", "plural": "httproutes", "singular": "httproute"},
                "versions": [
                    {
                        "name": "v1",
                        "served": True,
                        "storage": True,
                        "schema": {"openAPIV3Schema": anything},
                    }
                ],
            },
        }
    )
    cluster.kubectl(
        *("wait", "crd/httproutes.gateway.networking.k8s.io"),
        *("--for=condition=Established", "--timeout=30s"),
    )


@pytest.fixture(scope="module")
def tenant(cluster: Cluster) -> Iterator[str]:
    cluster.apply(workspace(NAME, models=["gemma2:2b"]))
    eventually(lambda: created(cluster, NAME), f"{NAME} is provisioned")
    yield NAME
    cluster.kubectl("delete", "aiws", NAME, "-n", SYSTEM, "--wait=false")


def created(cluster: Cluster, name: str, namespace: str = SYSTEM) -> bool:
    found = cluster.get("aiws", name, "-n", namespace)
    return bool(found.get("status", {}).get("isCreated"))


def platform(spec: object, name: str = "default") -> dict[str, Any]:
    return {
        "apiVersion": "apps.aichatworkspaces.io/v1alpha1",
        "kind": "AIChatPlatform",
        "metadata": {"name": name},
        "spec": spec,
    }


@contextmanager
def settings(cluster: Cluster, spec: object) -> Iterator[None]:
    cluster.apply(platform(spec))
    try:
        yield
    finally:
        cluster.kubectl("delete", "aichatplatform", "default")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"ceiling": {"cpu": "much"}}, "spec.ceiling.cpu"),
        ({"network": {"egressExcept": ["everywhere"]}}, "spec.network.egressExcept[0]"),
        ({"network": {"egressExcept": ["999.1.1.1/999"]}}, "spec.network.egressExcept[0]"),
        ({"network": {"egressExcept": ["fd00::/8"]}}, "spec.network.egressExcept[0]"),
        ({"network": {"egressAllow": ["10.1.2.3/8"]}}, "write the range by its first address"),
        ({"images": {"ollama": "ollama"}}, "spec.images.ollama"),
        ({"images": {"ollama": "docker.io/ollama/ollama:latest"}}, "latest moves"),
        ({"ollama": {"storage": "0"}}, "spec.ollama.storage"),
        ({"openWebUI": {"cpuLimit": "0"}}, "spec.openWebUI.cpuLimit"),
        ({"ingress": {"domain": "Not A Domain"}}, "spec.ingress.domain"),
        ({"ingress": {"profile": "Apache"}}, "spec.ingress.profile"),
        ({"models": {"concurrentPulls": 0}}, "spec.models.concurrentPulls"),
        ({"upgrades": {"concurrent": 100}}, "spec.upgrades.concurrent"),
        ({"imagse": {}}, 'unknown field "spec.imagse"'),
    ],
)
def test_a_bad_edit_is_refused_with_the_field_named(
    cluster: Cluster, spec: dict[str, Any], said: str
) -> None:
    assert said in cluster.apply(platform(spec), check=False)


def test_there_is_one_platform_only(cluster: Cluster) -> None:
    assert "its name is 'default'" in cluster.apply(platform({}, "second"), check=False)


Look = Callable[[Cluster], object]


def chat(cluster: Cluster) -> Any:
    found = cluster.get("deployment", f"{NAME}-openwebui", "-n", NAME)
    return found["spec"]["template"]["spec"]["containers"][0]


def ingress(cluster: Cluster) -> Any:
    return cluster.get("ingress", f"{NAME}-openwebui", "-n", NAME)


def streaming(cluster: Cluster) -> object:
    return ingress(cluster)["metadata"]["annotations"].get(
        "nginx.ingress.kubernetes.io/proxy-read-timeout"
    )


EDITS: dict[str, tuple[Any, Look, object]] = {
    "domain": (
        {"ingress": {"domain": "chat.example.org"}},
        lambda cluster: ingress(cluster)["spec"]["rules"][0]["host"],
        f"{NAME}.chat.example.org",
    ),
    "profile": ({"ingress": {"profile": "NGINX"}}, streaming, "3600"),
    "issuer": (
        {"ingress": {"issuer": {"name": "ours"}}},
        lambda cluster: ingress(cluster)["spec"].get("tls"),
        [{"hosts": [f"{NAME}.localtest.me"], "secretName": f"{NAME}-openwebui-tls"}],
    ),
    "shares": (
        {"openWebUI": {"memoryLimit": "3Gi"}},
        lambda cluster: chat(cluster)["resources"]["limits"]["memory"],
        "3Gi",
    ),
    "mirror": (
        {"images": {"mirror": "mirror.example.org/upstream"}},
        lambda cluster: chat(cluster)["image"],
        "mirror.example.org/upstream/open-webui/open-webui:v0.12.4",
    ),
    "embedding model": (
        {"models": {"embeddingModel": "none"}},
        lambda cluster: [each["name"] for each in models(cluster)],
        ["gemma2:2b"],
    ),
    "egress": (
        {"network": {"egressExcept": ["203.0.113.0/24"]}},
        lambda cluster: cluster.get("networkpolicy", f"{NAME}-model-downloads", "-n", NAME)["spec"][
            "egress"
        ][0]["to"][0]["ipBlock"]["except"],
        ["203.0.113.0/24"],
    ),
    "private registry": (
        {"network": {"egressAllow": ["10.1.2.3/32"]}},
        lambda cluster: cluster.get("networkpolicy", f"{NAME}-model-downloads", "-n", NAME)["spec"][
            "egress"
        ][0]["to"][1:],
        [{"ipBlock": {"cidr": "10.1.2.3/32"}}],
    ),
}


def models(cluster: Cluster) -> Any:
    return cluster.get("aiws", NAME, "-n", SYSTEM)["status"]["models"]


@pytest.mark.parametrize("what", EDITS)
def test_an_edit_reaches_every_workspace_and_its_removal_restores_the_default(
    cluster: Cluster, tenant: str, what: str
) -> None:
    spec, look, expected = EDITS[what]
    before = look(cluster)
    assert before != expected
    with settings(cluster, spec):
        eventually(lambda: look(cluster) == expected, f"{what} reached {tenant}")
    eventually(lambda: look(cluster) == before, f"{tenant} is as before {what}")


def test_with_a_gateway_there_is_a_route_instead_of_an_ingress(
    cluster: Cluster, tenant: str
) -> None:
    def routed() -> bool:
        return f"ingress.networking.k8s.io/{tenant}-openwebui" not in cluster.names(
            "ingress", tenant
        )

    with settings(cluster, {"ingress": {"gateway": {"name": "front", "namespace": "edge"}}}):
        eventually(routed, "the Ingress is gone")
        route = cluster.get("httproute", f"{tenant}-openwebui", "-n", tenant)["spec"]
        assert route["hostnames"] == [f"{tenant}.localtest.me"]
        assert route["parentRefs"][0]["name"] == "front"
        assert route["rules"][0]["backendRefs"][0]["name"] == f"{tenant}-openwebui"
        eventually(
            lambda: served(cluster).get("reason") == "RouteNotAccepted", "no Gateway takes it"
        )
        accepted = {"parents": [accepted_by("front", "edge")]}
        cluster.kubectl(
            *("patch", "httproute", f"{tenant}-openwebui", "-n", tenant, "--type=merge"),
            *("-p", json.dumps({"status": accepted})),
        )
        eventually(lambda: served(cluster).get("status") == "True", "a Gateway has taken it")
    eventually(lambda: not routed(), "the Ingress is back")
    eventually(lambda: cluster.names("httproute", tenant) == [], "the route is gone")


def served(cluster: Cluster) -> Any:
    return condition(cluster, NAME, "IngressServed")


def condition(cluster: Cluster, name: str, kind: str) -> Any:
    found = cluster.get("aiws", name, "-n", SYSTEM)["status"]["conditions"]
    return next((each for each in found if each["type"] == kind), {})


def accepted_by(gateway: str, namespace: str) -> dict[str, Any]:
    condition = {"type": "Accepted", "status": "True", "reason": "Accepted", "message": ""}
    parent = {"name": gateway, "namespace": namespace}
    return {"parentRef": parent, "controllerName": "example.org/c", "conditions": [condition]}


def test_a_volume_grows_where_its_class_allows_it(cluster: Cluster) -> None:
    cluster.apply(
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": "grows"},
            "provisioner": "example.org/none",
            "allowVolumeExpansion": True,
        }
    )
    for name, component in (("growing-ollama", "ollama"), ("growing-openwebui", "openwebui")):
        cluster.apply(volume(f"for-{component}", "growing", name))
    sizes = {each: {"size": "1Gi", "storageClassName": "grows"} for each in ("ollama", "openWebUI")}
    cluster.apply(workspace("growing", storage=sizes))
    claim = ("pvc", "growing-openwebui", "-n", "growing")
    eventually(
        lambda: (
            cluster.get(*claim).get("status", {}).get("phase") == "Bound"
            if created(cluster, "growing")
            else False
        ),
        "the volume is bound",
    )

    def chat_volume(volume: object) -> None:
        change = json.dumps({"spec": {"storage": {"openWebUI": volume}}})
        cluster.kubectl("patch", "aiws", "growing", "-n", SYSTEM, "--type=merge", "-p", change)

    chat_volume({"size": "3Gi"})
    eventually(
        lambda: cluster.get(*claim)["spec"]["resources"]["requests"]["storage"] == "3Gi",
        "the claim asks for the larger size",
    )
    chat_volume(None)  # after which the API server does not know any more that it shrinks
    chat_volume({"size": "1Gi"})
    eventually(
        lambda: condition(cluster, "growing", "StorageAsAsked").get("reason") == "VolumeKept",
        "that it can't shrink is told",
    )
    quota = cluster.get("quota", "growing", "-n", "growing")["spec"]["hard"]
    assert quota["requests.storage"] == "4Gi"
    cluster.kubectl("delete", "aiws", "growing", "-n", SYSTEM, "--wait=false")


def volume(name: str, namespace: str, claim: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "storageClassName": "grows",
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "claimRef": {"namespace": namespace, "name": claim},
            "hostPath": {"path": f"/nowhere/{name}"},
        },
    }


def test_a_pattern_of_a_config_map_is_offered_and_its_removal_is_told(
    cluster: Cluster, tenant: str
) -> None:
    prompts = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "our-patterns",
            "namespace": SYSTEM,
            "labels": {"aichatworkspaces.io/patterns": ""},
        },
        "data": {"answer_like_us": "You answer in our house style."},
    }
    cluster.apply(prompts)
    change = json.dumps({"spec": {"patterns": ["answer_like_us"]}})
    cluster.kubectl("patch", "aiws", tenant, "-n", SYSTEM, "--type=merge", "-p", change)

    def state() -> str:
        found = cluster.get("aiws", tenant, "-n", SYSTEM)["status"].get("patterns", [])
        return next((each["state"] for each in found), "")

    eventually(lambda: state() == "Pending", "it waits for a model server, and is known")
    cluster.kubectl("delete", "configmap", "our-patterns", "-n", SYSTEM)
    eventually(lambda: state() == "Failed", "that it is gone is told")
    change = json.dumps({"spec": {"patterns": None}})
    cluster.kubectl("patch", "aiws", tenant, "-n", SYSTEM, "--type=merge", "-p", change)


def test_a_teams_workspaces_are_counted_by_a_plain_quota(cluster: Cluster) -> None:
    cluster.kubectl("create", "namespace", TEAM)
    cluster.kubectl("label", "namespace", TEAM, "aichatworkspaces.io/team=true")
    counted = "count/aichatworkspaces.apps.aichatworkspaces.io"

    def is_counted() -> bool:
        """The quota controller looks for new kinds twice a minute, and at a quota when it is
        made."""
        cluster.kubectl("delete", "quota", "workspaces", "-n", TEAM, "--ignore-not-found")
        cluster.kubectl("create", "quota", "workspaces", f"--hard={counted}=1", "-n", TEAM)
        time.sleep(1)
        return "used" in cluster.get("quota", "workspaces", "-n", TEAM).get("status", {})

    eventually(is_counted, "the quota counts workspaces", 60)
    first = workspace("team-first")
    first["metadata"]["namespace"] = TEAM
    cluster.apply(first)
    eventually(lambda: created(cluster, "team-first", TEAM), "the first is provisioned")
    second = workspace("team-second")
    second["metadata"]["namespace"] = TEAM
    assert "exceeded quota: workspaces" in cluster.apply(second, check=False)
    cluster.kubectl("delete", "aiws", "team-first", "-n", TEAM, "--wait=false")
