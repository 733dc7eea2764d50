"""Checks of the cluster."""

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from aichat_workspace.cli.doctor import cluster_checks
from aichat_workspace.cli.doctor.finding import Severity
from aichat_workspace.cli.server.kubectl import Kubectl

DEFAULT = "storageclass.kubernetes.io/is-default-class"


def named(name: str, annotation: str = "", **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "annotations": {annotation: "true"}}, **more}


def kubectl(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Kubectl:
    """Return one that a script stands for."""
    program = folder / "kubectl"
    program.write_text(f'#!/bin/sh\ncase "$*" in\n{script}\nesac\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return Kubectl("lab")


@pytest.mark.parametrize(
    ("wished", "ready", "severity"),
    [(2, 2, Severity.GOOD), (2, 1, Severity.NOTE), (2, 0, Severity.PROBLEM), (0, 0, "problem")],
)
def test_a_deployment_is_good_when_all_pods_are_ready(
    wished: int, ready: int, severity: str
) -> None:
    document = {"spec": {"replicas": wished}, "status": {"readyReplicas": ready}}
    assert cluster_checks.replicas("AC502", "operator", document).severity == severity


@pytest.mark.parametrize(
    ("classes", "code", "severity"),
    [
        ([], "AC504", Severity.NOTE),
        ([named("slow")], "AC504", Severity.NOTE),
        ([named("fast", DEFAULT)], "AC505", Severity.NOTE),
        ([named("fast", DEFAULT, allowVolumeExpansion=True)], "AC504", Severity.GOOD),
    ],
)
def test_a_default_storage_class_should_be_there_and_grow(
    classes: list[dict[str, Any]], code: str, severity: Severity
) -> None:
    finding = cluster_checks.storage_class(classes)
    assert (finding.code, finding.severity) == (code, severity)


def test_an_ingress_class_should_be_there_and_the_default() -> None:
    default = named("traefik", "ingressclass.kubernetes.io/is-default-class")
    severities = [
        cluster_checks.ingress_class(classes).severity
        for classes in ([], [named("traefik")], [default])
    ]
    assert severities == [Severity.PROBLEM, Severity.NOTE, Severity.GOOD]


def test_a_whole_cluster_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [])
    deployment = json.dumps({"spec": {"replicas": 1}, "status": {"readyReplicas": 1}})
    script = f"""
*'--context lab'*crd*) echo '{{}}';;
*deployment*) echo '{deployment}';;
*) echo '{{"items": []}}';;
"""
    findings = [*cluster_checks.check(kubectl(tmp_path, monkeypatch, script))]
    severities = [(finding.code, str(finding.severity)) for finding in findings]
    assert severities == [
        ("AC501", "good"),
        ("AC502", "good"),
        ("AC503", "good"),
        ("AC504", "note"),
        ("AC506", "problem"),
        ("AC507", "problem"),
        ("AC509", "note"),
        ("AC509", "note"),
        ("AC510", "good"),
        ("AC510", "good"),
        ("AC508", "good"),
    ]


def test_before_installation_it_checks_what_the_defaults_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [])
    script = """
*crd*) echo 'Error from server (NotFound): no such crd' >&2; exit 1;;
*aichatplatforms*|*pods*|*deployment*) echo 'there is none' >&2; exit 1;;
*) echo '{"items": []}';;
"""
    first, second, *rest = cluster_checks.check(kubectl(tmp_path, monkeypatch, script))
    assert (first.code, first.severity) == ("AC501", Severity.PROBLEM)
    assert first.text.startswith("the kind AIChatWorkspace is not installed")
    assert (second.code, second.severity) == ("AC511", Severity.NOTE)
    assert "not checked: the operator" in second.text
    codes = [finding.code for finding in rest]
    assert codes == ["AC504", "AC506", "AC507", "AC509", "AC509", "AC510", "AC510"]


def test_a_cluster_without_an_answer_is_one_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "*) echo 'The connection was refused' >&2; exit 1;;"
    (finding,) = cluster_checks.check(kubectl(tmp_path, monkeypatch, script))
    assert (finding.code, finding.severity) == ("AC501", Severity.PROBLEM)
    assert finding.text.startswith("the cluster was not asked")
    assert finding.fix
