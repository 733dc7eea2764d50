"""Render the Ingress or HTTPRoute of Open WebUI. Ollama has none: it has no authentication."""

from typing import Any, Final

from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.render.address import has_tls
from aichat_workspace.domain.render.components import OPENWEBUI, OPENWEBUI_PORT
from aichat_workspace.domain.render.context import Tenant
from aichat_workspace.domain.v1alpha1.network_settings import Gateway, IssuerKind, Profile

# A reply may pause for minutes between two words, and documents are large.
_TIMEOUT_SECONDS: Final = 3600
_BODY_MEGABYTES: Final = 512
_STREAMING: Final[dict[Profile, dict[str, str]]] = {
    Profile.TRAEFIK: {},
    # https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/
    Profile.NGINX: {
        "nginx.ingress.kubernetes.io/proxy-body-size": f"{_BODY_MEGABYTES}m",
        "nginx.ingress.kubernetes.io/proxy-buffering": "off",
        "nginx.ingress.kubernetes.io/proxy-read-timeout": str(_TIMEOUT_SECONDS),
        "nginx.ingress.kubernetes.io/proxy-send-timeout": str(_TIMEOUT_SECONDS),
    },
    # https://www.haproxy.com/documentation/kubernetes-ingress/community/configuration-reference/ingress/
    Profile.HAPROXY: {
        "haproxy.org/timeout-server": f"{_TIMEOUT_SECONDS}s",
        "haproxy.org/timeout-tunnel": f"{_TIMEOUT_SECONDS}s",
    },
}
# https://cert-manager.io/docs/usage/ingress/#supported-annotations
_ISSUER: Final = {
    IssuerKind.ISSUER: "cert-manager.io/issuer",
    IssuerKind.CLUSTER_ISSUER: "cert-manager.io/cluster-issuer",
}


def render(tenant: Tenant) -> tuple[Manifest, ...]:
    gateway = tenant.platform.ingress.gateway
    return (_ingress(tenant) if gateway is None else _route(tenant, gateway),)


def _ingress(tenant: Tenant) -> Manifest:
    class_name = tenant.spec.ingress.class_name or tenant.platform.ingress.class_name
    backend = {"service": {"name": tenant.openwebui, "port": {"number": OPENWEBUI_PORT}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    manifest = tenant.manifest(
        "networking.k8s.io/v1",
        "Ingress",
        tenant.openwebui,
        OPENWEBUI,
        spec={
            **({"ingressClassName": class_name} if class_name else {}),
            "rules": [{"host": tenant.host, "http": {"paths": paths}}],
            **_tls(tenant),
        },
    )
    return _with_metadata(manifest, tenant, _annotations(tenant))


def _with_metadata(manifest: Manifest, tenant: Tenant, own: dict[str, str]) -> Manifest:
    """Return the way in with what the platform puts on it, and its own annotations."""
    platform_metadata, metadata = tenant.platform.ingress.metadata, manifest["metadata"]
    annotations = {**platform_metadata.annotations, **own}
    labels = {**platform_metadata.labels, **metadata["labels"]}
    marks = {"annotations": annotations} if annotations else {}
    return {**manifest, "metadata": {**metadata, "labels": labels, **marks}}


def _tls(tenant: Tenant) -> dict[str, Any]:
    """Return the Ingress' TLS; without a Secret the controller serves its own certificate."""
    if not has_tls(tenant.spec, tenant.platform):
        return {}
    name = tenant.certificate
    return {"tls": [{"hosts": [tenant.host], **({"secretName": name} if name else {})}]}


def _annotations(tenant: Tenant) -> dict[str, str]:
    issuer = tenant.issuer
    return {
        **_STREAMING[tenant.platform.ingress.profile],
        **({_ISSUER[issuer.kind]: issuer.name} if issuer else {}),
    }


def _route(tenant: Tenant, gateway: Gateway) -> Manifest:
    """Render the HTTPRoute; the Gateway terminates TLS.

    https://gateway-api.sigs.k8s.io/api-types/httproute/
    """
    parent = {
        "group": "gateway.networking.k8s.io",
        "kind": "Gateway",
        "name": gateway.name,
        "namespace": gateway.namespace,
        **({"sectionName": gateway.section_name} if gateway.section_name else {}),
    }
    manifest = tenant.manifest(
        "gateway.networking.k8s.io/v1",
        "HTTPRoute",
        tenant.openwebui,
        OPENWEBUI,
        spec={
            "parentRefs": [parent],
            "hostnames": [tenant.host],
            "rules": [
                {
                    "backendRefs": [{"name": tenant.openwebui, "port": OPENWEBUI_PORT}],
                    "timeouts": {"request": "0s"},  # a reply may take any time
                }
            ],
        },
    )
    return _with_metadata(manifest, tenant, {})
