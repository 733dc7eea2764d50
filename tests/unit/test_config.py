"""The installation's files agree with one another and with the code."""

from pathlib import Path
from typing import Any

import yaml

from aichat_workspace.domain import names, watched

CONFIG = Path(__file__).parents[2] / "config"


def documents(path: str) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all((CONFIG / path).read_text()) if each]


def rules() -> list[dict[str, Any]]:
    return [rule for each in documents("rbac/role.yaml") for rule in each.get("rules", ())]


def test_no_rule_has_a_wildcard_or_a_verb_that_grants_more() -> None:
    for rule in rules():
        assert "*" not in (*rule["apiGroups"], *rule["resources"], *rule["verbs"])
        assert not {"escalate", "bind", "impersonate"} & set(rule["verbs"])


def test_every_kind_that_is_kept_may_be_listed_watched_and_written() -> None:
    granted = {
        (group, resource): set(rule["verbs"])
        for each in documents("rbac/role.yaml")
        if each["kind"] == "ClusterRole"
        for rule in each["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    for kind in watched.WATCHED_TENANT_KINDS:
        verbs = granted.pop((kind.group, kind.plural))
        assert verbs == {"list", "watch", "create", "patch", "delete"}
    assert granted.pop(("", "pods")) == {"list", "watch", "delete"}
    assert granted.pop(("", "secrets")) == {"create", "patch", "delete"}


def test_the_admission_policy_names_the_service_account_that_the_deployment_runs_as() -> None:
    (account,) = documents("rbac/service_account.yaml")
    (deployment,) = (
        each for each in documents("manager/manager.yaml") if each["kind"] == "Deployment"
    )
    metadata = account["metadata"]
    assert deployment["spec"]["template"]["spec"]["serviceAccountName"] == metadata["name"]
    username = f"system:serviceaccount:{metadata['namespace']}:{metadata['name']}"
    policy = (CONFIG / "admission" / "confine_operator.yaml").read_text()
    assert f"'{username}'" in policy
    assert names.OWNER_UID_ANNOTATION in policy
    assert metadata["namespace"] == names.SYSTEM_NAMESPACE


def test_the_page_for_teams_names_the_labels_and_the_count_that_hold() -> None:
    page = (CONFIG.parent / "docs" / "teams.md").read_text()
    counted = f"count/{watched.WORKSPACE.plural}.{names.GROUP}"
    for name in (names.TEAM_LABEL, names.PATTERNS_LABEL, names.SECRET_FOR_ANNOTATION, counted):
        assert name in page


def test_workspaces_network_policies_let_the_operators_pods_in() -> None:
    (deployment,) = (
        each for each in documents("manager/manager.yaml") if each["kind"] == "Deployment"
    )
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert labels["app.kubernetes.io/name"] == names.OPERATOR
