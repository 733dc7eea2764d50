"""etcd, the API server and the controller manager, on loopback and ports of their own."""

import secrets
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Final

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from localcluster import state
from localcluster.errors import CommandFailedError, last_lines
from localcluster.ports import free_ports
from localcluster.process import alive, start
from localcluster.progress import Report
from localcluster.registry import authority
from localcluster.state import CONTROL_PLANE, FULL, Cluster

_LOOPBACK: Final = "127.0.0.1"
_ISSUER: Final = "https://kubernetes.default.svc.cluster.local"
# Whom tokens may be for. A service account's are for the issuer where nobody asks for anything
# else, so it stays first; static and OIDC tokens are for all of these, and so for the HTTP API.
_AUDIENCES: Final = (_ISSUER, "aichat-workspace-api")
SERVICE_RANGE: Final = "10.96.0.0/16"
_READY_SECONDS: Final = 180.0
# Level Metadata says who asked for what; bodies hold secrets, so they are kept only on request.
_LEVELS: Final = {False: "Metadata", True: "RequestResponse"}
# The API server reads it again when it changes, so that a test may add an OIDC issuer.
# https://kubernetes.io/docs/reference/access-authn-authz/authentication/#using-authentication-configuration
_AUTHENTICATION: Final = {
    "apiVersion": "apiserver.config.k8s.io/v1",
    "kind": "AuthenticationConfiguration",
    "jwt": [],
}


def start_control_plane(
    name: str,
    programs: Path,
    report: Report,
    *,
    address: str = _LOOPBACK,
    audit_bodies: bool = False,
) -> Cluster:
    """Start a control plane and wait until it is ready. With an address other than loopback, pods
    reach it there. With `audit_bodies` the audit log holds what was written, secrets included.

    Raises:
        CommandFailedError: a component ended or did not become ready; the message holds the end of
            its log.
    """
    etcd, peers, api, manager = free_ports(4)
    mode = CONTROL_PLANE if address == _LOOPBACK else FULL
    cluster = Cluster(name, mode, f"https://{address}:{api}", secrets.token_hex(16))
    _write_files(cluster, audit_bodies=audit_bodies)
    logs = cluster.folder / "logs"
    commands = {
        "etcd": _etcd(cluster, etcd, peers),
        "kube-apiserver": _api_server(cluster, etcd, address, api),
        "kube-controller-manager": _controller_manager(cluster, manager),
    }
    state.save(cluster)
    for component, arguments in commands.items():
        if component == "kube-controller-manager":
            _await_ready(cluster, report)
        started = start(component, [programs / component, *arguments], logs / f"{component}.log")
        cluster = state.add(cluster, started)
    _await_controllers(cluster, report)
    return cluster


def _write_files(cluster: Cluster, *, audit_bodies: bool) -> None:
    pki = cluster.folder / "pki"
    pki.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    (pki / "service-accounts.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    clients = cluster.kubelet_client_authority.parent
    authority.issue_client(authority.ensure(clients), clients, "kube-apiserver", "system:masters")
    (cluster.folder / "tokens.csv").write_text(f'{cluster.token},admin,admin,"system:masters"\n')
    policy = _audit_policy(_LEVELS[audit_bodies])
    (cluster.folder / "audit-policy.yaml").write_text(yaml.safe_dump(policy))
    cluster.authentication_config.write_text(yaml.safe_dump(_AUTHENTICATION))


def _audit_policy(level: str) -> dict[str, object]:
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{"level": level}],
    }


def write_kubeconfig(cluster: Cluster) -> None:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": cluster.name,
        "clusters": [
            {
                "name": cluster.name,
                "cluster": {
                    "server": cluster.server,
                    "certificate-authority": str(cluster.ca_file),
                },
            }
        ],
        "users": [{"name": "admin", "user": {"token": cluster.token}}],
        "contexts": [{"name": cluster.name, "context": {"cluster": cluster.name, "user": "admin"}}],
    }
    cluster.kubeconfig.touch(mode=0o600)
    cluster.kubeconfig.write_text(yaml.safe_dump(document))


def _etcd(cluster: Cluster, client: int, peer: int) -> list[str]:
    url, peer_url = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
    return [
        f"--data-dir={cluster.folder / 'etcd'}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster=default={peer_url}",
        "--unsafe-no-fsync",  # a test cluster may lose its data with the machine
        "--log-level=warn",
    ]


def _api_server(cluster: Cluster, etcd: int, address: str, port: int) -> list[str]:
    key = cluster.folder / "pki" / "service-accounts.key"
    clients = cluster.kubelet_client_authority.parent
    return [
        f"--etcd-servers=http://127.0.0.1:{etcd}",
        f"--bind-address={address}",
        f"--secure-port={port}",
        f"--cert-dir={cluster.folder / 'pki'}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        f"--service-account-issuer={_ISSUER}",
        f"--api-audiences={','.join(_AUDIENCES)}",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        f"--token-auth-file={cluster.folder / 'tokens.csv'}",
        f"--authentication-config={cluster.authentication_config}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged",
        # Without pods nobody needs the kubernetes service's endpoints.
        f"--endpoint-reconciler-type={'none' if address == _LOOPBACK else 'lease'}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-client-certificate={clients / 'client.crt'}",
        f"--kubelet-client-key={clients / 'client.key'}",
        f"--audit-policy-file={cluster.folder / 'audit-policy.yaml'}",
        f"--audit-log-path={cluster.audit_log}",
        "--profiling=false",
    ]


def _controller_manager(cluster: Cluster, port: int) -> list[str]:
    pki = cluster.folder / "pki"
    return [
        f"--kubeconfig={cluster.kubeconfig}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={pki / 'kube-controller-manager'}",
        f"--root-ca-file={cluster.ca_file}",
        f"--service-account-private-key-file={pki / 'service-accounts.key'}",
        "--use-service-account-credentials",
        "--kube-api-qps=1000",  # each controller's own account would wait seconds for its turn
        "--kube-api-burst=1000",
        "--resource-quota-sync-period=10s",  # a quota made just after its kind waits for this
        "--leader-elect=false",
    ]


def _await_ready(cluster: Cluster, report: Report) -> None:
    report("control plane", "waiting for the API server")
    await_component(
        cluster, "kube-apiserver", lambda: _answers(cluster, f"{cluster.server}/readyz")
    )
    write_kubeconfig(cluster)


def _await_controllers(cluster: Cluster, report: Report) -> None:
    """Until the controllers work: they make the default service account."""
    report("control plane", "waiting for the controllers")
    path = "/api/v1/namespaces/default/serviceaccounts/default"
    await_component(
        cluster, "kube-controller-manager", lambda: _answers(cluster, f"{cluster.server}{path}")
    )


def await_component(cluster: Cluster, component: str, is_ready: Callable[[], bool]) -> None:
    """Wait until a component is ready, and all that were started are alive.

    Raises:
        CommandFailedError: it is not ready in time, or one has ended; with the end of its log.
    """
    deadline = time.monotonic() + _READY_SECONDS
    while not is_ready() or not all(alive(each) for each in cluster.components):
        gone = [each for each in cluster.components if not alive(each)]
        if gone or time.monotonic() > deadline:
            culprit = gone[0].name if gone else component
            log = cluster.folder / "logs" / f"{culprit}.log"
            how = "ended" if gone else f"was not ready within {_READY_SECONDS:.0f} s"
            raise CommandFailedError(f"{culprit} {how}:\n{last_lines(log)}")
        time.sleep(0.1)


def _answers(cluster: Cluster, url: str) -> bool:
    if not cluster.ca_file.exists():
        return False
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {cluster.token}"})  # noqa: S310
    trust = ssl.create_default_context(cafile=str(cluster.ca_file))
    try:
        with urllib.request.urlopen(request, timeout=2, context=trust) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
