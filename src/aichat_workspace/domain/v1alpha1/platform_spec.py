"""AIChatPlatform: the platform team's settings for all workspaces.

It is a cluster-scoped resource named `default`, so that the API server itself refuses a bad edit.
Where there never was one, the defaults below apply. The last settings of a deleted one stay in
force (platform_settings).
"""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema
from pydantic.config import JsonDict

from aichat_workspace.domain import versions
from aichat_workspace.domain.models.name import (
    MODEL_NAME_MAX_LENGTH,
    MODEL_NAME_PATTERN,
    PORT_PATTERN,
)
from aichat_workspace.domain.v1alpha1.base import Schema, rule
from aichat_workspace.domain.v1alpha1.field_types import (
    ATOMIC,
    DNS_LABELS,
    LABEL,
    SET,
    ByteSize,
    DnsLabel,
    DnsName,
    Positive,
    Quantity,
)
from aichat_workspace.domain.v1alpha1.metadata_settings import NAMESPACES, ROUTES, Metadata
from aichat_workspace.domain.v1alpha1.network_settings import Dns, Proxy, TrustedAuthorities
from aichat_workspace.domain.v1alpha1.network_types import POD_LABELS, Cidr, PodLabels
from aichat_workspace.domain.v1alpha1.pod_settings import Pods
from aichat_workspace.domain.v1alpha1.size_class import (
    MAX_SIZE_CLASSES,
    SIZE_CLASS_RULES,
    SizeClass,
)

PLATFORM_NAME: Final = "default"
_DOCKER_HUB: Final = "docker.io"

_MAX_FAILURES_PATTERN: Final = r"^([0-9]{1,5}|(100|[1-9]?[0-9])%)$"
# Tools and platform teams write these, and none of them changes who is reached or what may run.
# Annotations of ingress controllers, cert-manager and external-dns change routes, and labels of
# Pod Security's enforcement, service meshes and network plugins change walls: they are not here.
FOREIGN_METADATA: Final = (
    "argocd.argoproj.io/*",
    "authz.management.cattle.io/*",
    "cattle.io/*",
    "cloud.google.com/neg",
    "cloud.google.com/neg-status",
    "field.cattle.io/*",
    "fleet.cattle.io/*",
    "ingress.kubernetes.io/backends",
    "ingress.kubernetes.io/forwarding-rule",
    "ingress.kubernetes.io/https-forwarding-rule",
    "ingress.kubernetes.io/https-target-proxy",
    "ingress.kubernetes.io/redirect-url-map",
    "ingress.kubernetes.io/ssl-cert",
    "ingress.kubernetes.io/static-ip",
    "ingress.kubernetes.io/target-proxy",
    "ingress.kubernetes.io/url-map",
    "kubectl.kubernetes.io/*",
    "kubernetes.io/change-cause",
    "kubernetes.io/description",
    "kubernetes.io/metadata.name",
    "kustomize.toolkit.fluxcd.io/*",
    "lifecycle.cattle.io/*",
    "management.cattle.io/*",
    "openshift.io/*",
    "pod-security.kubernetes.io/audit",
    "pod-security.kubernetes.io/audit-version",
    "pod-security.kubernetes.io/warn",
    "pod-security.kubernetes.io/warn-version",
    "velero.io/*",
)

Image = Annotated[
    str,
    StringConstraints(
        max_length=255,
        pattern=r"^[a-z0-9][a-zA-Z0-9./:_-]*(:[\w][\w.-]{0,127}|@sha256:[a-f0-9]{64})$",
    ),
    Field(
        json_schema_extra={
            "x-kubernetes-validations": [
                rule("!self.endsWith(':latest')", "name a version or a digest: latest moves")
            ]
        }
    ),
]
EmbeddingModel = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MODEL_NAME_MAX_LENGTH, pattern=MODEL_NAME_PATTERN),
]
Registry = Annotated[
    str,
    StringConstraints(min_length=1, max_length=259, pattern=f"^{DNS_LABELS}(:({PORT_PATTERN}))?$"),
]
# A name, all names with a prefix, or every name.
NamePattern = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=316, pattern=rf"^(\*|({DNS_LABELS}/)?{LABEL}|{DNS_LABELS}/\*)$"
    ),
]


def _repository(image: str) -> str:
    """Return an image's name in its registry, without the registry.

    A first part without a dot or a port that is not localhost is no registry but a part of a name
    on Docker Hub, where names of one part belong to library.
    https://github.com/distribution/reference/blob/main/normalize.go
    """
    first, slash, rest = image.partition("/")
    is_registry = bool(slash) and ("." in first or ":" in first or first == "localhost")
    registry, name = (first, rest) if is_registry else (_DOCKER_HUB, image)
    return f"library/{name}" if registry == _DOCKER_HUB and "/" not in name else name


class Images(Schema):
    """The images that workspaces run, pinned by tag or digest; never a moving tag."""

    mirror: Annotated[
        str, StringConstraints(max_length=200, pattern=r"^([a-z0-9][a-z0-9./:_-]*[a-z0-9])?$")
    ] = Field(
        default="",
        description="Registry and path that replace the images' own registries, as in "
        "mirror.example.org/upstream.",
    )

    ollama: Image = Field(
        default=f"docker.io/ollama/ollama:{versions.OLLAMA}",
        description="Ollama; 0.17.1 or newer (CVE-2026-7482).",
    )
    open_webui: Image = Field(
        default=f"ghcr.io/open-webui/open-webui:v{versions.OPEN_WEBUI}",
        alias="openWebUI",
        description="Open WebUI; 0.11.0 or newer (runs without root).",
    )

    @property
    def resolved(self) -> tuple[str, str]:
        """The model server's image and the chat front-end's, from the mirror where there is one."""
        return self._mirrored(self.ollama), self._mirrored(self.open_webui)

    def _mirrored(self, image: str) -> str:
        return f"{self.mirror}/{_repository(image)}" if self.mirror else image


CpuRequest = Annotated[Quantity, Field(description="CPU set aside.")]
CpuLimit = Annotated[Positive, Field(description="CPU it may use at most.")]
MemoryRequest = Annotated[Quantity, Field(description="Memory set aside.")]
MemoryLimit = Annotated[ByteSize, Field(description="Memory at which it is stopped.")]
Storage = Annotated[ByteSize, Field(description="Size of its volume.")]


class OllamaShare(Schema):
    """The model server's share. Weights live in memory, so memory bounds the models."""

    cpu_request: CpuRequest = "500m"
    cpu_limit: CpuLimit = "4"
    memory_request: MemoryRequest = "1Gi"
    memory_limit: MemoryLimit = "8Gi"
    storage: Storage = "20Gi"


class OpenWebUIShare(Schema):
    """The chat front-end's share."""

    cpu_request: CpuRequest = "100m"
    cpu_limit: CpuLimit = "2"
    memory_request: MemoryRequest = "512Mi"
    memory_limit: MemoryLimit = "2Gi"
    storage: Storage = "2Gi"


Share = OllamaShare | OpenWebUIShare


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
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    reserved_hosts: tuple[DnsName, ...] = Field(
        default=(),
        max_length=32,
        description="Hosts that no workspace may have: the API's own, when it is not "
        "workspaces.<domain>, and others that are taken.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
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
    any_source: bool = Field(
        default=False,
        description="Whoever reaches the cluster's network may reach Open WebUI, where they have "
        "to sign in. For controllers that no network policy can name, as Cilium's.",
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


class ModelSettings(Schema):
    """How models are downloaded."""

    concurrent_pulls: int = Field(
        default=4, ge=1, le=64, description="Downloads at the same time in the whole cluster."
    )
    embedding_model: EmbeddingModel = Field(
        default="nomic-embed-text",
        description="Model that reads uploaded documents in every workspace; none for no "
        "documents.",
    )
    allowed_registries: tuple[Registry, ...] = Field(
        default=(),
        max_length=32,
        description="Registries that teams' models may come from, as host or host:port; any when "
        "empty. Ollama's own is registry.ollama.ai.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    insecure_registries: tuple[Registry, ...] = Field(
        default=(),
        max_length=32,
        description="Registries that speak plain HTTP.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )


class Ceiling(Schema):
    """What one workspace may have at most, whatever it asks for."""

    cpu: Positive = Field(default="64", description="Sum of all CPU limits.")
    memory: ByteSize = Field(default="256Gi", description="Sum of all memory limits.")
    storage: ByteSize = Field(default="1Ti", description="Sum of all volumes.")
    gpus: int = Field(default=8, ge=0, le=1024, description="Graphics processors.")


_GPUS: Final = ("nvidia.com/gpu", "amd.com/gpu", "gpu.intel.com/i915", "gpu.intel.com/xe")
_SET: Final[JsonDict] = {"x-kubernetes-list-type": "set"}
_PATTERNS: Final = "Names, example.org/* for a prefix, or * for all."


class Allowed(Schema):
    """What the platform lets teams choose by name, and others add to a workspace's objects."""

    node_selector_keys: tuple[NamePattern, ...] = Field(
        default=(
            "kubernetes.io/arch",
            "kubernetes.io/os",
            "node.kubernetes.io/instance-type",
            "nvidia.com/gpu.product",
            "topology.kubernetes.io/region",
            "topology.kubernetes.io/zone",
        ),
        max_length=64,
        description="Node labels that spec.scheduling.nodeSelector of a workspace may name. "
        f"{_PATTERNS}",
        json_schema_extra=_SET,
    )
    toleration_keys: tuple[NamePattern, ...] = Field(
        default=_GPUS,
        max_length=64,
        description="Taints that spec.scheduling.tolerations of a workspace may name; one without "
        f"a key tolerates every taint and needs *. {_PATTERNS}",
        json_schema_extra=_SET,
    )
    gpu_resources: tuple[NamePattern, ...] = Field(
        default=_GPUS,
        max_length=64,
        description="Device plugins' resources that a workspace may ask for as graphics "
        f"processors. {_PATTERNS}",
        json_schema_extra=_SET,
    )
    storage_classes: tuple[NamePattern, ...] = Field(
        default=("*",),
        max_length=64,
        description="StorageClasses that a workspace may name, besides spec.storageClassName. "
        "Names, or * for all.",
        json_schema_extra=_SET,
    )
    ingress_classes: tuple[NamePattern, ...] = Field(
        default=(),
        max_length=64,
        description="IngressClasses that a workspace may name, besides spec.ingress.className. "
        "Names, or * for all.",
        json_schema_extra=_SET,
    )
    issuers: tuple[NamePattern, ...] = Field(
        default=(),
        max_length=64,
        description="ClusterIssuers that a workspace may name, besides spec.ingress.issuer; an "
        "Issuer in its own namespace always. Names, or * for all.",
        json_schema_extra=_SET,
    )
    foreign_metadata: tuple[NamePattern, ...] = Field(
        default=FOREIGN_METADATA,
        max_length=128,
        description="Annotations and labels that others may add to a workspace's namespace, "
        f"Services, Ingress and HTTPRoute; the operator removes all others. {_PATTERNS}",
        json_schema_extra=_SET,
    )


MaxFailures = Annotated[
    str,
    BeforeValidator(lambda value: str(value) if type(value) is int else value),
    StringConstraints(max_length=8, pattern=_MAX_FAILURES_PATTERN),
    # https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.36/#intorstring-intstr-util
    WithJsonSchema(
        {"x-kubernetes-int-or-string": True, "minimum": 0, "pattern": _MAX_FAILURES_PATTERN}
    ),
]


class Upgrades(Schema):
    """How a changed pod template reaches workspaces."""

    concurrent: int = Field(
        default=2, ge=1, le=64, description="Workspaces that change their pods at the same time."
    )
    max_failures: MaxFailures = Field(
        default="10%",
        description="Workspaces that may fail in their turn before the others keep their pods: a "
        "number, or a share of those whose turn has ended, as 10%, which is at least one.",
    )
    turn_deadline_seconds: int = Field(
        default=900,
        ge=10,
        le=86_400,
        description="A workspace that is not available after so many seconds gives its turn on.",
    )

    def tolerated_failures(self, ended: int) -> int:
        """Return how many of the workspaces whose turn has ended may have failed."""
        if not self.max_failures.endswith("%"):
            return int(self.max_failures)
        percent = int(self.max_failures[:-1])
        return max(1, -(-ended * percent // 100)) if percent else 0


class Deletion(Schema):
    """What becomes of a namespace whose resource is deleted or gone."""

    retain_all: bool = Field(
        default=False,
        description="Retain the namespace of every workspace that is deleted or expires, whatever "
        "its deletionPolicy says: the operator deletes no data.",
    )
    orphan_grace_hours: int = Field(
        default=24,
        ge=1,
        le=8760,
        description="How long a namespace whose resource is gone goes on, before its workloads are "
        "stopped and its host is free. It is never deleted.",
    )


class PlatformSpec(Schema):
    """Settings of the platform team."""

    images: Images = Field(default=Images(), description="The images workspaces run.")
    ollama: OllamaShare = Field(
        default=OllamaShare(), description="The model server's share in every workspace."
    )
    open_webui: OpenWebUIShare = Field(
        default=OpenWebUIShare(),
        alias="openWebUI",
        description="The chat front-end's share in every workspace.",
    )
    storage_class_name: DnsName | None = Field(
        default=None,
        description="StorageClass of the volumes; the cluster's default when left out.",
    )
    ingress: Ingress = Field(default=Ingress(), description="How people reach workspaces.")
    network: Network = Field(
        default=Network(), description="What the network policies let through."
    )
    proxy: Proxy | None = Field(
        default=None,
        description="The HTTP proxy through which Ollama and Open WebUI reach HTTPS servers. With "
        "it they reach nothing else outside but spec.network.egressAllow.",
    )
    trusted_authorities: TrustedAuthorities | None = Field(
        default=None,
        description="Certificate authorities that Ollama and Open WebUI trust besides the public "
        "ones.",
    )
    image_pull_secret_names: tuple[DnsName, ...] = Field(
        default=(),
        max_length=8,
        description="Secrets of the operator's namespace with the passwords of the images' "
        "registries, of type kubernetes.io/dockerconfigjson. Every workspace gets copies, which "
        "follow a change without a restart.",
        json_schema_extra=ATOMIC,
    )
    pods: Pods = Field(default=Pods(), description="Where pods run, and as whom.")
    namespace_metadata: Metadata = Field(
        default=Metadata(),
        description="What every workspace's namespace carries.",
        json_schema_extra=NAMESPACES,
    )
    models: ModelSettings = Field(default=ModelSettings(), description="How models are downloaded.")
    ceiling: Ceiling = Field(default=Ceiling(), description="What one workspace may have at most.")
    size_classes: tuple[SizeClass, ...] = Field(
        default=(),
        max_length=MAX_SIZE_CLASSES,
        description="Sizes that workspaces choose by name, with spec.className. What a workspace "
        "sets itself comes first, then its class, then spec.ollama and spec.openWebUI here.",
        json_schema_extra=SIZE_CLASS_RULES,
    )
    allowed: Allowed = Field(
        default=Allowed(),
        description="What teams may choose by name, and what others may add to their objects.",
    )
    upgrades: Upgrades = Field(default=Upgrades(), description="How changed pods reach workspaces.")
    deletion: Deletion = Field(
        default=Deletion(),
        description="What becomes of a namespace whose resource is deleted or gone.",
    )
