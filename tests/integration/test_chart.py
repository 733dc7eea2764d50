"""The Helm chart, on a control plane of its own."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from aichat_workspace.chart.components import API_VARIABLES
from tests.examples import examples, run
from tests.integration.conftest import (
    ROOT,
    SYSTEM,
    Cluster,
    bare_control_plane,
    platform,
    wait_for_kinds,
    workspace,
)
from tests.integration.images import images
from tests.integration.stand_in_kinds import GATEWAY_API, installed
from tests.integration.test_install import HELM, IMAGE, KINDS, PAGE
from tests.kube import Kube

CHART: Final = ROOT / "charts" / "aichat-workspace-operator"
HELMS: Final = ("helm", pytest.param("helm3", marks=pytest.mark.slow))
"""Tools of the local cluster: Helm 4 and 3."""
PROMETHEUS: Final = "monitoring.coreos.com"
SMOKE_TEST: Final = "app.kubernetes.io/name=aichat-smoke-test"
MONITORING: Final = {
    "serviceMonitors": {"enabled": True},
    "prometheusRules": {"enabled": True},
    "dashboard": {"enabled": True},
}
MATRIX: Final[dict[str, dict[str, Any]]] = {
    "defaults": {},
    "monitoring": {
        "monitoring": {
            "serviceMonitors": {"enabled": True, "interval": "15s", "labels": {"release": "prom"}},
            "prometheusRules": {"enabled": True, "labels": {"release": "prom"}},
            "dashboard": {"enabled": True, "labels": {}},
        }
    },
    "registry": {
        "image": {"repository": "registry.example.org/operator", "digest": f"sha256:{'0' * 64}"},
        "imagePullSecrets": [{"name": "registry"}],
    },
    "pods": {
        component: {
            "replicas": 1,
            "resources": {"requests": {"cpu": 1}},
            "podAnnotations": {"example.org/team": "platform"},
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "tolerations": [{"key": "system", "operator": "Exists", "effect": "NoSchedule"}],
            "affinity": {"nodeAffinity": {}},
            "priorityClassName": "system-cluster-critical",
            "env": {"FIRST": "a: 'b'", "SECOND": 33554432, "THIRD": True},
        }
        for component in ("operator", "api")
    },
    "certificate": {
        "api": {
            "host": "ai.example.org",
            "ingress": {
                "className": "nginx",
                "annotations": {"example.org/waf": "on"},
                "issuer": {"name": "letsencrypt"},
            },
        }
    },
    "gateway": {
        "api": {
            "ingress": {"enabled": False},
            "gateway": {
                "enabled": True,
                "name": "public",
                "namespace": "gateways",
                "sectionName": "https",
            },
        }
    },
    "provider": {
        "api": {
            "trustedProxies": [],
            "oidc": {
                "issuer": "https://id.example.org",
                "clientId": "aichat",
                "clientSecretName": "oidc",
                "cliClientId": "aichatctl",
                "caConfigMapName": "oidc-ca",
            },
        }
    },
    "network": {
        "networkPolicies": {
            "ingressNamespaces": ["edge"],
            "monitoringNamespaces": ["prometheus", "metrics"],
            "apiServerPorts": [8443],
            "egressPorts": [4318],
        }
    },
    "openshift": {
        "runAs": "Cluster",
        "networkPolicies": {
            "ingressNamespaces": ["openshift-ingress"],
            "ingressPodLabels": {"app": "router"},
            "sourceRanges": ["192.0.2.0/24", "fd00::/64"],
            "dns": {"namespaces": ["openshift-dns"], "podLabels": {"dns": "default"}},
        },
    },
    "any source": {"networkPolicies": {"anySource": True}},
    "one of each": {
        "operator": {"replicas": 1},
        "api": {"replicas": 0, "ingress": {"enabled": False}},
    },
    "least": {"crds": {"install": False}, "networkPolicies": {"enabled": False}},
}

Objects = dict[tuple[str, str], dict[str, Any]]


TEMPLATE: Final = ("template", "any", str(CHART), "--namespace", SYSTEM, "--no-hooks")
"""Without what is there while `helm test` runs only."""


@dataclass(frozen=True)
class Helm:
    """A version of Helm."""

    folder: Path

    def run(self, *arguments: str, check: bool = True) -> str:
        """What Helm printed, its errors too."""
        ran = subprocess.run(
            [self.folder / "helm", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        assert not check or ran.returncode == 0, ran.stdout
        assert check or ran.returncode != 0, f"it was taken:\n{ran.stdout}"
        return ran.stdout

    def render(self, values: dict[str, Any], folder: Path) -> str:
        file = folder / "values.yaml"
        file.write_text(yaml.safe_dump(values))
        return self.run(*TEMPLATE, "-f", str(file))


def tool(name: str) -> Helm:
    command = [sys.executable, "-m", "localcluster", "tool", name]
    ran = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return Helm(Path(ran.stdout.strip()))


@pytest.fixture(scope="module", params=HELMS)
def helm(request: pytest.FixtureRequest) -> Helm:
    return tool(request.param)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A control plane without the product, which knows the kinds that the chart may need."""
    with bare_control_plane(f"chart-{os.getpid()}") as control, ExitStack() as kinds:
        kinds.enter_context(installed(control, GATEWAY_API, "HTTPRoute"))
        for kind in ("ServiceMonitor", "PrometheusRule"):
            kinds.enter_context(installed(control, PROMETHEUS, kind))
        yield control


def objects(text: str) -> Objects:
    manifests = [manifest for manifest in yaml.safe_load_all(text) if manifest]
    by_name = {(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in manifests}
    assert len(by_name) == len(manifests), "no object is there twice"
    return by_name


def kustomized(folder: Path) -> Objects:
    command = ["kubectl", "kustomize", str(folder)]
    return objects(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def comparable(rendered: Objects) -> Objects:
    """Without what differs: the namespace, which is there before a release, and the mark of what it
    leaves."""
    remaining = {key: manifest for key, manifest in rendered.items() if key[0] != "Namespace"}
    for (kind, _), manifest in remaining.items():
        if kind == "CustomResourceDefinition":
            manifest["metadata"].pop("annotations", None)
    return remaining


def test_helm_has_nothing_to_say_against_the_chart(helm: Helm) -> None:
    output = helm.run("lint", "--strict", str(CHART), "--namespace", SYSTEM)
    assert "1 chart(s) linted, 0 chart(s) failed" in output
    assert "[WARNING]" not in output


def test_chart_and_kustomizations_make_the_same_objects(helm: Helm, tmp_path: Path) -> None:
    expected = kustomized(ROOT / "config" / "default")
    expected |= kustomized(ROOT / "config" / "observability")
    rendered = objects(helm.render({"monitoring": MONITORING}, tmp_path))
    assert comparable(rendered) == comparable(expected)
    assert len(rendered) > 30


def test_the_same_settings_make_the_same_objects(helm: Helm, tmp_path: Path) -> None:
    """The settings of docs/install.md and of config/api/ingress.yaml."""
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT / "config", checkout / "config")
    patches = """
    - target: {kind: Deployment}
      patch: |
        - {op: add, path: /spec/template/spec/imagePullSecrets, value: [{name: registry}]}
    - target: {kind: NetworkPolicy}
      patch: |
        - {op: add, path: /spec/egress/1/ports/-, value: {port: 8443, protocol: TCP}}
    - target: {kind: Ingress, name: aichat-workspace-api}
      patch: |
        - {op: replace, path: /spec/rules/0/host, value: ai.example.org}
        - {op: replace, path: /spec/tls/0/hosts/0, value: ai.example.org}
        - {op: add, path: /spec/tls/0/secretName, value: aichat-workspace-api-tls}
        - {op: add, path: /metadata/annotations/cert-manager.io~1cluster-issuer, value: letsencrypt}
        - {op: add, path: /spec/ingressClassName, value: nginx}
    """
    kustomization = {
        "resources": ["../default"],
        "images": [{"name": "aichat-workspace-operator", "newName": IMAGE, "newTag": "v9"}],
        "patches": yaml.safe_load(patches),
    }
    folder = checkout / "config" / "own"
    folder.mkdir()
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    values = {
        "image": {"repository": IMAGE, "tag": "v9"},
        "imagePullSecrets": [{"name": "registry"}],
        "networkPolicies": {"egressPorts": [8443]},
        "api": {
            "host": "ai.example.org",
            "ingress": {"className": "nginx", "issuer": {"name": "letsencrypt"}},
        },
    }
    rendered = objects(helm.render(values, tmp_path))
    expected = kustomized(folder)
    assert comparable(rendered) == comparable(expected)


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_an_environments_values_are_its_kustomization(helm: Helm, environment: str) -> None:
    folder = ROOT / "config" / "environments" / environment
    rendered = objects(helm.run(*TEMPLATE, "-f", str(folder / "values.yaml")))
    assert comparable(rendered) == comparable(kustomized(folder))


def test_a_typing_error_in_a_value_is_refused(helm: Helm) -> None:
    output = helm.run(*TEMPLATE, "--set", "api.replica=3", check=False)
    assert "at '/api'" in output
    assert "'replica' not allowed" in output
    assert "clientId" in helm.run(*TEMPLATE, "--set", "api.oidc.issuer=https://a.b", check=False)


def test_another_namespace_is_refused_with_the_right_one(helm: Helm) -> None:
    output = helm.run("template", "any", str(CHART), "-n", "elsewhere", check=False)
    assert f"not in elsewhere: add --namespace {SYSTEM}" in output


def test_values_reach_their_objects(helm: Helm, tmp_path: Path) -> None:
    def rendered(name: str) -> Objects:
        return objects(helm.render(MATRIX[name], tmp_path))

    kinds = {kind for kind, _ in rendered("least")}
    assert not {"CustomResourceDefinition", "NetworkPolicy", "ServiceMonitor"} & kinds
    assert not {key for key in rendered("pods") if key[0] == "PodDisruptionBudget"}
    pods = rendered("pods")["Deployment", "aichat-workspace-operator"]["spec"]["template"]["spec"]
    assert pods["containers"][0]["env"] == [
        {"name": "FIRST", "value": "a: 'b'"},
        {"name": "SECOND", "value": "33554432"},
        {"name": "THIRD", "value": "true"},
    ]
    gateway = rendered("gateway")
    assert ("Ingress", "aichat-workspace-api") not in gateway
    route = gateway["HTTPRoute", "aichat-workspace-api"]["spec"]
    assert route["parentRefs"][0]["sectionName"] == "https"
    ingress = rendered("defaults")["Ingress", "aichat-workspace-api"]["spec"]["rules"][0]["http"]
    paths = {match["path"]["value"] for match in route["rules"][0]["matches"]}
    assert paths == {path["path"] for path in ingress["paths"]}
    peers = gateway["NetworkPolicy", "aichat-workspace-api"]["spec"]["ingress"][0]["from"]
    assert "gateways" in peers[0]["namespaceSelector"]["matchExpressions"][0]["values"]
    assert images([rendered("registry")["Deployment", "aichat-workspace-api"]]) == {
        f"registry.example.org/operator@sha256:{'0' * 64}"
    }
    deployment = rendered("provider")["Deployment", "aichat-workspace-api"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    variables = [variable["name"] for variable in container["env"]]
    assert sorted(variables) == sorted(API_VARIABLES), "each once"


@dataclass(frozen=True)
class Reader:
    """Someone who follows the page with one version of Helm."""

    cluster: Cluster
    helm: Helm
    checkout: Path
    done: set[str] = field(default_factory=set)

    def follow(self, *marks: str) -> str:
        self.done.update(marks)
        documented = [example for example in examples(PAGE) if example.mark in marks]
        assert len(documented) == len(marks)
        environment = {
            **os.environ,
            "HOME": str(self.checkout),
            "KUBECONFIG": str(self.cluster.kubeconfig),
            "PATH": f"{self.helm.folder}:{os.environ['PATH']}",
        }
        return run(documented, environment, self.checkout, 120)[-1]

    def test(self) -> tuple[str, ...]:
        """The arguments of `helm test`."""
        release = ("aichat-workspace-operator", "--namespace", SYSTEM)
        return ("test", *release, "--timeout", "60s", "--kubeconfig", str(self.cluster.kubeconfig))

    def listed(self) -> set[str]:
        return set(self.cluster.kubectl("get", KINDS, "-o", "name").split())

    def image(self) -> str:
        (image,) = images(self.cluster.get("deployments", "-n", SYSTEM)["items"])
        return image


def test_a_release_comes_is_upgraded_and_goes_without_any_workspace(
    cluster: Cluster, helm: Helm, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "charts", tmp_path / "charts")
    reader = Reader(cluster, helm, tmp_path)
    before = reader.listed()

    output = reader.follow("helm-namespace", "helm-values", "helm-install")
    assert "Next: wait until it is ready" in output
    assert "kind: AIChatPlatform" in output
    assert "admits pods of any kind" not in output, "the page has labelled the namespace"
    assert reader.image() == f"{IMAGE}:v0.1.0"
    wait_for_kinds(cluster)
    _assert_that_its_test_asks_a_model_and_leaves_nothing(reader)
    cluster.apply(workspace("stays"))
    uid = cluster.get("aiws", "stays", "-n", SYSTEM)["metadata"]["uid"]

    cluster.apply(platform({}))
    output = reader.follow("helm-upgrade")
    assert "is upgraded" in output
    assert "kind: AIChatPlatform" not in output, "its settings are there"
    assert reader.image() == f"{IMAGE}:v0.1.1"
    assert cluster.get("aiws", "stays", "-n", SYSTEM)["metadata"]["uid"] == uid

    reader.follow("helm-remove")
    assert cluster.get("deployments", "-n", SYSTEM)["items"] == []
    assert cluster.get("aiws", "stays", "-n", SYSTEM)["metadata"]["uid"] == uid

    reader.follow("helm-install")
    assert cluster.get("aiws", "stays", "-n", SYSTEM)["metadata"]["uid"] == uid
    cluster.kubectl("delete", "aiws", "--all", "-A", "--timeout=30s")
    reader.follow("helm-remove", "helm-remove-all")
    assert reader.listed() == before
    assert reader.done == HELM


def _assert_that_its_test_asks_a_model_and_leaves_nothing(reader: Reader) -> None:
    before = reader.listed()
    with pods_end(reader.cluster, "Failed") as pods:
        output = reader.helm.run(*reader.test(), check=False)
    assert "failed" in output.lower()
    assert len(pods) == 1, "it is not tried again"
    with pods_end(reader.cluster, "Succeeded") as pods:
        reader.follow("helm-test")
    (pod,) = pods
    (container,) = pod["spec"]["containers"]
    assert container["image"] == f"{IMAGE}:v0.1.0"
    assert (*container["command"], *container["args"])[1:] == (
        *("/smoke-test/smoke_test.py", "smollm2:135m"),
    )
    assert reader.listed() == before, "the test's team is gone"
    assert not reader.cluster.kube.has("networkpolicy", "aichat-smoke-test", SYSTEM)


@contextmanager
def pods_end(cluster: Cluster, phase: str) -> Iterator[list[Any]]:
    """The pods of the smoke test end so, as a node would see it. Returns those that there were."""
    ended, kube, pods = threading.Event(), Kube(cluster.kubeconfig), list[Any]()

    def look() -> None:
        while not ended.wait(0.2):
            for pod in kube.get("pods", "-n", SYSTEM, "-l", SMOKE_TEST)["items"]:
                if pod["status"]["phase"] == "Pending":
                    pods.append(pod)
                    status = {"status": {"phase": phase}}
                    kube.patch("pod", pod["metadata"]["name"], SYSTEM, status, "status")

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield pods
    finally:
        ended.set()
        thread.join()


@pytest.fixture(scope="module")
def namespace(cluster: Cluster, helm: Helm) -> Iterator[None]:
    """It goes with the tests of one version of Helm."""
    assert helm.folder
    cluster.kubectl("create", "namespace", SYSTEM)
    yield
    cluster.kubectl("delete", "namespace", SYSTEM, "--timeout=60s")


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize("name", MATRIX)
def test_the_api_server_takes_what_is_rendered(
    cluster: Cluster, helm: Helm, name: str, tmp_path: Path
) -> None:
    cluster.kubectl(
        *("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"),
        stdin=helm.render(MATRIX[name], tmp_path),
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", MATRIX)
def test_both_versions_of_helm_render_the_same(name: str, tmp_path: Path) -> None:
    rendered = (objects(tool(helm).render(MATRIX[name], tmp_path)) for helm in ("helm", "helm3"))
    assert next(rendered) == next(rendered)
