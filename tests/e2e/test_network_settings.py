"""A platform with a registry that asks for a password under an authority of its own, and with a
proxy as the only way out. It concerns all workspaces at once, so nothing else goes on meanwhile."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from aichat_workspace.domain.v1alpha1.platform_spec import Images
from localcluster import certificates
from localcluster.build.images.openwebui import ensure_openwebui
from localcluster.build.images.programs import ensure_ollama_image
from localcluster.node.layout import REGISTRY
from localcluster.registry.making import ensure_models
from localcluster.registry.server import application
from localcluster.registry.store import ImageReference, Store, digest_of
from tests.e2e import machine
from tests.e2e.conftest import (
    RESOURCE,
    SECOND,
    SYSTEM,
    TENANT,
    Node,
    resource_of,
    wait_ready,
)
from tests.e2e.connect_proxy import ConnectProxy, connect_proxy
from tests.e2e.private_registry import PrivateRegistry, docker_config, private_registry
from tests.e2e.test_network import CHAT, MODELS, VISITOR, reaches
from tests.e2e.webui import WebUI
from tests.e2e.workspace import answers, entry, patch, platform, pods
from tests.served import served
from tests.waiting import eventually

# The node's last: kubelet remembers that these images came by a password, and lets no later pod
# have them without it, even under the names that the node began with (its feature
# KubeletEnsureSecretPulledImages).
pytestmark = [pytest.mark.usefixtures("whole_node"), pytest.mark.slow]
IMAGES_PORT: Final = 5444
MODELS_PORT: Final = 5443
PROXY_PORT: Final = 3128
IMAGES: Final = f"{REGISTRY}:{IMAGES_PORT}"
BLOBS: Final = "blobs.registry.localcluster.test"
MODEL: Final = f"{REGISTRY}:{MODELS_PORT}/library/terse:latest"
PULL_SECRET: Final = "platform-registry"
AUTHORITIES: Final = "platform-authorities"
# Images stay on the machine for later runs, which would not pull them again by the same name.
RUN: Final = f"run-{os.getpid()}"


def quiet(step: str, message: str) -> None:
    """What is built is in the cache already."""
    del step, message


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> certificates.KeyPair:
    """Another one than the node's and its images'."""
    return certificates.ensure(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(
    authority: certificates.KeyPair, tmp_path_factory: pytest.TempPathFactory
) -> certificates.KeyPair:
    return certificates.issue(authority, tmp_path_factory.mktemp("server"), [REGISTRY, BLOBS])


@pytest.fixture(scope="module")
def images(
    node: Node, authority: certificates.KeyPair, certificate: certificates.KeyPair
) -> Iterator[PrivateRegistry]:
    """The registry of images, whose authority the node's runtime trusts."""
    folder = machine.STATES / node.name / "node"
    trusted = folder / "registries" / IMAGES
    trusted.mkdir(parents=True)
    shutil.copy(authority.certificate, trusted / "ca.crt")
    archives = {
        f"{RUN}/ollama/ollama": ensure_ollama_image(quiet).archive,
        f"{RUN}/open-webui/open-webui": ensure_openwebui(quiet).archive,
    }
    with private_registry(archives, certificate, REGISTRY, IMAGES_PORT) as registry:
        yield registry
    shutil.rmtree(trusted)
    platform_images = Images(mirror=f"{IMAGES}/{RUN}").resolved
    command = ["ctr", f"--address={folder / 'containerd.sock'}", "-n", "k8s.io", "images", "rm"]
    subprocess.run([*command, *platform_images], check=True, capture_output=True)


@pytest.fixture(scope="module")
def models(
    certificate: certificates.KeyPair, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """The registry of models, under the other authority."""
    store = Store(tmp_path_factory.mktemp("pushed"), ensure_models(quiet))
    _publish_terse(store)
    app = application(store, BLOBS, "https://192.0.2.1")
    with served(app, certificate, REGISTRY, MODELS_PORT):
        yield


def _publish_terse(store: Store) -> None:
    """Write a model with a blob that no workspace has in its volume, as it has those of others."""
    system = b"Answer in one word."
    part = store.upload_path("system")
    part.write_bytes(system)
    store.commit(part, digest_of(system))
    manifest = json.loads(store.manifest(ImageReference.parse("smollm2:135m")) or b"")
    layer = {"mediaType": "application/vnd.ollama.image.system", "digest": digest_of(system)}
    manifest["layers"].append({**layer, "size": len(system)})
    store.write_manifest(ImageReference.parse("terse"), json.dumps(manifest).encode())


@pytest.fixture(scope="module")
def proxy() -> Iterator[ConnectProxy]:
    with connect_proxy(REGISTRY, PROXY_PORT, {BLOBS: REGISTRY}) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def network_settings(
    node: Node, authority: certificates.KeyPair, images: PrivateRegistry, proxy: ConnectProxy
) -> Iterator[None]:
    """The settings of the platform, which both workspaces have followed."""
    assert (images.served, proxy.log) == ([], [])
    for document in (_pull_secret(), _bundle(authority.certificate)):
        node.kube.apply(document)
    settings = {
        "images": {"mirror": f"{IMAGES}/{RUN}"},
        "imagePullSecretNames": [PULL_SECRET],
        "trustedAuthorities": {"configMapName": AUTHORITIES},
        "proxy": {"url": f"http://{REGISTRY}:{PROXY_PORT}"},
        "models": {"allowedRegistries": ["registry.ollama.ai", f"{REGISTRY}:{MODELS_PORT}"]},
    }
    platform(node, settings)
    _await_images(node, IMAGES)
    yield
    platform(node, {**dict.fromkeys(settings), "models": {"allowedRegistries": None}})
    node.kube.delete("secret", PULL_SECRET, SYSTEM)
    node.kube.delete("configmap", AUTHORITIES, SYSTEM)


def _pull_secret() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": PULL_SECRET, "namespace": SYSTEM},
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": docker_config(IMAGES)},
    }


def _bundle(certificate: Path) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": AUTHORITIES, "namespace": SYSTEM},
        "data": {"ca.crt": certificate.read_text()},
    }


def _await_images(node: Node, *registries: str) -> None:
    """Wait until every pod of both workspaces runs images of these registries."""

    def follow() -> bool:
        running = [
            container["image"]
            for tenant in (TENANT, SECOND)
            for pod in pods(node, tenant)
            for container in pod["spec"]["containers"]
        ]
        return len(running) == 4 and all(image.startswith(registries) for image in running)

    eventually(follow, f"pods have images of {registries}", 400, lambda: node.story(TENANT))
    for resource, tenant in ((RESOURCE, TENANT), (resource_of(SECOND), SECOND)):
        wait_ready(node, resource, tenant)


@pytest.mark.usefixtures("network_settings")
def test_pods_come_from_a_registry_that_asks_for_a_password(images: PrivateRegistry) -> None:
    repositories = {f"{RUN}/ollama/ollama", f"{RUN}/open-webui/open-webui"}
    assert {*images.served} == repositories


@pytest.mark.usefixtures("network_settings", "models")
def test_a_model_comes_through_the_proxy_and_nothing_else_goes_out(
    node: Node, chat: WebUI, proxy: ConnectProxy
) -> None:
    assert proxy.log == [], "workspaces that rest ask for nothing"
    before = node.kube.get("aiws", RESOURCE, "-n", SYSTEM)["spec"]["models"]
    patch(node, RESOURCE, {"models": [*before, MODEL]})
    try:
        eventually(
            lambda: entry(node, RESOURCE, MODEL).get("state") == "Ready",
            "the model is there",
            180,
            lambda: node.story(TENANT),
        )
        assert {*proxy.log} == {f"{REGISTRY}:{MODELS_PORT}", f"{BLOBS}:{MODELS_PORT}"}
        connections = len(proxy.log)
        eventually(lambda: answers(chat, before[0]), "the chat reaches its models", 180)
        assert len(proxy.log) == connections, "and not through the proxy"
    finally:
        patch(node, RESOURCE, {"models": before})
    wait_ready(node, RESOURCE, TENANT)


@pytest.mark.usefixtures("network_settings", "models")
def test_the_proxy_is_the_only_way_out(node: Node) -> None:
    assert reaches(node, MODELS, REGISTRY, PROXY_PORT)
    for port in (443, MODELS_PORT, IMAGES_PORT):
        assert not reaches(node, MODELS, REGISTRY, port), port
    assert not reaches(node, CHAT, REGISTRY, PROXY_PORT), "this chat has nothing to reach outside"


def test_the_platform_says_that_this_cluster_holds_policies_and_who_comes_in(node: Node) -> None:
    def conditions() -> dict[str, str]:
        status = node.kube.get("aichatplatform", "default").get("status", {})
        return {entry["type"]: entry["status"] for entry in status.get("conditions", ())}

    eventually(
        lambda: conditions().get("NetworkPoliciesEnforced") == "True", "policies are tried", 60
    )
    assert conditions()["PeopleAdmitted"] == "True"


@pytest.fixture
def visitor(node: Node) -> Iterator[str]:
    """The address of a pod in a namespace that no setting names."""
    namespace = "edge"
    node.kubectl("create", "namespace", namespace)
    account = ("serviceaccount/default", "-n", namespace)  # its pods are refused before
    node.kubectl("wait", *account, "--for=create", "--timeout=170s")
    image = next(
        container["image"] for pod in pods(node, SYSTEM) for container in pod["spec"]["containers"]
    )
    node.kubectl(
        *("run", "visitor", "-n", namespace, f"--image={image}"),
        *("--image-pull-policy=IfNotPresent", "--command", "--", "python3", "-c"),
        "import time; time.sleep(3600)",
    )
    node.kubectl("wait", VISITOR, "-n", namespace, "--for=condition=Ready", "--timeout=170s")
    address: str = node.kube.get("pod", "visitor", "-n", namespace)["status"]["podIP"]
    yield address
    node.kubectl("delete", "namespace", namespace, "--wait=false")


def test_an_address_that_the_settings_list_comes_in(node: Node, visitor: str) -> None:
    host = f"{TENANT}-openwebui.{TENANT}.svc"
    assert not reaches(node, VISITOR, host, 8080, "edge")
    platform(node, {"ingress": {"sourceRanges": [f"{visitor}/32"]}})
    try:
        eventually(lambda: reaches(node, VISITOR, host, 8080, "edge"), "it comes in", 90)
    finally:
        platform(node, {"ingress": {"sourceRanges": None}})
    eventually(lambda: not reaches(node, VISITOR, host, 8080, "edge"), "it is kept out again", 90)
