"""The chart's values. From this model come values.yaml, its schema and the table of values."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from aichat_workspace.chart.components import Api, Operator
from aichat_workspace.chart.value_types import Cidr, Labels, Port
from aichat_workspace.domain import names
from aichat_workspace.domain.v1alpha1.base import Schema
from aichat_workspace.domain.v1alpha1.field_types import DnsLabel, DnsName
from aichat_workspace.domain.v1alpha1.network_settings import Dns
from aichat_workspace.domain.v1alpha1.network_settings import Ingress as PlatformIngress
from aichat_workspace.domain.v1alpha1.pod_settings import RunAs


class PullPolicy(StrEnum):
    """When a node pulls the image."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


class Image(Schema):
    """The image of the operator and the API."""

    repository: Annotated[
        str,
        StringConstraints(
            max_length=255, pattern=r"^([a-z0-9.-]+(:[0-9]+)?/)?[a-z0-9._-]+(/[a-z0-9._-]+)*$"
        ),
    ] = Field(
        default=names.OPERATOR,
        description=f"Registry and name, as registry.example.org/platform/{names.OPERATOR}.",
    )
    tag: Annotated[
        str, StringConstraints(max_length=128, pattern=r"^([A-Za-z0-9_][A-Za-z0-9._-]*)?$")
    ] = Field(default="", description="Its tag; v and the chart's appVersion when empty.")
    digest: Annotated[str, StringConstraints(pattern=r"^(sha256:[0-9a-f]{64})?$")] = Field(
        default="", description="Its digest, which replaces the tag."
    )
    pull_policy: PullPolicy = Field(
        default=PullPolicy.IF_NOT_PRESENT, description="When a node pulls it."
    )


class PullSecret(Schema):
    """A Secret with a registry's password."""

    name: DnsName = Field(description="The Secret's name in the operator's namespace.")


class Crds(Schema):
    """The CustomResourceDefinitions."""

    install: bool = Field(
        default=True,
        description="Install and upgrade them with the chart. They stay when it is uninstalled, "
        "and so do all workspaces.",
    )


class DnsServers(Schema):
    """Where the cluster's DNS is."""

    namespaces: list[DnsLabel] = Field(
        default=[*Dns().namespaces],
        min_length=1,
        max_length=16,
        description="Namespaces of its pods.",
    )
    pod_labels: Labels = Field(
        default={}, description="Labels that its pods have; every pod there when empty."
    )
    addresses: list[Cidr] = Field(
        default=[*Dns().addresses],
        description="Addresses that answer without being a pod's. Add that of the cluster's DNS "
        "Service where the network plugin compares it.",
    )
    ports: list[Port] = Field(
        default=[*Dns().ports], min_length=1, description="Its ports; OpenShift's pods have 5353."
    )


class NetworkPolicies(Schema):
    """The network policies of the operator and the API."""

    enabled: bool = Field(default=True, description="Install them.")
    ingress_namespaces: list[DnsLabel] = Field(
        default=[*PlatformIngress().controller_namespaces],
        min_length=1,
        description="Namespaces whose pods may reach the API: the ingress controller's.",
    )
    ingress_pod_labels: Labels = Field(
        default={},
        description="Labels that the ingress controller's pods have; every pod of these namespaces "
        "when empty.",
    )
    source_ranges: list[Cidr] = Field(
        default=[],
        description="Addresses that may reach the API without being a pod's: the nodes' for a "
        "controller on the host's network, the subnets of a load balancer that sends to pods.",
    )
    any_source: bool = Field(
        default=False,
        description="Everyone on the cluster's network may reach the API, where they have to sign "
        "in. For controllers that no network policy can name, as Cilium's. The other ways are then "
        "not needed.",
    )
    dns: DnsServers = Field(
        default=DnsServers(),
        description="Where the cluster's DNS is, for the operator and the API.",
    )
    monitoring_namespaces: list[DnsLabel] = Field(
        default=["monitoring"],
        min_length=1,
        description="Namespaces whose pods may read metrics: Prometheus'.",
    )
    api_server_ports: list[Port] = Field(
        default=[443, 6443],
        min_length=1,
        description="Ports of the API server; 443 is the identity provider's, too. minikube: 8443.",
    )
    egress_ports: list[Port] = Field(
        default=[],
        description="Further ports that the operator and the API may reach, as 4318 of a trace "
        "collector.",
    )


class ServiceMonitors(Schema):
    """The ServiceMonitors of the operator and the API."""

    enabled: bool = Field(default=False, description="Install them; needs the Prometheus operator.")
    interval: Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]*(ms|s|m|h)$")] = Field(
        default="30s", description="How often metrics are read."
    )
    labels: Labels = Field(
        default={}, description="Labels by which your Prometheus selects them, as release."
    )


class PrometheusRules(Schema):
    """The alerts."""

    enabled: bool = Field(default=False, description="Install it; needs the Prometheus operator.")
    labels: Labels = Field(
        default={}, description="Labels by which your Prometheus selects it, as release."
    )


class Dashboard(Schema):
    """The dashboard, in a ConfigMap."""

    enabled: bool = Field(default=False, description="Install it.")
    labels: Labels = Field(
        default={"grafana_dashboard": "1"},
        description="Labels by which Grafana's sidecar finds it.",
    )


class Monitoring(Schema):
    """What Prometheus and Grafana need."""

    service_monitors: ServiceMonitors = Field(
        default=ServiceMonitors(), description="ServiceMonitors of the operator and the API."
    )
    prometheus_rules: PrometheusRules = Field(
        default=PrometheusRules(), description="PrometheusRule with the alerts."
    )
    dashboard: Dashboard = Field(
        default=Dashboard(), description="ConfigMap with the Grafana dashboard."
    )


class SmokeTest(Schema):
    """What `helm test` does."""

    model: Annotated[str, StringConstraints(min_length=1, max_length=128)] = Field(
        default="smollm2:135m",
        description="The model that the test's workspace downloads and is asked; a small one.",
    )


class Values(Schema):
    """All values of the chart."""

    image: Image = Field(default=Image(), description="The image of the operator and the API.")
    image_pull_secrets: list[PullSecret] = Field(
        default=[], description="Secrets with the registry's password."
    )
    run_as: RunAs = Field(
        default=RunAs.FIXED,
        description="Fixed: the pods run as user 65532. Cluster: they name no user and group, and "
        "admission has to give them some, as OpenShift does; see spec.pods.runAs of the "
        "AIChatPlatform for those of workspaces.",
    )
    crds: Crds = Field(default=Crds(), description="The CustomResourceDefinitions.")
    operator: Operator = Field(default=Operator(), description="The operator.")
    api: Api = Field(default=Api(), description="The HTTP API.")
    network_policies: NetworkPolicies = Field(
        default=NetworkPolicies(), description="Network policies of the operator and the API."
    )
    monitoring: Monitoring = Field(
        default=Monitoring(), description="What Prometheus and Grafana need."
    )
    smoke_test: SmokeTest = Field(
        default=SmokeTest(),
        description="`helm test` creates a workspace, asks its model and deletes it.",
    )
