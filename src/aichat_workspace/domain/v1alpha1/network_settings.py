"""What clusters' networks differ in: DNS, a proxy, authorities of its own."""

import re
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from aichat_workspace.domain.v1alpha1.base import Schema, rule
from aichat_workspace.domain.v1alpha1.field_types import DNS_LABELS, SET, DnsLabel, DnsName
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


class Dns(Schema):
    """Where the cluster's DNS is. Whatever is listed here may be asked for names, by every pod."""

    namespaces: tuple[DnsLabel, ...] = Field(
        default=("kube-system", "openshift-dns"),
        max_length=16,
        description="Namespaces of its pods.",
        json_schema_extra=SET,
    )
    pod_labels: PodLabels = Field(
        default={},
        max_length=8,
        description="Labels that its pods have; every pod of these namespaces when left out.",
        json_schema_extra=POD_LABELS,
    )
    addresses: tuple[Cidr, ...] = Field(
        default=("169.254.20.10/32", "169.254.169.254/32"),
        max_length=16,
        description="Addresses that answer on port 53 without being a pod's: DNS on the node, and "
        "Google's. The operator adds the addresses of its own resolv.conf, of which the cluster's "
        "DNS Service is one.",
        json_schema_extra=SET,
    )
    ports: tuple[Port, ...] = Field(
        default=(53, 5353),
        min_length=1,
        max_length=8,
        description="Ports of its pods; OpenShift's listen on 5353.",
        json_schema_extra=SET,
    )


class Proxy(Schema):
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
    addresses: tuple[Cidr, ...] = Field(
        default=(),
        max_length=16,
        description="Its addresses; needed when the URL has a name and it runs outside the "
        "cluster.",
        json_schema_extra=SET,
    )
    namespaces: tuple[DnsLabel, ...] = Field(
        default=(),
        max_length=16,
        description="Namespaces of its pods, when it runs in the cluster.",
        json_schema_extra=SET,
    )
    pod_labels: PodLabels = Field(
        default={},
        max_length=8,
        description="Labels that its pods have; every pod of these namespaces when left out.",
        json_schema_extra=POD_LABELS,
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
