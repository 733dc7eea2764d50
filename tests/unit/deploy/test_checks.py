import re
from pathlib import Path
from typing import Any

import pytest

from aichat_workspace.domain import names
from deploy.checks import LABEL, check_cluster
from deploy.errors import RefusedError
from tests.unit.deploy.cluster import ENVIRONMENT, FakeKubectl, release


def cluster(**labels: str) -> FakeKubectl:
    kubectl = FakeKubectl()
    namespace = {"metadata": {"name": names.SYSTEM_NAMESPACE, "labels": labels}}
    kubectl.objects["namespace", names.SYSTEM_NAMESPACE] = namespace
    return kubectl


def refusal(kubectl: FakeKubectl) -> str:
    with pytest.raises(RefusedError) as error:
        check_cluster(kubectl, ENVIRONMENT)
    assert {call[0] for call in kubectl.calls} == {"get"}
    return str(error.value)


def test_a_cluster_that_is_marked_as_the_environment_is_taken() -> None:
    check_cluster(cluster(**{LABEL: "staging"}), ENVIRONMENT)


def test_a_cluster_without_the_operators_namespace_is_refused_with_the_commands() -> None:
    text = refusal(FakeKubectl())
    assert "is not prepared for staging" in text
    assert f"kubectl --context here create namespace {names.SYSTEM_NAMESPACE}\n" in text
    assert text.endswith(f"label namespace {names.SYSTEM_NAMESPACE} {LABEL}=staging")


def test_a_cluster_that_is_not_marked_is_refused() -> None:
    assert "is not marked as staging" in refusal(cluster())


def test_a_cluster_that_is_another_environment_is_refused() -> None:
    text = refusal(cluster(**{LABEL: "production"}))
    assert "is marked as production, and ENV is staging" in text
    assert "--overwrite" not in text, "no command turns one environment into another"


def test_a_cluster_that_helm_has_installed_is_refused() -> None:
    kubectl = cluster(**{LABEL: "staging"})
    kubectl.apply(release("v1").others)
    kubectl.calls.clear()
    stored: Any = kubectl.objects["deployment", names.OPERATOR]
    stored["metadata"]["annotations"] = {"meta.helm.sh/release-name": "aichat"}
    assert refusal(kubectl).startswith("Helm has installed the operator here, as aichat")


def test_the_pages_that_errors_name_have_these_headings() -> None:
    docs = Path(__file__).parents[3] / "docs"
    assert re.search(r"^## With Helm$", (docs / "deploying.md").read_text(), re.MULTILINE)
    assert re.search(r"^## Downgrade$", (docs / "versioning.md").read_text(), re.MULTILINE)
