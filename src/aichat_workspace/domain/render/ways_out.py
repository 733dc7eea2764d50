"""Render what the platform's network needs of pods: registries' passwords, authorities and a proxy.

Ollama is written in Go, which reads HTTPS_PROXY, NO_PROXY and the folders of SSL_CERT_DIR besides
its own file of authorities (https://pkg.go.dev/crypto/x509#SystemCertPool). Open WebUI is written
in Python: aiohttp and httpx read SSL_CERT_FILE, requests REQUESTS_CA_BUNDLE, each instead of its
own file. So an init container writes one with everything.
"""

from collections.abc import Iterator
from typing import Any, Final

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.policy.platform_secrets import AUTHORITIES_KEY
from aichat_workspace.domain.render.components import BACKUP, OLLAMA
from aichat_workspace.domain.render.containers import env
from aichat_workspace.domain.render.context import Tenant
from aichat_workspace.domain.render.peers import ranges

_SOURCE: Final = "authorities"
_SOURCE_PATH: Final = "/etc/aichat/authorities"
_BUNDLE: Final = "authorities-with-ours"
_BUNDLE_PATH: Final = "/etc/aichat/trusted"
_BUNDLE_FILE: Final = f"{_BUNDLE_PATH}/{AUTHORITIES_KEY}"
# The folders that Go reads by itself.
_GO_FOLDERS: Final = "/etc/ssl/certs:/etc/pki/tls/certs"
WRITE_BUNDLE: Final = """
import os, pathlib, ssl
import certifi

paths = (ssl.get_default_verify_paths().cafile, certifi.where(), os.environ["OURS"])
texts = [pathlib.Path(path).read_text() for path in paths if path]
pathlib.Path(os.environ["BUNDLE"]).write_text("\\n".join(texts))
"""
_PRIVATE: Final = (
    "10.0.0.0/8",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
)
"""Where clusters have pods, services and nodes. What is asked for there by its address goes to the
network policies' walls, and not around them through a proxy."""


def with_ways_out(tenant: Tenant, component: str, template: dict[str, Any]) -> dict[str, Any]:
    """Return the pod template with what the network needs; the same where it needs none."""
    spec = template["spec"]
    added = {
        **_pull_secrets(tenant),
        **_containers(tenant, component, spec),
        **_volumes(tenant, component, spec),
    }
    return {**template, "spec": {**spec, **added}}


def no_proxy(tenant: Tenant) -> str:
    """Return what is reached without the proxy, in the forms that all clients understand.

    Go, requests, httpx and urllib agree on names, which stand for all below them as well, and on
    addresses. Ranges are IPv4's only: httpx does not start with one of IPv6.
    """
    platform = tenant.platform
    own = (tenant.ollama, tenant.openwebui)
    direct = [cidr for cidr in ranges(platform.network.egress_allow) if ":" not in cidr]
    single = [
        cidr.removesuffix("/128")
        for cidr in ranges(platform.network.egress_allow)
        if cidr.endswith("/128")
    ]
    listed = platform.proxy.no_proxy if platform.proxy else ()
    loopback = ("localhost", "127.0.0.1", "::1")
    hosts = (*loopback, *own, ".svc", ".cluster.local", *_PRIVATE, *direct, *single, *listed)
    return ",".join(dict.fromkeys(hosts))


def _pull_secrets(tenant: Tenant) -> dict[str, Any]:
    """Their names stay when their content changes, so that pods need no restart for that."""
    count = len(tenant.platform_secrets.pull_secrets)
    pull_secrets = [{"name": names.pull_secret(tenant.name, n)} for n in range(1, count + 1)]
    return {"imagePullSecrets": pull_secrets} if pull_secrets else {}


def _containers(tenant: Tenant, component: str, spec: dict[str, Any]) -> dict[str, Any]:
    variables = env(**dict(_variables(tenant, component)))
    if not variables:
        return {}
    mounts = list(_mounts(tenant, component))
    (container,) = spec["containers"]
    changed = {
        **container,
        "env": [*container["env"], *variables],
        "volumeMounts": [*container["volumeMounts"], *mounts],
    }
    init_containers = [*_bundle_writer(tenant, component, container)]
    if init_containers:
        init_containers += spec.get("initContainers", ())
    return {
        "containers": [changed],
        **({"initContainers": init_containers} if init_containers else {}),
    }


def _variables(tenant: Tenant, component: str) -> Iterator[tuple[str, str]]:
    if proxy := tenant.platform.proxy:
        yield "HTTPS_PROXY", proxy.url
        yield "NO_PROXY", ",".join((no_proxy(tenant), *_direct_store(tenant, component)))
    if tenant.platform_secrets.authorities is None:
        return
    if component == OLLAMA:
        yield "SSL_CERT_DIR", f"{_GO_FOLDERS}:{_SOURCE_PATH}"
    else:
        yield "SSL_CERT_FILE", _BUNDLE_FILE
        yield "REQUESTS_CA_BUNDLE", _BUNDLE_FILE


def _direct_store(tenant: Tenant, component: str) -> Iterator[str]:
    """Yield the host of the store of backups where policies name it: the proxy is no way there."""
    store = tenant.backups.s3 if tenant.backups else None
    if component == BACKUP and store is not None and store.is_direct:
        yield store.host


def _mounts(tenant: Tenant, component: str) -> Iterator[Manifest]:
    if tenant.platform_secrets.authorities is not None:
        volume = (_SOURCE, _SOURCE_PATH) if component == OLLAMA else (_BUNDLE, _BUNDLE_PATH)
        yield {"name": volume[0], "mountPath": volume[1], "readOnly": True}


def _bundle_writer(
    tenant: Tenant, component: str, container: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield the init container that writes all authorities, the image's and ours, to one file."""
    if tenant.platform_secrets.authorities is None or component == OLLAMA:
        return
    shared = ("image", "imagePullPolicy", "resources", "securityContext")
    yield {
        "name": "trusted-authorities",
        **{key: container[key] for key in shared},
        "command": ["python3", "-c", WRITE_BUNDLE],
        "env": env(OURS=f"{_SOURCE_PATH}/{AUTHORITIES_KEY}", BUNDLE=_BUNDLE_FILE),
        "volumeMounts": [
            {"name": _SOURCE, "mountPath": _SOURCE_PATH, "readOnly": True},
            {"name": _BUNDLE, "mountPath": _BUNDLE_PATH},
        ],
    }


def _volumes(tenant: Tenant, component: str, spec: dict[str, Any]) -> dict[str, Any]:
    if tenant.platform_secrets.authorities is None:
        return {}
    bundle = {"name": _BUNDLE, "emptyDir": {"sizeLimit": "16Mi"}}
    source = {"name": _SOURCE, "secret": {"secretName": tenant.authorities}}
    added = [source] if component == OLLAMA else [source, bundle]
    return {"volumes": [*spec["volumes"], *added]}
