"""`aichatctl doctor --cluster` with a real kubectl and a real API server. No pod runs there, so the
states of nodes and pods are written by hand."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from aichat_workspace.domain import versions
from tests.integration.conftest import (
    ROOT,
    SYSTEM,
    Cluster,
    bare_control_plane,
    platform,
    wait_for_kinds,
)
from tests.waiting import eventually

Findings = dict[str, list[dict[str, str]]]
_SECONDS: Final = 120
_DEFAULT_STORAGE: Final = {"storageclass.kubernetes.io/is-default-class": "true"}
_DEFAULT_INGRESS: Final = {"ingressclass.kubernetes.io/is-default-class": "true"}
_NODE: Final = "large"


@pytest.fixture(scope="module")
def plane() -> Iterator[Cluster]:
    """A control plane of its own: what these tests look at belongs to the whole cluster."""
    with bare_control_plane(f"doctor-{os.getpid()}") as control:
        yield control


def findings(kubeconfig: Path) -> Findings:
    """What doctor finds of the cluster, by code."""
    environment = {"KUBECONFIG": str(kubeconfig), "AICHAT_CONFIG": "/nothing/config.yaml"}
    ran = subprocess.run(
        ["aichatctl", "doctor", "--cluster", "-o", "json"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert ran.returncode == 1, ran.stderr  # nobody answers for the API
    by_code: Findings = {}
    for finding in json.loads(ran.stdout)["findings"]:
        if finding["category"] == "The cluster":
            by_code.setdefault(finding["code"], []).append(finding)
    return by_code


def severities(by_code: Findings, code: str) -> list[str]:
    return [finding["severity"] for finding in by_code.get(code, ())]


def storage_class(*, grows: bool) -> dict[str, Any]:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "fast", "annotations": _DEFAULT_STORAGE},
        "provisioner": "example.org/none",
        "allowVolumeExpansion": grows,
    }


def ingress_class(annotations: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": "traefik", "annotations": annotations},
        "spec": {"controller": "example.org/none"},
    }


def put_node(plane: Cluster, memory: str, *images: str) -> None:
    """A node that says that it is ready, as a kubelet would."""
    plane.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": _NODE}})
    status = {
        "conditions": [{"type": "Ready", "status": "True"}],
        "allocatable": {"cpu": "8", "memory": memory, "pods": "110"},
        "images": [{"names": [image], "sizeBytes": 1} for image in images],
    }
    plane.kube.patch("node", _NODE, "", {"status": status}, "status")
    plane.kube.patch("node", _NODE, "", {"spec": {"taints": None}})


def restricted(plane: Cluster, folder: Path, *rules: dict[str, Any]) -> Path:
    """Access as a service account that may do so much in the whole cluster."""
    name = "looks-around"
    base = "rbac.authorization.k8s.io"
    role = {"apiVersion": f"{base}/v1", "kind": "ClusterRole", "metadata": {"name": name}}
    account = {"kind": "ServiceAccount", "name": name, "namespace": "default"}
    plane.apply(
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": name, "namespace": "default"},
        }
    )
    plane.apply({**role, "rules": list(rules)})
    plane.apply(
        {
            **role,
            "kind": "ClusterRoleBinding",
            "roleRef": {"apiGroup": base, "kind": "ClusterRole", "name": name},
            "subjects": [account],
        }
    )
    token = plane.kubectl("create", "token", name, "-n", "default").strip()
    config = yaml.safe_load(plane.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


def test_an_empty_cluster_is_told_what_it_lacks_before_installation(plane: Cluster) -> None:
    by_code = findings(plane.kubeconfig)
    (kind,) = by_code["AC501"]
    assert (kind["severity"], kind["fix"]) == ("problem", "kubectl apply -k config/default")
    assert severities(by_code, "AC511") == ["note"]
    assert severities(by_code, "AC504") == ["note"]  # no StorageClass
    assert severities(by_code, "AC506") == ["problem"]  # no IngressClass
    assert severities(by_code, "AC507") == ["problem"]  # no node
    assert "none of 0 nodes" in by_code["AC507"][0]["text"]
    assert severities(by_code, "AC509") == ["note", "note"]
    assert "AC502" not in by_code


def test_classes_are_good_only_as_defaults_that_can_grow(plane: Cluster) -> None:
    plane.apply(storage_class(grows=False))
    plane.apply(ingress_class({}))
    by_code = findings(plane.kubeconfig)
    assert severities(by_code, "AC505") == severities(by_code, "AC506") == ["note"]
    # What the finding says to type is what mends it.
    command = by_code["AC505"][0]["fix"]
    subprocess.run(
        ["/bin/sh", "-c", command],
        env={**os.environ, "KUBECONFIG": str(plane.kubeconfig)},
        check=True,
        capture_output=True,
    )
    plane.apply(ingress_class(_DEFAULT_INGRESS))
    by_code = findings(plane.kubeconfig)
    assert severities(by_code, "AC504") == severities(by_code, "AC506") == ["good"]
    assert "AC505" not in by_code


def test_nodes_have_room_and_images_or_lack_them(plane: Cluster) -> None:
    put_node(plane, "64Gi", versions.OLLAMA_IMAGE)
    by_code = findings(plane.kubeconfig)
    assert severities(by_code, "AC507") == ["good"]
    assert severities(by_code, "AC509") == ["good", "note"]
    put_node(plane, "1Mi")
    by_code = findings(plane.kubeconfig)
    assert severities(by_code, "AC507") == ["problem"]
    assert "no node has" in by_code["AC507"][0]["text"]
    plane.kubectl("cordon", _NODE)
    by_code = findings(plane.kubeconfig)
    assert "none of 1 node takes pods" in by_code["AC507"][0]["text"]
    plane.kubectl("uncordon", _NODE)


def test_without_permissions_it_says_what_to_ask_for(plane: Cluster, tmp_path: Path) -> None:
    by_code = findings(restricted(plane, tmp_path))
    (kind,) = by_code["AC501"]
    assert kind["severity"] == "problem"
    assert "forbidden" in kind["text"].lower()
    assert "ask for a role" in kind["fix"]
    assert by_code.keys() == {"AC501"}


def test_an_installation_is_checked_and_what_ails_its_pods(plane: Cluster, tmp_path: Path) -> None:
    plane.kubectl("apply", "-k", str(ROOT / "config" / "default"))
    wait_for_kinds(plane)
    plane.apply(platform({"images": {"mirror": "registry.invalid/mirror"}}))
    by_code = findings(plane.kubeconfig)
    assert severities(by_code, "AC501") == ["good"]
    assert severities(by_code, "AC502") == severities(by_code, "AC503") == ["problem"]
    assert "0 of 2 pods are ready" in by_code["AC502"][0]["text"]
    assert severities(by_code, "AC508") == ["good"]
    (registry,) = by_code["AC510"]
    assert (registry["severity"], "registry.invalid" in registry["text"]) == ("note", True)

    first, *others = _pods(plane)
    _let_run(plane, first)
    eventually(lambda: severities(findings(plane.kubeconfig), "AC502") == ["note"], "one is ready")
    for pod in others:
        _let_run(plane, pod)
    eventually(lambda: severities(findings(plane.kubeconfig), "AC502") == ["good"], "all are ready")

    image = "registry.invalid/operator:1"
    waiting = {"state": {"waiting": {"reason": "ImagePullBackOff"}}}
    container = {
        "name": "operator",
        "image": image,
        "imageID": "",
        "ready": False,
        "restartCount": 0,
    }
    _set_status(plane, first, {"containerStatuses": [{**container, **waiting}]})
    (pull,) = findings(plane.kubeconfig)["AC508"]
    assert pull["severity"] == "problem"
    assert image in pull["text"]
    assert pull["fix"] == f"kubectl -n {SYSTEM} describe pod {first}"

    crds = {"apiGroups": ["apiextensions.k8s.io"], "resources": ["*"], "verbs": ["get"]}
    by_code = findings(restricted(plane, tmp_path, crds))
    assert severities(by_code, "AC501") == ["good"]
    for code in ("AC502", "AC503", "AC504", "AC507"):
        (refused,) = by_code[code]
        assert "forbidden" in refused["text"].lower()
        assert "ask for a role" in refused["fix"]


def _pods(plane: Cluster) -> list[str]:
    """The operator's pods, once they are there."""
    selector = "app.kubernetes.io/name=aichat-workspace-operator"

    def names() -> list[str]:
        pods = plane.get("pods", "-n", SYSTEM, "-l", selector)["items"]
        return sorted(pod["metadata"]["name"] for pod in pods)

    eventually(lambda: len(names()) == 2, "both pods are there")
    return names()


def _let_run(plane: Cluster, pod: str) -> None:
    ready = {"type": "Ready", "status": "True"}
    _set_status(plane, pod, {"phase": "Running", "conditions": [ready]})


def _set_status(plane: Cluster, pod: str, status: dict[str, Any]) -> None:
    plane.kube.patch("pod", pod, SYSTEM, {"status": status}, "status")
