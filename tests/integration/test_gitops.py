"""What Argo CD and Flux apply comes back as it was applied, and stays as it is.

kubectl stands for both with their ways to apply: Argo CD client-side by default and server-side on
request, Flux server-side only.
"""

import subprocess
from collections.abc import Iterator
from typing import Any, Final

import pytest
import yaml

from tests.integration.conftest import ROOT, SYSTEM, Cluster, platform, workspace
from tests.integration.tenants import condition, settled
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("operator")
NAME: Final = "by-gitops"
SERVER_SIDE: Final = ("apply", "--server-side", "--force-conflicts", "-f", "-")
ARGO_CD: Final = ("apply", "-f", "-")
ARGO_CD_SERVER_SIDE: Final = (*SERVER_SIDE, "--field-manager=argocd-controller")
FLUX: Final = (*SERVER_SIDE, "--field-manager=kustomize-controller")
Object = dict[str, Any]


@pytest.fixture(scope="module")
def applied() -> list[Object]:
    """The installation, settings that name much, and a workspace with every kind of field."""
    command = ["kubectl", "kustomize", str(ROOT / "config" / "default")]
    ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    installation = [manifest for manifest in yaml.safe_load_all(ran.stdout) if manifest]
    settings = {
        "ingress": {"domain": "ai.example.org", "sourceRanges": ["192.0.2.0/24"]},
        "upgrades": {"concurrent": 3, "maxFailures": "10%"},
    }
    spec: dict[str, Any] = {
        "models": ["smollm2:135m"],
        "suspended": True,
        "expiresAfter": "72h",
        "resources": {"ollama": {"memoryLimit": "2048Mi", "cpuLimit": "1000m"}},
    }
    return [*installation, platform(settings), workspace(NAME, **spec)]


@pytest.fixture(scope="module", autouse=True)
def everything_is_applied(cluster: Cluster, operator: Any, applied: list[Object]) -> Iterator[None]:
    """By all three ways, one after the other."""
    assert operator
    for way in (ARGO_CD, ARGO_CD_SERVER_SIDE, FLUX):
        cluster.kubectl(*way, stdin=yaml.safe_dump_all(applied))
    eventually(lambda: condition(cluster, NAME).get("status") == "True", f"{NAME} is provisioned")
    settled(cluster, NAME)
    yield
    cluster.kubectl("delete", "aiws", NAME, "-n", SYSTEM, "--wait=false")
    cluster.apply(platform({}))


def stored(cluster: Cluster, manifest: Object) -> Any:
    """In the version that was applied."""
    group, _, version = manifest["apiVersion"].rpartition("/")
    kind = f"{manifest['kind'].lower()}.{version}.{group}"
    metadata = manifest["metadata"]
    return cluster.get(kind, metadata["name"], "-n", metadata.get("namespace", "default"))


def differences(expected: Any, present: Any, path: str = "") -> Iterator[str]:
    """The fields of what was applied that are not there as they were applied."""
    if isinstance(expected, dict) and isinstance(present, dict):
        for key, value in expected.items():
            yield from differences(value, present.get(key), f"{path}.{key}")
    elif isinstance(expected, list) and isinstance(present, list) and len(expected) == len(present):
        for place, (value, other) in enumerate(zip(expected, present, strict=True)):
            yield from differences(value, other, f"{path}[{place}]")
    elif expected != present:
        yield f"{path}: {expected!r} has become {present!r}"


def test_differences_are_seen() -> None:
    assert [*differences({"a": [1]}, {"a": [1], "b": 2})] == []
    assert [*differences({"a": [{"b": "1000m"}]}, {"a": [{"b": "1"}]})] == [
        ".a[0].b: '1000m' has become '1'"
    ]
    assert [*differences({"a": [1]}, {"a": [1, 2]})] == [".a: [1] has become [1, 2]"]


def test_each_field_comes_back_as_it_was_applied(cluster: Cluster, applied: list[Object]) -> None:
    changed = {
        f"{manifest['kind']}/{manifest['metadata']['name']}": fields
        for manifest in applied
        if (fields := [*differences(manifest, stored(cluster, manifest))])
    }
    assert changed == {}


def _versions(cluster: Cluster, applied: list[Object]) -> dict[str, str]:
    return {
        f"{manifest['kind']}/{manifest['metadata']['name']}": _version(stored(cluster, manifest))
        for manifest in applied
    }


def _version(present: Object) -> str:
    """An object's generation where it has one: its status has others' writes."""
    metadata = present["metadata"]
    return str(metadata.get("generation") or metadata["resourceVersion"])


@pytest.mark.parametrize(
    "way", [ARGO_CD, ARGO_CD_SERVER_SIDE, FLUX], ids=["Argo CD", "server-side", "Flux"]
)
def test_to_apply_it_again_changes_nothing(
    cluster: Cluster, applied: list[Object], way: tuple[str, ...]
) -> None:
    cluster.kubectl(*way, stdin=yaml.safe_dump_all(applied))
    settled(cluster, NAME)
    before = _versions(cluster, applied)
    cluster.kubectl(*way, stdin=yaml.safe_dump_all(applied))
    settled(cluster, NAME)
    assert _versions(cluster, applied) == before


def test_the_operator_owns_nothing_of_what_is_applied(
    cluster: Cluster, applied: list[Object]
) -> None:
    """So no way to apply ever has a conflict with it."""
    (manifest,) = (item for item in applied if item["kind"] == "AIChatWorkspace")
    resource = cluster.get("aiws", NAME, "-n", SYSTEM, "--show-managed-fields")
    owners = {
        entry["manager"]
        for entry in resource["metadata"]["managedFields"]
        if "f:spec" in entry["fieldsV1"]
    }
    assert owners == {"argocd-controller", "kustomize-controller"}
    output = cluster.kubectl(
        *("apply", "--server-side", "--field-manager=somebody", "-f", "-"),
        stdin=yaml.safe_dump(manifest),
    )
    assert "serverside-applied" in output
    assert resource["metadata"]["finalizers"] == ["apps.aichatworkspaces.io/finalizer"]
