"""The running API answers as its OpenAPI document says, to good requests and bad ones."""

import functools
import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.integration.api.served import TEAMS, Person, Served, person
from tests.integration.conftest import Cluster

_CONFIGURATION = Path(__file__).parent / "schemathesis.toml"
_HOOKS: Final = "schemathesis_hooks"
# It computes all the time: minutes on a machine that is at work on other tests.
_SECONDS: Final = 900
pytestmark = pytest.mark.timeout(_SECONDS + 100)


@pytest.mark.slow
def test_generated_requests_get_documented_answers_and_never_an_error_of_ours(
    api: Served, boss: Person, tmp_path: Path
) -> None:
    report = _run(api, boss, tmp_path)
    went_on = _went_on(report)
    assert went_on.total() >= 1, went_on


def test_a_caller_without_rights_gets_documented_refusals_and_changes_nothing(
    api: Served, cluster: Cluster, boss: Person, tmp_path: Path
) -> None:
    eve = person(cluster, "eve")
    with api.client(boss.token) as client:
        body = {"spec": {"workspaceName": "not-eves"}}
        assert client.post("/api/v1/workspaces", json=body).status_code == 201
    before = _resources(cluster)
    # Nothing of hers leads on to more requests.
    report = _run(api, eve, tmp_path, "--phases=examples,coverage,fuzzing")
    allowed = {path for path, status in _answers(report) if _is_good(status)}
    allowed -= {path for path in allowed if path.startswith("/api/v1/me")}
    assert allowed <= {"/api/v1/session", "/api/v1/workspaces"}, allowed
    with api.client(eve.token) as client:
        assert client.get("/api/v1/workspaces").json()["items"] == []
    assert _resources(cluster) == before


def test_what_an_operation_would_ignore_is_refused_and_changes_nothing(
    cluster: Cluster, calls: httpx2.Client
) -> None:
    """As by a client that sends Kubernetes' own dry run, or a proxy that adds a parameter."""
    body = {"spec": {"workspaceName": "exact"}}
    assert calls.post("/api/v1/workspaces", json=body).status_code == 201
    before = _resources(cluster)
    names = {"{name}": "exact", "{workload}": "ollama", "{model}": "gemma2:2b"}
    names |= {"{pattern}": "explain_code", "{connection}": "example"}
    names |= {"{team}": TEAMS[0], "{kind}": "User", "{member}": "oidc:bob"}
    for path, methods in calls.get("/openapi.json").json()["paths"].items():
        address = functools.reduce(lambda text, pair: text.replace(*pair), names.items(), path)
        status = 400 if "/exact/v1/" in address else 422
        for method, operation in methods.items():
            takes_body = "requestBody" in operation
            ignored: list[tuple[str, Any]] = [] if takes_body else [(address, {"dryRun": ["All"]})]
            sent = {"spec": {"suspended": True}} if takes_body else None
            ignored.append((f"{address}?dryRun=true&dryRun=false", sent))
            for where, content in ignored:
                answer = calls.request(method, where, json=content, headers={"If-Match": "*"})
                assert answer.status_code == status, (method, where, answer.text)
    assert _resources(cluster) == before


def _run(api: Served, caller: Person, folder: Path, *options: str) -> Path:
    """Let schemathesis loose as a caller; return its report."""
    report = folder / "report.ndjson"
    ran = subprocess.run(
        [
            "schemathesis",
            f"--config-file={_CONFIGURATION}",
            "run",
            f"{api.url}/openapi.json",
            f"--header=Authorization: Bearer {caller.token}",
            f"--report-ndjson-path={report}",
            *options,
        ],
        cwd=folder,
        env={**os.environ, "SCHEMATHESIS_HOOKS": _HOOKS, "PYTHONPATH": str(_CONFIGURATION.parent)},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-20_000:]
    return report


def _resources(cluster: Cluster) -> dict[str, Any]:
    """Each workspace's spec, and whether it is being deleted."""
    return {
        f"{resource['metadata']['namespace']}/{resource['metadata']['name']}": (
            resource["spec"],
            resource["metadata"].get("deletionTimestamp"),
        )
        for resource in cluster.get("aiws", "-A")["items"]
    }


def _answers(report: Path) -> Iterator[tuple[str, int]]:
    """The path and status of each request."""
    for line in report.read_text().splitlines():
        recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
        for interaction in recorder.get("interactions", {}).values():
            path = urlsplit(interaction["request"]["uri"]).path
            yield path, (interaction.get("response") or {}).get("status_code", 0)


def _went_on(report: Path) -> Counter[str]:
    """Methods of the requests that followed a link from an answer to what it names, and did what
    they were to."""
    methods: Counter[str] = Counter()
    for line in report.read_text().splitlines():
        scenario = json.loads(line).get("ScenarioFinished", {})
        if scenario.get("phase") != "stateful":
            continue
        recorder = scenario["recorder"]
        answers = {
            name: _answer(interaction)
            for name, interaction in recorder.get("interactions", {}).items()
        }
        for name, case in recorder.get("cases", {}).items():
            _, before = answers.get(case.get("parent_id"), ("", 0))
            method, status = answers.get(name, ("", 0))
            if "transition" in case and _is_good(before) and _is_good(status):
                methods[method] += 1
    return methods


def _is_good(status: int) -> bool:
    return 200 <= status < 300


def _answer(interaction: dict[str, Any]) -> tuple[str, int]:
    response = interaction.get("response") or {}
    return interaction["request"]["method"], response.get("status_code", 0)
