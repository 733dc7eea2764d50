"""What clusters' networks differ in: ways in, DNS, walls, a proxy and authorities."""

import re
from enum import StrEnum
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, StrictBool, StringConstraints, model_validator

from aichat_workspace.domain.v1alpha1.base import Schema, rule
from aichat_workspace.domain.v1alpha1.field_types import DNS_LABELS, SET, DnsLabel, DnsName
from aichat_workspace.domain.v1alpha1.metadata_settings import ROUTES, Metadata
from aichat_workspace.domain.v1alpha1.network_types import (
    IPV4,
    IPV6,
    POD_LABELS,
    Cidr,
    PodLabels,
    Port,
)

_PROXY_URL: Final = rf"^http://({DNS_LABELS}|\[{IPV6}\]):[0-9]{{1,5}}$"
_PROXY_ADDRESS: Final = rf"^http://({IPV4}|\[{IPV6}\]):[0-9]{{1,5}}$"
# httpx, which Open WebUI uses, does not start with a range of IPv6 in NO_PROXY.
_DIRECT: Final = rf"^(\.?{DNS_LABELS}|{IPV4}/(3[0-2]|[12]?[0-9])|{IPV6})$"

Namespaces = Annotated[tuple[DnsLabel, ...], Field(max_length=16, json_schema_extra=SET)]
Addresses = Annotated[tuple[Cidr, ...], Field(max_length=16, json_schema_extra=SET)]


class Peers(Schema):
    """Who is reached: pods, and addresses that are no pod's."""

    namespaces: Namespaces = Field(
        default=(), description="Namespaces of its pods, when it runs in the cluster."
    )
    pod_labels: PodLabels = Field(
        default={},
        max_length=8,
        description="Labels that its pods have; every pod of these namespaces when left out.",
        json_schema_extra=POD_LABELS,
    )
    addresses: Addresses = Field(default=(), description="Its addresses.")


class Dns(Peers):
    """Where the cluster's DNS is. Whatever is listed here may be asked for names, by every pod."""

    namespaces: Namespaces = Field(
        default=("kube-system", "openshift-dns"),
        min_length=1,
        description="Namespaces of its pods.",
    )
    addresses: Addresses = Field(
        default=("169.254.20.10/32", "169.254.169.254/32"),
        description="Addresses that answer on port 53 without being a pod's: DNS on the node, and "
        "Google's. The operator adds the addresses of its own resolv.conf, of which the cluster's "
        "DNS Service is one.",
    )
    ports: tuple[Port, ...] = Field(
        default=(53, 5353),
        min_length=1,
        max_length=8,
        description="Ports of its pods; OpenShift's listen on 5353.",
        json_schema_extra=SET,
    )


class IssuerKind(StrEnum):
    """The kinds of cert-manager's issuers."""

    ISSUER = "Issuer"
    CLUSTER_ISSUER = "ClusterIssuer"


class Issuer(Schema):
    """An issuer of cert-manager (https://cert-manager.io/docs/usage/ingress/)."""

    name: DnsName = Field(description="Its name.")
    kind: IssuerKind = Field(
        default=IssuerKind.CLUSTER_ISSUER,
        description="ClusterIssuer, or an Issuer in the workspace's own namespace.",
    )


class Profile(StrEnum):
    """The ingress controller whose annotations allow long replies and large documents."""

    TRAEFIK = "Traefik"
    NGINX = "NGINX"
    HAPROXY = "HAProxy"


class Gateway(Schema):
    """The Gateway that HTTPRoutes attach to (https://gateway-api.sigs.k8s.io/)."""

    name: DnsName = Field(description="Its name.")
    namespace: DnsLabel = Field(description="Its namespace.")
    section_name: DnsName | None = Field(
        default=None, description="Its listener; every listener that fits when left out."
    )


class Ingress(Schema):
    """How people reach workspaces."""

    domain: Annotated[
        str, StringConstraints(min_length=1, max_length=190, pattern=f"^{DNS_LABELS}$")
    ] = Field(
        default="localtest.me",
        description="Workspaces are served at <workspaceName>.<domain>.",
    )
    class_name: DnsName | None = Field(
        default=None, description="IngressClass; the cluster's default class when left out."
    )
    allowed_domains: tuple[DnsName, ...] = Field(
        default=(),
        max_length=32,
        description="Further domains under which a workspace may name its own host.",
        json_schema_extra=SET,
    )
    reserved_hosts: tuple[DnsName, ...] = Field(
        default=(),
        max_length=32,
        description="Hosts that no workspace may have: the API's own, when it is not "
        "workspaces.<domain>, and others that are taken.",
        json_schema_extra=SET,
    )
    profile: Profile = Field(
        default=Profile.TRAEFIK,
        description="The controller whose annotations keep long answers flowing: Traefik (needs "
        "none), NGINX or HAProxy.",
    )
    issuer: Issuer | None = Field(
        default=None,
        description="cert-manager's issuer of every workspace's certificate; TLS is on with it.",
    )
    default_certificate: bool = Field(
        default=False,
        description="Serve workspaces by TLS with the ingress controller's own certificate.",
    )
    gateway: Gateway | None = Field(
        default=None, description="Make HTTPRoutes for this Gateway instead of Ingresses."
    )
    port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="Port people use when it is not 80, or 443 with TLS.",
    )
    controller_namespaces: tuple[DnsLabel, ...] = Field(
        default=(
            "traefik",
            "ingress-nginx",
            "haproxy-controller",
            "kube-system",
            "openshift-ingress",
            "envoy-gateway-system",
            "istio-ingress",
            "istio-system",
            "nginx-gateway",
            "projectcontour",
            "kong",
        ),
        min_length=1,
        max_length=16,
        description="Namespaces whose pods may reach Open WebUI: the ingress controller's.",
        json_schema_extra=SET,
    )
    controller_pod_labels: PodLabels = Field(
        default={},
        max_length=8,
        description="Labels that the ingress controller's pods have; every pod of these namespaces "
        "when left out.",
        json_schema_extra=POD_LABELS,
    )
    source_ranges: tuple[Cidr, ...] = Field(
        default=(),
        max_length=64,
        description="Addresses that may reach Open WebUI without being a pod's: the nodes' for a "
        "controller on the host's network, the subnets of a cloud's load balancer for one that "
        "sends to pods.",
        json_schema_extra=SET,
    )
    any_source: StrictBool = Field(
        default=False,
        description="Everyone on the cluster's network may reach Open WebUI, where they have "
        "to sign in. For controllers that no network policy can name, as Cilium's. "
        "controllerNamespaces, controllerPodLabels and sourceRanges are then not needed.",
    )
    metadata: Metadata = Field(
        default=Metadata(),
        description="What every Ingress or HTTPRoute carries.",
        json_schema_extra=ROUTES,
    )


IPV6_EXCEPTED: Final = ("2002::/16", "64:ff9b:1::/48", "fc00::/7", "fe80::/10", "fec0::/10")
"""Private and reserved ranges, and those that stand for IPv4's in ways of their own."""


class IpFamily(StrEnum):
    """A family of addresses."""

    IPV4 = "IPv4"
    IPV6 = "IPv6"


class Network(Schema):
    """What the network policies let through, besides the ways in."""

    egress_except: tuple[Cidr, ...] = Field(
        default=(
            "10.0.0.0/8",
            "100.64.0.0/10",
            "168.63.129.16/32",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "240.0.0.0/4",
            *IPV6_EXCEPTED,
        ),
        max_length=64,
        description="Ranges that workspaces may not reach: pods, services, nodes, the "
        "API server and the clouds' metadata addresses. The defaults are the private and reserved "
        "ranges, some of which clusters use for pods, and Azure's 168.63.129.16. A list without a "
        "range of IPv6 has IPv6's defaults besides. Public addresses of nodes and of the API "
        "server, and nodes' ranges of pods, are excepted without being listed.",
        json_schema_extra=SET,
    )
    egress_allow: tuple[Cidr, ...] = Field(
        default=(),
        max_length=64,
        description="Ranges that workspaces may reach although they are excepted, as a "
        "private registry's 10.1.2.3/32; directly, where there is a proxy.",
        json_schema_extra=SET,
    )
    dns: Dns = Field(default=Dns(), description="Where the cluster's DNS is.")
    ip_family: IpFamily | None = Field(
        default=None,
        description="The family of pods' first address, on which chats listen: IPv4, or IPv6; that "
        "of the nodes when left out.",
    )


class Proxy(Peers):
    """The HTTP proxy through which workspaces reach what is outside."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                rule(
                    "has(self.addresses) && self.addresses.size() > 0 || has(self.namespaces) && "
                    f"self.namespaces.size() > 0 || self.url.matches(r'{_PROXY_ADDRESS}')",
                    "a network policy can't name a host: write the proxy's addresses, or the "
                    "namespaces of its pods",
                )
            ]
        }
    )

    url: Annotated[str, StringConstraints(max_length=280)] = Field(
        description="As http://proxy.example.org:3128. It is asked to CONNECT to HTTPS servers.",
        json_schema_extra={
            "x-kubernetes-validations": [
                rule(
                    f"self.matches(r'{_PROXY_URL}')",
                    "write http://, the proxy's host and its port, as in "
                    "http://proxy.example.org:3128, and no user or password",
                )
            ]
        },
    )
    addresses: Addresses = Field(
        default=(),
        description="Its addresses; needed when the URL has a name and it runs outside the "
        "cluster.",
    )
    no_proxy: tuple[Annotated[str, StringConstraints(max_length=253)], ...] = Field(
        default=(),
        max_length=64,
        description="Further hosts that are reached directly: names with all below them, IPv4 "
        "addresses or ranges, or IPv6 addresses. Loopback, the workspace's own Services, "
        "*.svc, *.cluster.local, the private IPv4 ranges and spec.network.egressAllow always are.",
        json_schema_extra={
            **SET,
            "x-kubernetes-validations": [
                rule(
                    f"self.all(host, host.matches(r'{_DIRECT}'))",
                    "write names, IPv4 addresses or ranges, or IPv6 addresses; Open WebUI does not "
                    "start with a range of IPv6 here",
                )
            ],
        },
    )

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 80

    @property
    def ranges(self) -> tuple[str, ...]:
        """The ranges of its addresses; that of the URL where none are listed."""
        host = urlsplit(self.url).hostname or ""
        if self.addresses or not re.fullmatch(_PROXY_ADDRESS, self.url):
            return self.addresses
        return (f"{host}/{128 if ':' in host else 32}",)

    @model_validator(mode="after")
    def _is_usable(self) -> Self:
        """Check what the API server checks, for settings that an older CRD has let through."""
        if not re.fullmatch(_PROXY_URL, self.url) or not 0 < _port(self.url) <= 65535:
            raise ValueError("write the URL as http://proxy.example.org:3128")
        if not (self.ranges or self.namespaces):
            raise ValueError("write the proxy's addresses, or the namespaces of its pods")
        if wrong := [host for host in self.no_proxy if not re.fullmatch(_DIRECT, host)]:
            raise ValueError(f"noProxy has {', '.join(wrong)}: write names, or IPv4 ranges")
        return self


class TrustedAuthorities(Schema):
    """Certificate authorities that workspaces trust besides the public ones."""

    config_map_name: DnsName = Field(
        description="ConfigMap of the operator's namespace with their certificates."
    )
    key: Annotated[str, StringConstraints(max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")] = Field(
        default="ca.crt", description="The key that has them, as PEM."
    )


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])
