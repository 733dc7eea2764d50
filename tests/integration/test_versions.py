"""The versions of the resources on a real API server: the same, whichever one people use."""

import json
from typing import Any, Final

import pytest
from hypothesis import example, given, settings

from aichat_workspace.domain import names
from tests.integration import platform_fields
from tests.integration.conftest import SYSTEM, Cluster, platform, workspace
from tests.schemas import values
from tests.specs import SCHEMA, growing, histories
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_operator")
NAME: Final = "round-trip"
STORED: Final = names.VERSION
NEWEST: Final = next(version for version in names.SERVED_VERSIONS if version != STORED)
SIZES: Final = {"ollama": "20Gi", "openWebUI": "2Gi"}


def kind(plural: str, version: str) -> str:
    return f"{plural}.{version}.{names.GROUP}"


def read(cluster: Cluster, version: str) -> Any:
    return cluster.get(kind("aichatworkspaces", version), NAME, "-n", SYSTEM)


def in_version(document: dict[str, Any], version: str) -> dict[str, Any]:
    return {**document, "apiVersion": f"{names.GROUP}/{version}"}


def same(document: Any) -> Any:
    """All but what a version and a write may change."""
    metadata = {
        key: value for key, value in document["metadata"].items() if key != "resourceVersion"
    }
    return {**document, "apiVersion": "", "metadata": metadata}


def has(stored: Any, value: Any) -> bool:
    """Whether it is there, in lists with defaults where an entry leaves something out."""
    if not isinstance(value, tuple):
        return bool(value is None or stored == value)
    return len(stored) == len(value) and all(map(has, stored, value))


@given(histories(3))
@example([{"backup": {"schedule": ""}}, {"backup": {"schedule": ""}, "access": {}}])
@example([{"scheduling": {"tolerations": [{"operator": "Exists"}, {"key": "a"}]}}])
@settings(max_examples=20, deadline=None)
def test_any_spec_is_the_same_in_every_version_and_back(
    cluster: Cluster, specs: list[dict[str, Any]]
) -> None:
    """Written in one, read in the other, written there as it was read, and read in the first."""
    try:
        for spec in growing(specs, SIZES):
            cluster.apply(in_version(workspace(NAME, **spec), STORED))
            written = read(cluster, STORED)
            stored = values(SCHEMA, written["spec"])
            assert all(has(stored[path], value) for path, value in values(SCHEMA, spec).items())
            newest = read(cluster, NEWEST)
            assert newest["apiVersion"] == f"{names.GROUP}/{NEWEST}"
            assert same(newest) == same(written)
            cluster.apply(in_version(workspace(NAME, **newest["spec"]), NEWEST))
            assert same(read(cluster, STORED)) == same(written), (
                "not even its generation is another"
            )
    finally:
        if cluster.kube.has("aiws", NAME, SYSTEM):  # without an operator there is no finalizer
            cluster.kube.delete("aiws", NAME, SYSTEM)


def test_every_setting_of_the_platform_is_the_same_in_every_version(cluster: Cluster) -> None:
    word = {version: kind("aichatplatforms", version) for version in names.SERVED_VERSIONS}
    for path, edit in platform_fields.EDITS.items():
        cluster.apply(in_version(platform(edit.spec), NEWEST))
        newest = cluster.get(word[NEWEST], "default")
        assert same(cluster.get(word[STORED], "default")) == same(newest), path
        cluster.apply(in_version(platform(edit.spec), STORED))
        assert same(cluster.get(word[NEWEST], "default")) == same(newest), path
    cluster.kubectl("delete", "aichatplatform", "default")


def test_kubectl_speaks_the_newest_version_and_every_one_has_the_same_columns(
    cluster: Cluster,
) -> None:
    cluster.apply(in_version(workspace(NAME), STORED))
    listed = json.loads(cluster.kubectl("get", "aiws", "-n", SYSTEM, "-o", "json"))
    assert {item["apiVersion"] for item in listed["items"]} == {f"{names.GROUP}/{NEWEST}"}
    for version in names.SERVED_VERSIONS:
        table = cluster.kubectl("get", kind("aichatworkspaces", version), "-n", SYSTEM)
        assert table.split()[:7] == ["NAME", "PHASE", "READY", "REASON", "MODELS", "URL", "AGE"]
    cluster.kubectl("delete", "aiws", NAME, "-n", SYSTEM)


@pytest.mark.parametrize("version", names.SERVED_VERSIONS)
def test_policies_warn_in_every_version_and_none_of_them_is_deprecated(
    cluster: Cluster, version: str
) -> None:
    unwise = in_version(workspace(NAME, patterns=["translate"]), version)
    answer = cluster.kubectl(
        *("create", "--dry-run=server", "-f", "-"), stdin=json.dumps(unwise), check=False
    )
    assert "there is none" in answer
    assert "deprecated" not in answer
    assert names.DEPRECATED_VERSIONS == {}


def test_a_version_that_is_deprecated_warns_and_works(cluster: Cluster) -> None:
    """As the definition says it from the release on that deprecates one."""
    name = f"aichatworkspaces.{names.GROUP}"
    warning = f"{names.GROUP}/{STORED} goes with 9.0: write {names.GROUP}/{NEWEST}"
    versions = cluster.get("crd", name)["spec"]["versions"]
    number = next(n for n, entry in enumerate(versions) if entry["name"] == STORED)
    path = f"/spec/versions/{number}"
    marks = {"deprecated": True, "deprecationWarning": warning}
    add = [{"op": "add", "path": f"{path}/{key}", "value": marks[key]} for key in marks]
    cluster.kube.patch("crd", name, "", add)
    try:
        document = json.dumps(in_version(workspace(NAME), STORED))
        command = ("create", "--dry-run=server", "-f", "-")
        eventually(
            lambda: warning in cluster.kubectl(*command, stdin=document, check=False), "it warns"
        )
        newest = json.dumps(in_version(workspace(NAME), NEWEST))
        assert warning not in cluster.kubectl(*command, stdin=newest, check=False)
    finally:
        removal = [{"op": "remove", "path": f"{path}/{key}"} for key in marks]
        cluster.kube.patch("crd", name, "", removal)
