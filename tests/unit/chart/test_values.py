"""The chart's values: what the schema refuses, and the defaults beside config/'s."""

from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import pytest
import yaml

from aichat_workspace.api.settings import Settings
from aichat_workspace.chart.components import API_VARIABLES
from aichat_workspace.chart.values import DnsServers
from aichat_workspace.chart.values_files import defaults, schema, table, values_yaml
from aichat_workspace.domain import names
from aichat_workspace.domain.v1alpha1.network_settings import Dns, Ingress

CONFIG: Final = Path(__file__).parents[3] / "config"
OIDC: Final = {"issuer": "https://id.example.org", "clientId": "aichat"}


def problems(values: dict[str, Any]) -> list[str]:
    errors = jsonschema_rs.iter_errors(schema(), values)
    return ["".join(["$", *map(step, error.instance_path)]) for error in errors]


def step(part: str | int) -> str:
    return f"[{part}]" if isinstance(part, int) else f".{part}"


def test_the_schema_is_one_and_takes_the_defaults() -> None:
    jsonschema_rs.meta.validate(schema())
    assert problems(defaults()) == []
    assert yaml.safe_load(values_yaml()) == defaults()


@pytest.mark.parametrize(
    "values",
    [
        {"global": {"imageRegistry": "registry.example.org"}},
        {"image": {"repository": "registry.example.org:5000/platform/operator", "tag": "v1"}},
        {"image": {"digest": f"sha256:{'0' * 64}"}},
        {"operator": {"env": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}}},
        {"api": {"env": {"API_BURST": 400}}},
        {"api": {"resources": {"limits": {"cpu": 1, "memory": "1Gi"}}}},
        {"api": {"oidc": OIDC}},
        {"api": {"gateway": {"enabled": True, "name": "public", "namespace": "gateways"}}},
        {"networkPolicies": {"sourceRanges": ["fd00::/64"], "dns": {"podLabels": {"a": "b"}}}},
        {"operator": {"tolerations": [{"key": "system", "operator": "Exists"}]}},
    ],
    ids=lambda values: str(values)[:40],
)
def test_what_people_set_is_taken(values: dict[str, Any]) -> None:
    assert problems(values) == []


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"operater": {}}, "$"),
        ({"api": {"replica": 3}}, "$.api"),
        ({"api": {"ingress": {"clasName": "nginx"}}}, "$.api.ingress"),
        ({"crds": {"install": "false"}}, "$.crds.install"),
        ({"api": {"replicas": 11}}, "$.api.replicas"),
        ({"operator": {"replicas": -1}}, "$.operator.replicas"),
        ({"image": {"repository": "operator:v1"}}, "$.image.repository"),
        ({"image": {"digest": "v1"}}, "$.image.digest"),
        ({"image": {"pullPolicy": "always"}}, "$.image.pullPolicy"),
        ({"imagePullSecrets": ["registry"]}, "$.imagePullSecrets[0]"),
        ({"api": {"host": "https://ai.example.org"}}, "$.api.host"),
        ({"api": {"publicUrl": "ai.example.org"}}, "$.api.publicUrl"),
        ({"api": {"resources": {"limits": {"memory": "1 GiB"}}}}, "$.api.resources.limits.memory"),
        ({"api": {"trustedProxies": ["10.0.0.1"]}}, "$.api.trustedProxies[0]"),
        ({"api": {"env": {"api-burst": "1"}}}, "$.api.env"),
        ({"api": {"env": {"PUBLIC_URL": "https://ai.example.org"}}}, "$.api.env"),
        ({"api": {"oidc": {**OIDC, "issuer": "http://id.example.org"}}}, "$.api.oidc.issuer"),
        ({"api": {"oidc": {**OIDC, "clientId": ""}}}, "$.api.oidc.clientId"),
        ({"api": {"gateway": {"enabled": True, "name": ""}}}, "$.api.gateway.name"),
        ({"networkPolicies": {"apiServerPorts": [0]}}, "$.networkPolicies.apiServerPorts[0]"),
        ({"networkPolicies": {"apiServerPorts": []}}, "$.networkPolicies.apiServerPorts"),
        ({"networkPolicies": {"ingressNamespaces": []}}, "$.networkPolicies.ingressNamespaces"),
        ({"networkPolicies": {"dns": {"namespaces": []}}}, "$.networkPolicies.dns.namespaces"),
        ({"networkPolicies": {"sourceRanges": ["all"]}}, "$.networkPolicies.sourceRanges[0]"),
    ],
    ids=lambda part: str(part)[:40],
)
def test_what_cannot_be_is_refused_where_it_is(values: dict[str, Any], place: str) -> None:
    assert problems(values) == [place]


def test_the_variables_that_have_values_are_the_apis() -> None:
    environment = {
        "API_TRUSTED_PROXIES": "10.0.0.0/8",
        "PUBLIC_URL": "https://ai.example.org",
        "OIDC_ISSUER": "https://id.example.org",
        "OIDC_CLIENT_ID": "aichat",
        "OIDC_CLIENT_SECRET": "secret",
        "OIDC_CLI_CLIENT_ID": "aichatctl",
        "OIDC_SCOPE": "openid",
        "OIDC_CA_FILE": "/etc/oidc/ca.crt",
    }
    assert environment.keys() == {*API_VARIABLES}
    settings = Settings.read(environment, in_cluster=True)
    assert settings.oidc
    assert settings.oidc.ca_file == "/etc/oidc/ca.crt"
    assert settings.oidc.cli_client_id == "aichatctl"


def _containers() -> dict[str, Any]:
    texts = [(CONFIG / path).read_text() for path in ("manager/manager.yaml", "api/api.yaml")]
    deployments = [
        manifest
        for text in texts
        for manifest in yaml.safe_load_all(text)
        if manifest["kind"] == "Deployment"
    ]
    return {deployment["metadata"]["name"]: deployment["spec"] for deployment in deployments}


@pytest.mark.parametrize(("component", "name"), [("operator", names.OPERATOR), ("api", names.API)])
def test_defaults_of_pods_are_those_of_the_kustomization(component: str, name: str) -> None:
    spec = _containers()[name]
    (container,) = spec["template"]["spec"]["containers"]
    values = defaults()
    assert values[component]["replicas"] == spec["replicas"]
    assert values[component]["resources"] == container["resources"]
    assert values["image"]["pullPolicy"] == container["imagePullPolicy"]
    assert values["image"]["repository"] == container["image"]


def test_the_other_defaults_are_those_of_the_kustomization() -> None:
    values = defaults()
    (container,) = _containers()[names.API]["template"]["spec"]["containers"]
    (proxies,) = container["env"]
    assert ",".join(values["api"]["trustedProxies"]) == proxies["value"]
    ingress = yaml.safe_load((CONFIG / "api" / "ingress.yaml").read_text())
    assert values["api"]["host"] == ingress["spec"]["rules"][0]["host"]
    policies = values["networkPolicies"]
    policy = yaml.safe_load((CONFIG / "api" / "network_policy.yaml").read_text())["spec"]
    expressions = [
        rule["from"][0]["namespaceSelector"]["matchExpressions"][0] for rule in policy["ingress"]
    ]
    assert [expression["values"] for expression in expressions] == [
        policies["ingressNamespaces"],
        policies["monitoringNamespaces"],
    ]
    ports = [port["port"] for port in policy["egress"][1]["ports"]]
    assert policies["apiServerPorts"] == ports
    pods, *blocks = policy["egress"][0]["to"]
    (expression,) = pods["namespaceSelector"]["matchExpressions"]
    assert policies["dns"] == {
        "namespaces": expression["values"],
        "podLabels": {},
        "addresses": [block["ipBlock"]["cidr"] for block in blocks],
        "ports": list(dict.fromkeys(port["port"] for port in policy["egress"][0]["ports"])),
    }


def test_the_operators_and_the_apis_walls_have_the_defaults_of_workspaces_walls() -> None:
    policies = defaults()["networkPolicies"]
    dns, ingress = Dns(), Ingress()
    assert policies["dns"]["namespaces"] == [*dns.namespaces]
    for model in (Dns, DnsServers):
        bounds = model.model_json_schema()["properties"]["namespaces"]
        assert (bounds["minItems"], bounds["maxItems"]) == (1, 16), model
    assert policies["dns"]["addresses"] == [*dns.addresses]
    assert policies["dns"]["ports"] == [*dns.ports]
    assert policies["ingressNamespaces"] == [*ingress.controller_namespaces]
    assert policies["sourceRanges"] == [*ingress.source_ranges]
    assert policies["anySource"] is ingress.any_source


def test_the_table_has_a_row_for_each_value_with_its_meaning() -> None:
    rows = [line.split(" | ") for line in table()[2:]]
    assert {row[0].strip("| `") for row in rows} == {*_leaves(defaults(), "")}
    assert all(len(row) == 4 and row[3].endswith(". |") for row in rows)


def _leaves(values: dict[str, Any], prefix: str) -> set[str]:
    maps = {
        "env",
        "requests",
        "limits",
        "labels",
        "affinity",
        "nodeSelector",
        "annotations",
        "podLabels",
    }
    paths = set()
    for key, value in values.items():
        if isinstance(value, dict) and key not in {*maps, "podAnnotations", "ingressPodLabels"}:
            paths |= _leaves(value, f"{prefix}{key}.")
        else:
            paths.add(f"{prefix}{key}")
    return paths
