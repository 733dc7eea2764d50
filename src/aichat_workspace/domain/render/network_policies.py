"""Render the network policies, which let through only what the chat needs.

https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

from typing import Any, Final
from urllib.parse import urlsplit

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.models.name import parse_model
from aichat_workspace.domain.policy import effective_spec, sign_in
from aichat_workspace.domain.render import peers
from aichat_workspace.domain.render.components import (
    BACKUP,
    OLLAMA,
    OLLAMA_PORT,
    OPENWEBUI,
    OPENWEBUI_PORT,
    TENANCY,
)
from aichat_workspace.domain.render.context import Tenant
from aichat_workspace.domain.v1alpha1.backup import S3Store

_HTTPS: Final = 443
_SOLVER: Final = {"acme.cert-manager.io/http01-solver": "true"}
_SOLVER_PORT: Final = 8089


def render(tenant: Tenant) -> tuple[Manifest, ...]:
    """Render one policy for all pods and one for each workload, and those of what not every tenant
    has. Policies add up: each allows more, and none takes away."""
    return (
        _default_deny(tenant),
        _ollama(tenant),
        _openwebui(tenant),
        *_back_ends(tenant),
        *_certificate_solver(tenant),
        *_backup(tenant),
    )


def _default_deny(tenant: Tenant) -> Manifest:
    """Let no pod do anything but resolve names, not even a pod that is not ours."""
    egress = peers.dns(tenant.platform.network.dns)
    return _policy(tenant, f"{tenant.name}-default-deny", {}, ingress=[], egress=egress)


def _ollama(tenant: Tenant) -> Manifest:
    """Let the chat in, the operator, which manages models, and the API, which forwards prompts;
    and the server to the registries of models."""
    clients = [peers.pods(tenant.selector(OPENWEBUI)), *_system_pods(names.OPERATOR, names.API)]
    return _policy(
        tenant,
        tenant.ollama,
        tenant.selector(OLLAMA),
        ingress=[peers.rule("from", clients, OLLAMA_PORT)],
        egress=peers.outside(tenant.platform, *_registry_ports(tenant)),
    )


def _openwebui(tenant: Tenant) -> Manifest:
    """Let people in, the operator, which writes the entries of models that can call tools, and the
    API, which makes accounts; and the chat to its model server."""
    return _policy(
        tenant,
        tenant.openwebui,
        tenant.selector(OPENWEBUI),
        ingress=[
            peers.from_clients(tenant.platform.ingress, OPENWEBUI_PORT),
            peers.rule("from", _system_pods(names.OPERATOR, names.API), OPENWEBUI_PORT),
        ],
        egress=[peers.rule("to", [peers.pods(tenant.selector(OLLAMA))], OLLAMA_PORT)],
    )


def _back_ends(tenant: Tenant) -> tuple[Manifest, ...]:
    """Let the chat reach its identity provider and connections, outside the cluster.

    In a policy of its own, which nothing deletes while the chat is blocked: a chat that stays as it
    is keeps its ways, although the spec no longer names them, or names them in a field that this
    version does not understand.
    """
    oidc = sign_in.provider(tenant.spec, tenant.platform)
    urls = [connection.url for connection in tenant.spec.connections]
    if oidc:
        urls.append(oidc.provider_url)
    if not urls:
        return ()
    ports = sorted({urlsplit(url).port or _HTTPS for url in urls})
    egress = peers.outside(tenant.platform, *ports)
    selector = tenant.selector(OPENWEBUI)
    return (_policy(tenant, f"{tenant.name}-back-ends", selector, egress=egress),)


def _certificate_solver(tenant: Tenant) -> tuple[Manifest, ...]:
    """Let the ingress controller reach the pod with which cert-manager proves the host.

    https://cert-manager.io/docs/configuration/acme/http01/
    """
    if tenant.issuer is None:
        return ()
    rule = peers.from_clients(tenant.platform.ingress, _SOLVER_PORT)
    return (_policy(tenant, f"{tenant.name}-certificate-solver", _SOLVER, ingress=[rule]),)


def _backup(tenant: Tenant) -> tuple[Manifest, ...]:
    """Let runs of the backup program reach their buckets, and nothing else."""
    stores = tenant.backups.stores if tenant.backups else ()
    if not stores:
        return ()
    egress = [rule for store in stores for rule in _ways_to(tenant, store)]
    name, selector = names.backup(tenant.name), tenant.selector(BACKUP)
    return (_policy(tenant, name, selector, egress=egress),)


def _ways_to(tenant: Tenant, store: S3Store) -> list[dict[str, Any]]:
    if not store.is_direct:
        return peers.outside(tenant.platform, store.port)
    by_pods = peers.pods_of(store.namespaces, store.pod_labels)
    by_address = peers.blocks(store.ranges)
    return [
        *([peers.rule("to", by_pods, *(store.ports or (store.port,)))] if by_pods else ()),
        *([peers.rule("to", by_address, store.port)] if by_address else ()),
    ]


def _policy(
    tenant: Tenant, name: str, selector: dict[str, str], **rules: list[dict[str, Any]]
) -> Manifest:
    """Render a policy for the selected pods, or all; it denies the directions that it names, but
    for their rules."""
    directions = {"ingress": "Ingress", "egress": "Egress"}
    return tenant.manifest(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        name,
        TENANCY,
        spec={
            "podSelector": {"matchLabels": selector} if selector else {},
            "policyTypes": [directions[direction] for direction in rules],
            **{direction: entries for direction, entries in rules.items() if entries},
        },
    )


def _system_pods(*applications: str) -> list[dict[str, Any]]:
    """Return peers that select the applications' pods in the system namespace."""
    system = peers.namespace(names.SYSTEM_NAMESPACE)
    return [{**system, **peers.pods({"app.kubernetes.io/name": name})} for name in applications]


def _registry_ports(tenant: Tenant) -> list[int]:
    """Return HTTPS' port and those of the registries that the workspace's models name."""
    models = effective_spec.models(tenant.spec, tenant.platform)
    named = {port for model in models if (port := parse_model(model).port)}
    return sorted({_HTTPS, *named})
