"""Releases beside each other: resources and definitions of the last one with this one's operator
and API, those of a later one with them, an operator of a former state in turns with them, and the
way to the next storage version. No pod runs here; tests/e2e/test_upgrade.py has chats.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
import yaml

from aichat_workspace.domain import names
from aichat_workspace.domain.v1alpha1 import crd
from tests.api import person, running_api, token_request
from tests.compatibility import KINDS, RELEASED, released_definition, schema_of
from tests.examples import examples, run
from tests.former import former_source
from tests.integration.conftest import (
    OPERATOR,
    ROOT,
    SYSTEM,
    Cluster,
    bare_control_plane,
    operators_access,
    platform,
    start_operator,
    wait_for_kinds,
    workspace,
)
from tests.integration.tenants import condition, edit, settled
from tests.integration.test_versions import NEWEST, STORED, in_version, kind
from tests.waiting import eventually

pytestmark = pytest.mark.slow
PAGE: Final = ROOT / "docs" / "versioning.md"
NOW: Final = {"aichatworkspaces": crd.workspace_crd(), "aichatplatforms": crd.platform_crd()}
LAST: Final = {kind: released_definition(RELEASED[-1], kind) for kind in KINDS}
SMALL: Final = {"name": "small", "resources": {"ollama": {"memoryLimit": "3Gi"}}}
RICH: Final[dict[str, Any]] = {
    "displayName": "Ours",
    "labels": {"purpose": "skew"},
    "models": ["gemma2:2b"],
    "patterns": ["explain_code"],
    "storage": {"ollama": {"size": "21Gi"}},
    "ollama": {"contextLength": 8192},
    "access": {"signUp": True},
}
LATER: Final = {
    "type": "object",
    "description": "What only a later release knows.",
    "properties": {"schedule": {"type": "string", "maxLength": 20, "description": "When."}},
}


def define(plane: Cluster, definitions: dict[str, Any]) -> None:
    """Apply definitions as people do, and wait until they are in force."""
    plane.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(definitions.values()))
    wait_for_kinds(plane)
    versions = [entry["name"] for entry in definitions[KINDS[0]]["spec"]["versions"]]

    def served() -> list[str]:
        group = json.loads(plane.kubectl("get", "--raw", f"/apis/{names.GROUP}"))
        return [entry["version"] for entry in group["versions"]]

    eventually(lambda: set(served()) == set(versions), f"{versions} are served")
    plane.kube.kinds.clear()


def later(*, stored: str = STORED) -> dict[str, Any]:
    """The definitions of a release after this one: a field, a phase and a condition more."""
    definitions: dict[str, Any] = deepcopy(NOW)
    for version in definitions["aichatworkspaces"]["spec"]["versions"]:
        properties = schema_of(version)["properties"]
        properties["spec"]["properties"]["backup"] = LATER
        status = properties["status"]["properties"]
        status["backup"] = LATER
        status["phase"]["enum"].append("BackingUp")
        status["conditions"]["items"]["properties"]["type"]["enum"].append("BackedUp")
    for definition in definitions.values():
        for version in definition["spec"]["versions"]:
            version["storage"] = version["name"] == stored
    return definitions


@pytest.fixture(scope="module")
def plane() -> Iterator[Cluster]:
    """The product on a control plane of its own, with the definitions of the last release."""
    with bare_control_plane(f"skew-{os.getpid()}") as plane:
        rendered = plane.kubectl("kustomize", str(ROOT / "config" / "default"))
        others = [
            manifest
            for manifest in yaml.safe_load_all(rendered)
            if manifest["kind"] != "CustomResourceDefinition"
        ]
        define(plane, LAST)
        plane.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(others))
        yield plane


@contextmanager
def operator(plane: Cluster, folder: Path, **environment: str) -> Iterator[Path]:
    """Its log, which has no traceback in the end."""
    folder.mkdir()
    log = folder / "log"
    kubeconfig = operators_access(plane, folder)
    process = start_operator(kubeconfig, log, ENV="dev", PROBE_PORT="0", **environment)
    try:
        yield log
    finally:
        process.terminate()
        process.wait(timeout=60)
    assert "Traceback" not in log.read_text()


def await_made(plane: Cluster, *workspaces: str) -> None:
    def are_made() -> bool:
        return all(condition(plane, name).get("status") == "True" for name in workspaces)

    def story() -> str:
        return plane.kubectl("get", "aiws", "-A", "-o", "wide", check=False)

    eventually(are_made, f"{', '.join(workspaces)} to be made", story=story)


def spec(plane: Cluster, name: str, version: str = STORED) -> Any:
    return plane.get(kind("aichatworkspaces", version), name, "-n", SYSTEM)["spec"]


def pods(plane: Cluster, name: str) -> dict[str, Any]:
    """What says whether chats and data are the same: pod templates, and the UIDs of all that has
    data."""
    workloads = plane.get("statefulset,deployment", "-n", name)["items"]
    data = plane.get("pvc,secret", "-n", name)["items"]
    data.append(plane.get("namespace", name))
    return {
        **{item["metadata"]["name"]: item["spec"]["template"] for item in workloads},
        **{f"{item['kind']} {item['metadata']['name']}": item["metadata"]["uid"] for item in data},
    }


def replicas(plane: Cluster, name: str) -> set[int]:
    items = plane.get("statefulset,deployment", "-n", name)["items"]
    return {item["spec"]["replicas"] for item in items}


def test_from_the_last_release_to_this_one_and_back_nothing_is_lost(
    plane: Cluster, tmp_path: Path
) -> None:
    """The definitions come first, then the operator; on the way back they may go, too, as the older
    ones have the version that is stored."""
    with operator(plane, tmp_path / "before"):  # this operator with the last release's definitions
        plane.kube.apply(workspace("rich", **RICH))
        plane.kube.apply(workspace("bare"))
        await_made(plane, "rich", "bare")
        specs = {name: spec(plane, name) for name in ("rich", "bare")}
        before = {name: pods(plane, name) for name in specs}
        define(plane, NOW)
        plane.kube.apply(workspace("in-between"))
        await_made(plane, "in-between")
    with operator(plane, tmp_path / "after"):
        for name, text in specs.items():
            assert spec(plane, name, NEWEST) == text
            settled(plane, name)
            assert pods(plane, name) == before[name], "no pod starts again, and all data are there"
        change = {"spec": {"suspended": True}}
        plane.kube.patch(kind("aichatworkspaces", NEWEST), "rich", SYSTEM, change)
        eventually(lambda: replicas(plane, "rich") == {0}, "what is written as v1beta1 is done")
        define(plane, LAST)
        assert spec(plane, "rich") == {**specs["rich"], "suspended": True}
        assert spec(plane, "bare") == specs["bare"]
        plane.kube.patch("aiws", "rich", SYSTEM, {"spec": {"suspended": False}})
        eventually(lambda: replicas(plane, "rich") == {1}, "it goes on with the older ones")
        settled(plane, "rich")
        assert pods(plane, "rich") == before["rich"]
        assert stored_versions(plane) == {STORED}


def stored_versions(plane: Cluster) -> set[str]:
    definitions = (plane.get("crd", f"{kind}.{names.GROUP}") for kind in KINDS)
    return {version for entry in definitions for version in entry["status"]["storedVersions"]}


def test_an_older_operator_and_api_keep_what_only_a_later_release_knows(
    plane: Cluster, tmp_path: Path
) -> None:
    define(plane, later())
    backup = {"schedule": "nightly"}
    name = "ahead"
    with operator(plane, tmp_path / "operator"):
        plane.kube.apply(in_version(workspace(name, backup=backup, **RICH), NEWEST))
        await_made(plane, name)
        _report_as_a_later_operator(plane, name, backup)
        with caller(plane, tmp_path) as calls:
            answer = calls.get(f"/api/v1/workspaces/{name}")
            assert answer.json()["spec"]["backup"] == backup
            change = {"spec": {"suspended": True}}
            assert calls.patch(f"/api/v1/workspaces/{name}", json=change).status_code == 202
            eventually(lambda: replicas(plane, name) == {0}, "it is suspended")
            _report_as_a_later_operator(plane, name, backup)
            assert calls.post(f"/api/v1/workspaces/{name}:resume").is_success
            eventually(lambda: replicas(plane, name) == {1}, "it is resumed")
            history = calls.get(f"/api/v1/workspaces/{name}/history").json()
            assert {"edit", "resume"} <= {entry["action"] for entry in history["items"]}
        settled(plane, name)
    stored = plane.get("aiws", name, "-n", SYSTEM)
    assert stored["spec"]["backup"] == backup
    assert stored["status"]["backup"] == backup, "which the other operator has written"
    assert stored["metadata"]["annotations"]["example.org/later"] == "a record"


def _report_as_a_later_operator(plane: Cluster, name: str, backup: Any) -> None:
    """A status with words that this one does not know, and a record in an annotation."""
    unknown = {
        "type": "BackedUp",
        "status": "True",
        "reason": "BackedUpNightly",
        "message": "all is saved",
        "lastTransitionTime": "2026-11-30T00:00:00Z",
        "observedGeneration": 1,
    }
    conditions = plane.get("aiws", name, "-n", SYSTEM)["status"]["conditions"]
    others = [entry for entry in conditions if entry["type"] != "BackedUp"]
    status = {"phase": "BackingUp", "backup": backup, "conditions": [*others, unknown]}
    plane.kube.patch("aiws", name, SYSTEM, {"status": status}, "status")
    marks = {"metadata": {"annotations": {"example.org/later": "a record"}}}
    plane.kube.patch("aiws", name, SYSTEM, marks)


@contextmanager
def caller(plane: Cluster, folder: Path) -> Iterator[httpx2.Client]:
    """Somebody who may do everything, with the API as a process."""
    for document in person("skewed"):
        plane.apply(document)
    token = plane.kubectl(*token_request("skewed")).strip()
    with (
        running_api(plane.kubeconfig, folder / "api-log") as address,
        httpx2.Client(
            base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=60
        ) as client,
    ):
        yield client


def holder(plane: Cluster) -> str:
    if not plane.kube.has("leases.coordination.k8s.io", OPERATOR, SYSTEM):
        return ""
    lease = plane.get("leases.coordination.k8s.io", OPERATOR, "-n", SYSTEM)
    return str(lease["spec"].get("holderIdentity") or "")


REPLICA: Final = (sys.executable, str(ROOT / "tests" / "faults" / "replica.py"))


@contextmanager
def replica(plane: Cluster, folder: Path, **environment: str) -> Iterator[Path]:
    """One of two that take turns with the lease: it leads or stands by, and ends by SIGTERM."""
    folder.mkdir()
    log = folder / "log"
    kubeconfig = operators_access(plane, folder)
    with log.open("w") as out:
        process = subprocess.Popen(
            REPLICA, env={**os.environ, "KUBECONFIG": str(kubeconfig), **environment}, stderr=out
        )
    try:
        eventually(
            lambda: any(word in log.read_text() for word in ('"leading"', '"standing by"')),
            "it stands for election",
            story=log.read_text,
        )
        yield log
    finally:
        process.terminate()
        process.wait(timeout=60)
    assert "Traceback" not in log.read_text()


def test_a_former_operator_that_leads_again_takes_no_field_away(
    plane: Cluster, tmp_path: Path
) -> None:
    """Both stand for election; the one that leads works with the other's resources and objects."""
    former = {"PYTHONPATH": str(former_source(tmp_path))}
    define(plane, NOW)
    name = "turns"
    plane.kube.apply(platform({"sizeClasses": [SMALL]}))
    with replica(plane, tmp_path / "new"):
        eventually(lambda: holder(plane), "the newer one leads")
        plane.kube.apply(in_version(workspace(name, className="small", **RICH), NEWEST))
        await_made(plane, name)
        written, before = spec(plane, name), pods(plane, name)
        first = holder(plane)
        with replica(plane, tmp_path / "former", **former):
            assert holder(plane) == first, "the one that leads goes on"
    with replica(plane, tmp_path / "again", **former):
        eventually(lambda: holder(plane) not in ("", first), "the former one leads")
        second = holder(plane)
        edit(plane, name, {**written, "suspended": True})
        eventually(lambda: replicas(plane, name) == {0}, "the former one does what it knows")
        settled(plane, name)
        assert spec(plane, name) == {**written, "suspended": True}
    with replica(plane, tmp_path / "newer"):
        eventually(lambda: holder(plane) not in ("", first, second), "the newer one leads again")
        edit(plane, name, written)
        eventually(lambda: replicas(plane, name) == {1}, "it goes on")
        settled(plane, name)
        assert spec(plane, name) == written
        assert plane.get("aichatplatform", "default")["spec"] == {"sizeClasses": [SMALL]}
        eventually(lambda: pods(plane, name) == before, "pods and data are as they were")


def test_what_is_stored_moves_to_the_version_that_the_next_release_stores(
    plane: Cluster, tmp_path: Path
) -> None:
    """The commands of docs/versioning.md, with definitions as a later release has them."""
    define(plane, NOW)
    plane.kube.apply(workspace("moving", **RICH))
    as_owner = ("apply", "--server-side", "--field-manager=gitops", "-f", "-")
    owned = in_version(workspace("owned", description="Ours."), STORED)
    plane.kubectl(*as_owner, stdin=json.dumps(owned))
    plane.kube.apply(platform({"ingress": {"domain": "kept.example.org"}}))
    specs = {name: spec(plane, name) for name in ("moving", "owned")}
    moves = [example for example in examples(PAGE) if example.mark == "storage"]
    environment = {**os.environ, "KUBECONFIG": str(plane.kubeconfig)}
    run(moves, environment, tmp_path, 120)
    assert stored_versions(plane) == {STORED}, "by this release nothing moves"
    define(plane, later(stored=NEWEST))
    refused = _drop(plane)
    assert "until a storage migration" in refused, "what is stored as it can't be read any more"
    eventually(lambda: stored_versions(plane) == {STORED, NEWEST}, "both may be stored")
    run(moves, environment, tmp_path, 120)
    assert stored_versions(plane) == {NEWEST}
    assert "configured" in _drop(plane)
    eventually(lambda: _serves_only_the_newest(plane), "the older one is gone")
    for name, text in specs.items():
        assert spec(plane, name, NEWEST) == text
    plane.kubectl(*as_owner, stdin=json.dumps(in_version(workspace("owned"), NEWEST)))
    assert spec(plane, "owned", NEWEST)["description"] == "", "the owner of a field still owns it"


def _drop(plane: Cluster) -> str:
    """What kubectl says of definitions without the older version."""
    definitions = later(stored=NEWEST)
    for definition in definitions.values():
        versions = definition["spec"]["versions"]
        versions[:] = [version for version in versions if version["name"] == NEWEST]
    text = yaml.safe_dump_all(definitions.values())
    return plane.kubectl("apply", "-f", "-", stdin=text, check=False)


def _serves_only_the_newest(plane: Cluster) -> bool:
    group = json.loads(plane.kubectl("get", "--raw", f"/apis/{names.GROUP}"))
    plane.kube.kinds.clear()
    return [entry["version"] for entry in group["versions"]] == [NEWEST]
