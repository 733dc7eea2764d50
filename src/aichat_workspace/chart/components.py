"""The values of the operator's and the API's pods, and of the ways to the API."""

from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, StringConstraints

from aichat_workspace.chart.value_types import (
    NOT_EMPTY,
    Cidr,
    Labels,
    OptionalName,
    Quantity,
    requires,
    variables,
)
from aichat_workspace.domain import names
from aichat_workspace.domain.v1alpha1.base import Schema
from aichat_workspace.domain.v1alpha1.field_types import DnsName
from aichat_workspace.domain.v1alpha1.network_settings import Ingress as PlatformIngress
from aichat_workspace.domain.v1alpha1.network_settings import IssuerKind

CERTIFICATE: Final = f"{names.API}-tls"
"""The Secret that cert-manager fills if no other is named."""
API_VARIABLES: Final = (
    *("API_TRUSTED_PROXIES", "PUBLIC_URL"),
    *("OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET", "OIDC_CLI_CLIENT_ID"),
    *("OIDC_SCOPE", "OIDC_CA_FILE"),
)
"""Variables of the API that have values of their own, so `api.env` may not set them."""


class Resources(Schema):
    """Requests and limits of a container."""

    requests: dict[str, Quantity] = Field(default={}, description="What is set aside for it.")
    limits: dict[str, Quantity] = Field(default={}, description="What it may use at most.")


class Component(Schema):
    """The pods of the operator or the API."""

    replicas: int = Field(
        default=2, ge=0, le=10, description="Pods; from two on, one stays when a node is drained."
    )
    resources: Resources = Field(description="Requests and limits.")
    pod_annotations: Labels = Field(default={}, description="Further annotations of the pods.")
    node_selector: Labels = Field(default={}, description="Labels that a pod's node must have.")
    tolerations: list[dict[str, Any]] = Field(
        default=[], description="Taints of nodes that the pods tolerate."
    )
    affinity: dict[str, Any] = Field(
        default={}, description="Rules for the pods' nodes, besides the spread over them."
    )
    priority_class_name: OptionalName = Field(
        default="", description="PriorityClass of the pods; the cluster's default when empty."
    )


class Operator(Component):
    """The operator."""

    resources: Resources = Field(
        default=Resources(
            requests={"cpu": "50m", "memory": "96Mi"},
            limits={"memory": "256Mi"},
        ),
        description="Requests and limits.",
    )
    env: Annotated[dict[str, str], variables({})] = Field(
        default={},
        description="Environment variables, as OTEL_EXPORTER_OTLP_ENDPOINT for traces.",
    )


class CertificateIssuer(Schema):
    """cert-manager's issuer of the API's certificate."""

    name: OptionalName = Field(default="", description="Its name; none when empty.")
    kind: IssuerKind = Field(
        default=IssuerKind.CLUSTER_ISSUER,
        description="ClusterIssuer, or an Issuer in the operator's namespace.",
    )


class Ingress(Schema):
    """The API's Ingress."""

    enabled: bool = Field(default=True, description="Serve the API by an Ingress.")
    class_name: OptionalName = Field(
        default="", description="IngressClass; the cluster's default class when empty."
    )
    annotations: Labels = Field(default={}, description="Further annotations.")
    secret_name: OptionalName = Field(
        default="",
        description="Secret with the certificate. When empty, the ingress controller serves its "
        f"own; with an issuer it is {CERTIFICATE}.",
    )
    issuer: CertificateIssuer = Field(
        default=CertificateIssuer(), description="cert-manager's issuer of the certificate."
    )


class Gateway(Schema):
    """The API's HTTPRoute."""

    model_config = ConfigDict(
        json_schema_extra=requires("enabled", {"name": NOT_EMPTY, "namespace": NOT_EMPTY})
    )

    enabled: bool = Field(default=False, description="Serve the API by an HTTPRoute.")
    name: OptionalName = Field(default="", description="The Gateway that it attaches to.")
    namespace: OptionalName = Field(default="", description="The Gateway's namespace.")
    section_name: OptionalName = Field(
        default="", description="The Gateway's listener; every listener that fits when empty."
    )


class Oidc(Schema):
    """The identity provider that browsers sign in with; the API server has to trust it, too."""

    model_config = ConfigDict(json_schema_extra=requires("issuer", {"clientId": NOT_EMPTY}))

    issuer: Annotated[str, StringConstraints(pattern=r"^(https://.+)?$")] = Field(
        default="", description="Its issuer URL; no sign-in by a provider when empty."
    )
    client_id: str = Field(default="", description="The client.")
    client_secret_name: OptionalName = Field(
        default="",
        description="Secret whose key client-secret has the client's secret; none for a public "
        "client.",
    )
    cli_client_id: str = Field(
        default="",
        description="The client of command lines, which has no secret; that of browsers when empty "
        "and clientSecretName is, too.",
    )
    scope: Annotated[str, StringConstraints(min_length=1)] = Field(
        default="openid email profile", description="The scopes that it is asked for."
    )
    ca_config_map_name: OptionalName = Field(
        default="",
        description="ConfigMap whose key ca.crt has further certificate authorities for it.",
    )


class Api(Component):
    """The HTTP API."""

    resources: Resources = Field(
        default=Resources(
            requests={"cpu": "50m", "memory": "128Mi"},
            limits={"memory": "384Mi"},
        ),
        description="Requests and limits.",
    )
    env: Annotated[dict[str, str], variables({"not": {"enum": [*API_VARIABLES]}})] = Field(
        default={},
        description="Environment variables, as API_BURST; not those that have a value here.",
    )
    host: DnsName = Field(
        default=f"{names.API_SUBDOMAIN}.{PlatformIngress().domain}",
        description="Its host. Unless it is workspaces.<domain>, reserve it in "
        "spec.ingress.reservedHosts of the AIChatPlatform.",
    )
    public_url: Annotated[str, StringConstraints(pattern=r"^(https?://[^/]+)?$")] = Field(
        default="",
        description="Where browsers reach it; with an identity provider and when empty, "
        "https://<host>.",
    )
    trusted_proxies: list[Cidr] = Field(
        default=["10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"],
        description="Networks of the ingress controllers, whose X-Forwarded-For is trusted.",
    )
    ingress: Ingress = Field(default=Ingress(), description="Its Ingress.")
    gateway: Gateway = Field(default=Gateway(), description="Its HTTPRoute (Gateway API).")
    oidc: Oidc = Field(
        default=Oidc(), description="The identity provider that browsers sign in with."
    )
