"""The installation's files agree with one another and with the code."""

import json
import re
import tomllib
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from aichat_workspace import version_stamps
from aichat_workspace.api.auth.sessions.shared_sessions import PREFIX
from aichat_workspace.api.schemas.teams import ACCOUNT_PREFIX, MAX_TOKEN_SECONDS, RESERVED_PREFIX
from aichat_workspace.api.settings import AUDIENCE, Settings
from aichat_workspace.api.teams import members
from aichat_workspace.api.teams.roles import CLUSTER_ROLES
from aichat_workspace.api.workspaces.cluster_view import ClusterView
from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.domain.render.components import OLLAMA_PORT, OPENWEBUI_PORT
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.kube.client import Client
from deploy import history, lock
from localcluster.node.netpol.evaluate import is_allowed
from localcluster.node.netpol.state import Pod, State, read_policy

BREAK_GLASS = "aichatworkspaces:break-glass"
CONFIG = Path(__file__).parents[2] / "config"


_TEAM_ROLES = tuple(CLUSTER_ROLES.values())


def documents(path: str) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all((CONFIG / path).read_text()) if document]


def the(kind: str, path: str) -> Any:
    (document,) = (candidate for candidate in documents(path) if candidate["kind"] == kind)
    return document


def grants(role: dict[str, Any]) -> set[tuple[str, str]]:
    """Each verb and the resource it is for."""
    return {
        (verb, resource)
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def project_version() -> str:
    text = (CONFIG.parent / "pyproject.toml").read_text()
    version: str = tomllib.loads(text)["project"]["version"]
    return version


@pytest.mark.parametrize("path", version_stamps.FILES, ids=str)
def test_every_file_that_names_a_version_of_the_image_names_the_projects(path: Path) -> None:
    pattern = r"(?:aichat-workspace-operator:|newTag: *|\btag: *)v?(\d[\w.]*)"
    assert {*re.findall(pattern, (CONFIG.parent / path).read_text())} == {project_version()}


def test_no_other_file_that_people_read_names_a_version_of_the_image() -> None:
    """Scripts and pages read it from elsewhere, or `make generate` writes it."""
    pattern = re.compile(r"(?:aichat-workspace-operator:|newTag: *|version=)v\d+\.\d+\.\d+")
    pages = (CONFIG.parent / "docs").rglob("*.md")
    scripts = (path for path in (CONFIG.parent / "hack").iterdir() if path.is_file())
    files = {CONFIG.parent / "Containerfile", *pages, *scripts}
    others = files - {CONFIG.parent / path for path in version_stamps.FILES}
    assert [path.name for path in sorted(others) if pattern.search(path.read_text())] == []


def test_the_openapi_document_is_of_the_projects_version() -> None:
    document = json.loads((CONFIG.parent / "docs" / "openapi.json").read_text())
    assert document["info"]["version"] == project_version()


@pytest.mark.parametrize("path", ["rbac/role.yaml", "api/role.yaml", "rbac/user_roles.yaml"])
def test_no_rule_has_a_wildcard_or_a_verb_that_grants_more(path: str) -> None:
    rules = [rule for document in documents(path) for rule in document.get("rules", ())]
    assert rules
    for rule in rules:
        assert "*" not in (*rule["apiGroups"], *rule["resources"], *rule["verbs"])
        assert not {"escalate", "impersonate"} & set(rule["verbs"])
        assert "bind" not in rule["verbs"] or set(rule["resourceNames"]) == set(_TEAM_ROLES)


def test_every_kind_that_is_kept_may_be_listed_watched_and_written() -> None:
    granted = {
        (group, resource): set(rule["verbs"])
        for role in documents("rbac/role.yaml")
        if role["kind"] == "ClusterRole"
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    for kind in kinds.WATCHED_TENANT_KINDS:
        verbs = granted.pop((kind.group, kind.plural))
        assert verbs == {"list", "watch", "create", "patch", "delete"}
    assert granted.pop(("", "pods")) == {"list", "watch", "delete"}
    assert granted.pop(("", "secrets")) == {"create", "patch", "delete"}


def test_the_admission_policy_names_the_service_account_that_the_deployment_runs_as() -> None:
    (account,) = documents("rbac/service_account.yaml")
    (deployment,) = (
        document
        for document in documents("manager/manager.yaml")
        if document["kind"] == "Deployment"
    )
    metadata = account["metadata"]
    assert deployment["spec"]["template"]["spec"]["serviceAccountName"] == metadata["name"]
    username = f"system:serviceaccount:{metadata['namespace']}:{metadata['name']}"
    policy = (CONFIG / "admission" / "confine_operator.yaml").read_text()
    assert f"'{username}'" in policy
    assert names.OWNER_UID_ANNOTATION in policy
    assert metadata["namespace"] == names.SYSTEM_NAMESPACE


@pytest.mark.parametrize(
    ("path", "needed"),
    [
        (
            "confine_operator.yaml",
            [
                *(names.ADOPT_ANNOTATION, names.RETAINED_ANNOTATION, names.FINALIZER),
                *(names.TEAM_LABEL, names.SETTINGS_RECORD, names.API_SESSION),
            ],
        ),
        (
            "confine_api.yaml",
            [PREFIX, f"system:serviceaccount:{names.SYSTEM_NAMESPACE}:{names.API}"],
        ),
        ("protect_finalizer.yaml", [names.FINALIZER, BREAK_GLASS]),
        (
            "protect_installation.yaml",
            [names.SYSTEM_NAMESPACE, f"{kinds.WORKSPACE.plural}.{names.GROUP}"],
        ),
    ],
)
def test_the_admission_policies_name_what_the_code_uses(path: str, needed: list[str]) -> None:
    policy = (CONFIG / "admission" / path).read_text()
    assert [name for name in needed if f"'{name}'" not in policy] == []
    assert path in (CONFIG / "admission" / "kustomization.yaml").read_text()


def test_the_operator_and_the_api_write_of_their_namespaces_secrets_and_leases_only_their_own() -> (
    None
):
    """The record of deployments is applied with the deployer's rights."""
    confinement = the("ValidatingAdmissionPolicy", "admission/confine_operator.yaml")
    (rule,) = (
        validation["expression"]
        for validation in confinement["spec"]["validations"]
        if "variables.inSystem && (" in validation["expression"]
    )
    suffix = names.credentials("")
    assert (
        "variables.kind == '/secrets' ? "
        f"request.name.endsWith('{suffix}') || request.name == '{names.API_SESSION}' : "
        f"variables.kind == 'coordination.k8s.io/leases' ? request.name == '{names.OPERATOR}' :"
    ) in rule
    assert not history.SECRET.endswith(suffix)
    assert not lock.LEASE.startswith(PREFIX)
    api = grants(the("Role", "api/role.yaml")) | grants(the("ClusterRole", "api/role.yaml"))
    assert {verb for verb, resource in api if resource == "secrets"} == {"get"}


def test_nobody_but_who_breaks_the_glass_is_bound_to_that_role() -> None:
    documents_of_people = documents("rbac/user_roles.yaml")
    (binding,) = (role for role in documents_of_people if role["kind"] == "ClusterRoleBinding")
    assert [subject["name"] for subject in binding["subjects"]] == [BREAK_GLASS]
    (role,) = (
        role
        for role in documents_of_people
        if role["kind"] == "ClusterRole" and role["metadata"]["name"] == binding["roleRef"]["name"]
    )
    assert not any(label.startswith("rbac.") for label in role["metadata"]["labels"])


def test_the_page_for_teams_names_the_labels_and_the_count_that_hold() -> None:
    page = (CONFIG.parent / "docs" / "teams.md").read_text()
    counted = f"count/{kinds.WORKSPACE.plural}.{names.GROUP}"
    annotations = (names.SECRET_FOR_ANNOTATION, names.REFRESH_MODELS_ANNOTATION)
    for name in (names.TEAM_LABEL, names.PATTERNS_LABEL, *annotations, counted):
        assert name in page


@pytest.mark.parametrize(
    ("path", "name"), [("manager/manager.yaml", names.OPERATOR), ("api/api.yaml", names.API)]
)
def test_workspaces_network_policies_let_our_pods_in(path: str, name: str) -> None:
    deployment = the("Deployment", path)
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert labels["app.kubernetes.io/name"] == name


def test_the_api_reads_secrets_one_by_one_and_only_in_the_system_namespace() -> None:
    everywhere, system = the("ClusterRole", "api/role.yaml"), the("Role", "api/role.yaml")
    assert not any("secrets" in resource for _, resource in grants(everywhere))
    assert {verb for verb, resource in grants(system) if resource == "secrets"} == {"get"}
    assert system["metadata"]["namespace"] == names.SYSTEM_NAMESPACE


def test_the_api_may_read_what_it_watches_and_what_there_is_to_choose() -> None:
    granted = grants(the("ClusterRole", "api/role.yaml"))
    view = ClusterView(cast("Client", None), {})
    watched = {cache.resource.plural for cache in view._caches if cache._namespace is None}
    assert {"aichatworkspaces", "resourcequotas", "persistentvolumeclaims"} <= watched
    assert {(verb, plural) for verb in ("list", "watch") for plural in watched} <= granted
    assert {("list", kind.plural) for kind in kinds.DEFAULT_CLASS_ANNOTATIONS} <= granted


def test_the_api_writes_nothing_but_workspaces_people_reviews_and_its_sessions() -> None:
    roles = (the("ClusterRole", "api/role.yaml"), the("Role", "api/role.yaml"))
    written = {
        resource
        for role in roles
        for verb, resource in grants(role)
        if verb not in {"get", "list", "watch"}
    }
    reviews = {"tokenreviews", "subjectaccessreviews"}
    people = {"rolebindings", "clusterroles", "serviceaccounts", "serviceaccounts/token"}
    pause = {"aichatplatforms"}  # its annotation only: confine_api.yaml
    assert written == {"aichatworkspaces", "leases"} | pause | reviews | people
    assert {verb for verb, resource in grants(roles[0]) if resource == "clusterroles"} == {
        "get",
        "bind",
    }


def test_each_role_of_a_team_has_all_that_the_one_before_has_and_no_more_than_workspaces() -> None:
    roles = {role["metadata"]["name"]: role for role in documents("rbac/user_roles.yaml")}
    viewer, editor, admin = (grants(roles[name]) for name in _TEAM_ROLES)
    assert {grant for grant in viewer if not grant[1].endswith("/status")} < editor
    assert editor < admin
    assert {resource.partition("/")[0] for _, resource in admin} == {"aichatworkspaces"}


def test_the_apis_policy_knows_the_names_labels_and_bounds_of_its_code() -> None:
    policy = json.dumps(
        next(
            document
            for document in documents("admission/confine_api.yaml")
            if document["metadata"]["name"] == "aichat-workspace-api-people"
        )
    )
    prefixes = (members.PREFIX, ACCOUNT_PREFIX, RESERVED_PREFIX, *names.RESERVED_PREFIXES)
    for text in (*_TEAM_ROLES, *prefixes, names.API, AUDIENCE, names.SYSTEM_NAMESPACE):
        assert f"'{text}'" in policy
    assert f"<= {MAX_TOKEN_SECONDS})" in policy


def test_the_api_runs_under_the_account_that_its_roles_are_bound_to() -> None:
    account = the("ServiceAccount", "api/service_account.yaml")["metadata"]
    deployment = the("Deployment", "api/api.yaml")
    assert deployment["spec"]["template"]["spec"]["serviceAccountName"] == account["name"]
    for kind in ("ClusterRoleBinding", "RoleBinding"):
        (subject,) = the(kind, "api/role.yaml")["subjects"]
        assert (subject["name"], subject["namespace"]) == (account["name"], account["namespace"])


def test_the_apis_ports_are_those_that_its_code_listens_on() -> None:
    settings = Settings.read({}, in_cluster=True)
    (container,) = the("Deployment", "api/api.yaml")["spec"]["template"]["spec"]["containers"]
    ports = {entry["name"]: entry["containerPort"] for entry in container["ports"]}
    assert ports == {"http": settings.port, "probes": settings.probe_port}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] == "probes"
    rules = the("NetworkPolicy", "api/network_policy.yaml")["spec"]["ingress"]
    assert [[entry["port"] for entry in rule["ports"]] for rule in rules] == [[8090], [8091]]


def test_only_the_apis_own_port_is_behind_its_service() -> None:
    """Whatever leads to the Service (Ingress, HTTPRoute, LoadBalancer) shows no metrics."""
    targets = {
        service["metadata"]["name"]: [port["targetPort"] for port in service["spec"]["ports"]]
        for service in documents("api/api.yaml")
        if service["kind"] == "Service"
    }
    assert targets == {"aichat-workspace-api": ["http"], "aichat-workspace-api-metrics": ["probes"]}


def test_the_trusted_proxies_are_private_networks() -> None:
    (container,) = the("Deployment", "api/api.yaml")["spec"]["template"]["spec"]["containers"]
    environment = {variable["name"]: variable["value"] for variable in container["env"]}
    proxies = Settings.read(environment, in_cluster=True).proxies
    assert any(IPv4Address("10.244.0.1") in network for network in proxies)
    shared = IPv4Network("100.64.0.0/10")
    assert all(network.is_private or network == shared for network in proxies)


@pytest.mark.parametrize("path", ["manager/manager.yaml", "api/api.yaml"])
def test_one_of_two_replicas_stays_when_a_node_is_drained(path: str) -> None:
    deployment, budget = (the(kind, path) for kind in ("Deployment", "PodDisruptionBudget"))
    assert deployment["spec"]["replicas"] == 2
    assert budget["spec"].get("minAvailable") == 1
    assert "maxUnavailable" not in budget["spec"]
    assert budget["metadata"]["namespace"] == deployment["metadata"]["namespace"]
    selected = budget["spec"]["selector"]
    assert selected == deployment["spec"]["selector"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert selected["matchLabels"].items() <= labels.items()
    assert selected["matchLabels"]


def test_neither_budget_counts_the_others_pods() -> None:
    operators, apis = (
        the("PodDisruptionBudget", path)["spec"]["selector"]["matchLabels"]
        for path in ("manager/manager.yaml", "api/api.yaml")
    )
    labels = the("Deployment", "api/api.yaml")["spec"]["template"]["metadata"]["labels"]
    assert not operators.items() <= labels.items()
    labels = the("Deployment", "manager/manager.yaml")["spec"]["template"]["metadata"]["labels"]
    assert not apis.items() <= labels.items()


def test_the_demos_user_has_roles_that_read_no_secret() -> None:
    demo = (CONFIG.parent / "hack" / "demo").read_text()
    bound = set(re.findall(r"aichatworkspace-\w+", demo)) - {"aichatworkspace-team"}
    assert bound == {"aichatworkspace-admin"}
    assert not re.search(r"clusterrole[= ](admin|edit|cluster-admin)\b", demo)
    roles = {role["metadata"]["name"]: role for role in documents("rbac/user_roles.yaml")}
    assert not any("secrets" in what for role in bound for _, what in grants(roles[role]))


@pytest.mark.parametrize("path", ["manager/network_policy.yaml", "api/network_policy.yaml"])
def test_our_pods_may_open_connections_to_model_servers(path: str) -> None:
    policy = the("NetworkPolicy", path)
    ports = {port["port"]: rule for rule in policy["spec"]["egress"] for port in rule["ports"]}
    (peer,) = ports[OLLAMA_PORT]["to"]
    assert peer["namespaceSelector"]["matchLabels"] == {names.MANAGED_BY_LABEL: names.OPERATOR}


def test_the_operators_and_the_apis_pods_may_open_connections_to_chats() -> None:
    may = [
        any(
            port["port"] == OPENWEBUI_PORT
            for rule in the("NetworkPolicy", path)["spec"]["egress"]
            for port in rule["ports"]
        )
        for path in ("manager/network_policy.yaml", "api/network_policy.yaml")
    ]
    assert may == [True, True]


@pytest.mark.parametrize("path", ["manager/network_policy.yaml", "api/network_policy.yaml"])
@pytest.mark.parametrize(
    ("place", "address", "port"),
    [
        ("kubeadm", "10.0.0.1", 53),
        ("OpenShift", "10.0.0.2", 5353),
        ("DNS on the node", "169.254.20.10", 53),
        ("Google's", "169.254.169.254", 53),
    ],
)
def test_our_own_pods_ask_the_same_dns_as_workspaces(
    path: str, place: str, address: str, port: int
) -> None:
    policy = the("NetworkPolicy", path)
    labels = policy["spec"]["podSelector"]["matchLabels"]
    places = {names.SYSTEM_NAMESPACE, "kube-system", "openshift-dns"}
    state = State(
        pods=(
            Pod(names.SYSTEM_NAMESPACE, "ours", "10.0.9.1", labels),
            Pod("kube-system", "dns", "10.0.0.1", {}),
            Pod("openshift-dns", "dns", "10.0.0.2", {}),
        ),
        namespaces={name: {"kubernetes.io/metadata.name": name} for name in places},
        policies=(read_policy(policy),),
    )
    for protocol in ("UDP", "TCP"):
        assert is_allowed("10.0.9.1", address, port, protocol, state), place
    assert not is_allowed("10.0.9.1", address, 80, "TCP", state)


def test_a_network_policy_holds_for_each_of_our_deployments() -> None:
    for deployment, policy in (
        ("manager/manager.yaml", "manager/network_policy.yaml"),
        ("api/api.yaml", "api/network_policy.yaml"),
    ):
        spec = the("NetworkPolicy", policy)["spec"]
        labels = the("Deployment", deployment)["spec"]["template"]["metadata"]["labels"]
        assert spec["podSelector"]["matchLabels"].items() <= labels.items()
        assert spec["policyTypes"] == ["Ingress", "Egress"]


def test_no_workspace_can_have_the_apis_host() -> None:
    (rule,) = the("Ingress", "api/ingress.yaml")["spec"]["rules"]
    label, _, domain = rule["host"].partition(".")
    assert label in names.RESERVED_NAMES
    assert domain == PlatformSpec().ingress.domain


def test_probes_and_metrics_are_not_served_to_the_outside() -> None:
    (rule,) = the("Ingress", "api/ingress.yaml")["spec"]["rules"]
    pages = {"/", "/login", "/logout", "/new", "/models", "/platform", "/teams", "/workspaces"}
    console = pages | {"/assets"}
    assert {match["path"] for match in rule["http"]["paths"]} == {"/api", "/openapi.json", *console}


def test_only_an_admin_is_shown_credentials_and_a_viewer_changes_nothing() -> None:
    roles = documents("rbac/user_roles.yaml")
    prefix = "rbac.authorization.k8s.io/aggregate-to-"

    def granted_to(audience: str) -> set[tuple[str, str]]:
        own = [role for role in roles if f"{prefix}{audience}" in role["metadata"]["labels"]]
        return set().union(*map(grants, own))

    credentials = ("get", "aichatworkspaces/credentials")
    assert granted_to("admin") - granted_to("edit") == {credentials}
    assert {("get", "aichatworkspaces/log"), ("create", "aichatworkspaces/prompt")} <= (
        granted_to("edit")
    )
    assert {verb for verb, _ in granted_to("view")} == {"get", "list", "watch"}
    assert {resource for _, resource in granted_to("view")} == {
        "aichatworkspaces",
        "aichatworkspaces/status",
    }
