"""From a bundle to a model's reply on a node that has no way out.

The node runs in a network namespace without an uplink. Its registry is a plain one that is empty
before the bundle is loaded; the images that a node of ours has beforehand, and the registry of
models beside it, are taken away.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from aichat_workspace.domain import names
from aichat_workspace.oci.bundle import open_bundle
from localcluster import certificates
from localcluster.build import binaries
from localcluster.build.images.containerfile import build_containerfile
from localcluster.build.images.openwebui import ensure_openwebui
from localcluster.build.images.programs import PAUSE, ensure_ollama_image
from localcluster.node.layout import REGISTRY
from localcluster.progress import silent
from localcluster.registry.making import ensure_models
from localcluster.registry.server import application
from localcluster.registry.store import Store
from release.bundle.assembling import Options, assemble
from release.chart import package
from release.manifest import install_yaml
from tests import plain_registry
from tests.airgapped.network import closed_network
from tests.e2e.conftest import ANSWER, DOMAIN, QUESTION, SYSTEM, Node, credentials
from tests.e2e.machine import LOCALCLUSTER, ROOT, STATES
from tests.e2e.webui import WebUI
from tests.examples import examples, run
from tests.served import served
from tests.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
VERSION: Final = version(names.OPERATOR)
IMAGE: Final = f"docker.io/library/{names.OPERATOR}:v{VERSION}"
PORT: Final = 5444
HOST: Final = f"{REGISTRY}:{PORT}"
MODEL: Final = f"{HOST}/library/smollm2:135m"
NAME: Final = f"e2e-{os.getpid()}"
PAGE: Final = ROOT / "docs" / "airgapped.md"
TENANT: Final = "airgapped"
_OF_THE_API_SERVER: Final = ("-l", "kubernetes.io/service-name=kubernetes")
_SANDBOX: Final = PAUSE.rpartition(":")[0]
_PUBLIC: Final = "1.1.1.1"


def localcluster(*arguments: str) -> str:
    command = [*LOCALCLUSTER, *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("airgapped")


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Path:
    """What `make bundle` writes, of a release with the image that the local cluster builds."""
    release = folder / "release"
    release.mkdir()
    tree = folder / "tree"
    subprocess.run(["git", "clone", "--quiet", ROOT, tree], check=True)
    package(tree / "charts" / names.OPERATOR, release / f"{names.OPERATOR}-{VERSION}.tgz", 0)
    (release / "install.yaml").write_text(install_yaml(tree, names.OPERATOR, VERSION, ""))
    built = build_containerfile(ROOT / "Containerfile", ROOT, IMAGE, silent).archive
    (release / "operator.oci.tar").symlink_to(built)
    images = folder / "images"
    images.mkdir()
    for image in (ensure_ollama_image(silent), ensure_openwebui(silent)):
        (images / image.archive.name).symlink_to(image.archive)
    store = Store(folder / "pushed", ensure_models(silent))
    target = folder / "bundle.tar"
    with served(application(store, "localhost", "")) as port:
        options = Options(
            VERSION,
            release,
            ["smollm2:135m", "all-minilm"],
            ["amd64"],
            [str(images)],
            model_registry=f"http://127.0.0.1:{port}",
        )
        assemble(options, target, silent)
    return target


@dataclass(frozen=True)
class Site:
    """A node without a way out, and its registry."""

    node: Node
    authority: Path
    registry: Path
    """The folder of the registry."""

    @property
    def containerd(self) -> list[str]:
        socket_path = STATES / self.node.name / "node" / "containerd.sock"
        return ["ctr", f"--address={socket_path}", "-n", "k8s.io"]

    def images(self) -> list[str]:
        command = [*self.containerd, "images", "list", "--quiet"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


@pytest.fixture(scope="module")
def helm() -> Path:
    """The folder of the program."""
    return binaries.ensure(binaries.HELM, silent)


@pytest.fixture(scope="module")
def site(folder: Path, bundle: Path, helm: Path) -> Iterator[Site]:
    assert bundle.exists()
    assert helm.exists(), "what is downloaded comes before the network is closed"
    program = plain_registry.download(folder / "program")
    authority = certificates.ensure(folder / "authority")
    pair = certificates.issue(authority, folder / "pki", [REGISTRY])
    with closed_network():
        try:
            localcluster("up", "--full", "--name", NAME)
            status = json.loads(localcluster("status", "--name", NAME, "-o", "json"))
            node = Node(
                NAME,
                status["kubeconfig"],
                Path(status["audit_log"]),
                status["ingress_authority"],
            )
            site = Site(node, authority.certificate, folder / "registry")
            _take_away_what_no_site_has(site, status)
            trusted = STATES / NAME / "node" / "registries" / HOST
            trusted.mkdir(parents=True)
            (trusted / "ca.crt").write_bytes(authority.certificate.read_bytes())
            with plain_registry.running(
                program, site.registry, HOST, plain_registry.LOCATION, pair
            ):
                yield site
                _remove_images(site, [name for name in site.images() if name.startswith(HOST)])
        finally:
            localcluster("down", "--name", NAME)


def _take_away_what_no_site_has(site: Site, status: Any) -> None:
    """The registry of models, and all images but that of pods' sandboxes."""
    (pid,) = (part["pid"] for part in status["components"] if part["name"] == "registry")
    os.kill(pid, signal.SIGKILL)
    _remove_images(site, [name for name in site.images() if not name.startswith(_SANDBOX)])


def _remove_images(site: Site, images: Sequence[str]) -> None:
    if images:  # with their content, so that it has to be pulled
        subprocess.run([*site.containerd, "images", "rm", "--sync", *images], check=True)


@pytest.fixture(scope="module")
def settings(site: Site, bundle: Path) -> Any:
    """What the load prints."""
    command = [sys.executable, "-c", "from aichat_workspace.cli.main import main; main()"]
    command += ["bundle", "load", str(bundle), HOST, "--ca", str(site.authority), "-o", "json"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.fixture(scope="module")
def chat(site: Site, settings: Any, bundle: Path, folder: Path, helm: Path) -> WebUI:
    """Installed with the printed settings, and signed in."""
    node, files = site.node, folder / "site"
    files.mkdir()
    local = yaml.safe_load((ROOT / "config" / "local" / "platform.yaml").read_text())
    platform = settings["platform"]
    spec = {**local["spec"], **platform["spec"]}
    spec["models"]["embeddingModel"] = f"{HOST}/library/all-minilm:latest"
    (files / "values.yaml").write_text(yaml.safe_dump(_values(node, settings["values"])))
    (files / "platform.yaml").write_text(yaml.safe_dump({**platform, "spec": spec}))
    (files / "ca.pem").symlink_to(site.authority)
    (files / f"aichat-workspace-bundle-{VERSION}.tar").symlink_to(bundle)
    _follow_page(files, node, helm, *("namespace", "authority", "install"))
    workspace = {
        "apiVersion": "apps.aichatworkspaces.io/v1alpha1",
        "kind": "AIChatWorkspace",
        "metadata": {"name": TENANT, "namespace": SYSTEM},
        "spec": {"workspaceName": TENANT, "models": [MODEL]},
    }
    node.kube.apply(workspace)
    eventually(
        lambda: (
            node.try_kubectl(
                *("wait", f"aiws/{TENANT}", "-n", SYSTEM, "--for=condition=Ready", "--timeout=5s")
            ).returncode
            == 0
        ),
        "the workspace is ready",
        600,
        lambda: node.story(TENANT),
    )
    webui = WebUI("http://127.0.0.1", f"{TENANT}.{DOMAIN}")
    webui.sign_in(*credentials(node, TENANT))
    return webui


def _follow_page(folder: Path, node: Node, helm: Path, *marks: str) -> None:
    """Run the blocks of the page that are marked so."""
    blocks = [example for example in examples(PAGE) if example.mark in marks]
    assert [block.mark for block in blocks] == [*marks]
    path = f"{helm}:{os.environ['PATH']}"
    run(blocks, {**os.environ, "PATH": path, "KUBECONFIG": str(node.kubeconfig)}, folder, 900)


def _values(node: Node, values: Any) -> Any:
    """The printed ones, and what is this cluster's: the port of its API server, one pod of each."""
    slices = node.kube.get(
        "endpointslices", "-l", "kubernetes.io/service-name=kubernetes", "-n", "default"
    )
    ports = {port["port"] for entry in slices["items"] for port in entry["ports"]}
    return {
        **values,
        "operator": {"replicas": 1},
        "api": {"replicas": 1},
        "networkPolicies": {"apiServerPorts": [443, 6443, *sorted(ports)]},
    }


def test_there_is_no_way_out(site: Site) -> None:
    assert site.node.kubectl("get", "nodes")
    with pytest.raises(OSError, match=r"timed out|unreachable|No route"):
        socket.create_connection((_PUBLIC, 443), timeout=3)


def test_the_registry_has_what_the_bundle_brought_and_nothing_else(
    site: Site, settings: Any, bundle: Path
) -> None:
    assert settings["values"]["smokeTest"] == {"model": MODEL}
    assert settings["models"] == [MODEL, f"{HOST}/library/all-minilm:latest"]
    with open_bundle(bundle) as opened:
        digests = {digest for entry in opened.entries for digest in opened.blobs(entry)}
    blobs = (site.registry / "store").rglob("blobs/sha256/*/*")
    assert {f"sha256:{blob.name}" for blob in blobs} == digests


def test_a_real_model_answers(site: Site, chat: WebUI) -> None:
    assert ANSWER in chat.ask(MODEL, QUESTION)
    running = {
        container["image"]
        for namespace in (SYSTEM, TENANT)
        for pod in site.node.kube.get("pods", "-n", namespace)["items"]
        for container in pod["spec"]["containers"]
    }
    assert {image.partition("/")[0] for image in running} == {HOST}
