"""Start etcd, the API server and the controller manager, each on a free port."""

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

from localcluster import certificates, state
from localcluster.errors import CommandFailedError, last_lines
from localcluster.paths import kubernetes_release
from localcluster.ports import free_ports
from localcluster.processes.background import is_alive, start
from localcluster.progress import Report
from localcluster.state import CONTROL_PLANE, FULL, Cluster

_LOOPBACK: Final = "127.0.0.1"
_ISSUER: Final = "https://kubernetes.default.svc.cluster.local"
# The first is the default audience of service accounts' tokens. Static and OIDC tokens are for all
# of these, and so for the HTTP API.
_AUDIENCES: Final = (_ISSUER, "aichat-workspace-api")
SERVICE_RANGE: Final = "10.96.0.0/16"
# Go looks for garbage when the heap has grown by this per cent. 100, its default, takes the API
# server a quarter of its CPU; it has 0.3 GiB more with this.
_ENVIRONMENT: Final = {"GOGC": "400"}
_ALL_CONTROLLERS: Final = "*"
_NO_PODS: Final = "*,-deployment-controller,-statefulset-controller"
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
# Releases that do not know this version of it yet.
_AUTHENTICATION_VERSIONS: Final = {"1.30": "apiserver.config.k8s.io/v1beta1"}


def start_control_plane(
    name: str,
    programs: Path,
    report: Report,
    *,
    address: str = _LOOPBACK,
    audit_bodies: bool = False,
    without_pods: bool = False,
) -> Cluster:
    """Start a control plane and wait until it is ready.

    Pods reach it at an ``address`` other than loopback. With ``audit_bodies`` the audit log holds
    the bodies of requests, secrets included. ``without_pods`` leaves out the controllers of
    Deployments and StatefulSets.

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
        "kube-controller-manager": _controller_manager(
            cluster, manager, _NO_PODS if without_pods else _ALL_CONTROLLERS
        ),
    }
    state.save(cluster)
    for component, arguments in commands.items():
        if component == "kube-controller-manager":
            _await_ready(cluster, report)
        command = [str(programs / component), *arguments]
        process = start(component, command, logs / f"{component}.log", _ENVIRONMENT)
        cluster = state.add(cluster, process)
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
    certificates.issue_client(
        certificates.ensure(clients), clients, "kube-apiserver", "system:masters"
    )
    (cluster.folder / "tokens.csv").write_text(f'{cluster.token},admin,admin,"system:masters"\n')
    policy = _audit_policy(_LEVELS[audit_bodies])
    (cluster.folder / "audit-policy.yaml").write_text(yaml.safe_dump(policy))
    cluster.authentication_config.write_text(yaml.safe_dump(_authentication()))


def _authentication() -> dict[str, object]:
    version = _AUTHENTICATION_VERSIONS.get(kubernetes_release(), _AUTHENTICATION["apiVersion"])
    return {**_AUTHENTICATION, "apiVersion": version}


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
        # Without pods the kubernetes service needs no endpoints.
        f"--endpoint-reconciler-type={'none' if address == _LOOPBACK else 'lease'}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-client-certificate={clients / 'client.crt'}",
        f"--kubelet-client-key={clients / 'client.key'}",
        f"--audit-policy-file={cluster.folder / 'audit-policy.yaml'}",
        f"--audit-log-path={cluster.audit_log}",
        "--profiling=false",
    ]


def _controller_manager(cluster: Cluster, port: int, controllers: str) -> list[str]:
    pki = cluster.folder / "pki"
    return [
        f"--kubeconfig={cluster.kubeconfig}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={pki / 'kube-controller-manager'}",
        f"--root-ca-file={cluster.ca_file}",
        f"--service-account-private-key-file={pki / 'service-accounts.key'}",
        "--use-service-account-credentials",
        "--kube-api-qps=1000",  # otherwise controllers wait seconds for their rate limit
        "--kube-api-burst=1000",
        "--resource-quota-sync-period=10s",  # the longest wait of a quota for a kind that is new
        "--leader-elect=false",
        f"--controllers={controllers}",
    ]


def _await_ready(cluster: Cluster, report: Report) -> None:
    report("control plane", "waiting for the API server")
    await_component(cluster, "kube-apiserver", lambda: is_ok(cluster, f"{cluster.server}/readyz"))
    write_kubeconfig(cluster)


def _await_controllers(cluster: Cluster, report: Report) -> None:
    """Wait until the default service account exists: the controllers make it."""
    report("control plane", "waiting for the controllers")
    path = "/api/v1/namespaces/default/serviceaccounts/default"
    await_component(
        cluster, "kube-controller-manager", lambda: is_ok(cluster, f"{cluster.server}{path}")
    )


def await_component(cluster: Cluster, component: str, is_ready: Callable[[], bool]) -> None:
    """Wait until a component is ready and all started components are alive.

    Raises:
        CommandFailedError: it is not ready in time, or one has ended; with the end of its log.
    """
    deadline = time.monotonic() + _READY_SECONDS
    while not is_ready() or not all(is_alive(process) for process in cluster.components):
        ended = [process for process in cluster.components if not is_alive(process)]
        if ended or time.monotonic() > deadline:
            failed = ended[0].name if ended else component
            log = cluster.folder / "logs" / f"{failed}.log"
            problem = "ended" if ended else f"was not ready within {_READY_SECONDS:.0f} s"
            raise CommandFailedError(f"{failed} {problem}:\n{last_lines(log)}")
        time.sleep(0.1)


def is_ok(cluster: Cluster, url: str) -> bool:
    """Whether a component answers with 200."""
    if not cluster.ca_file.exists():
        return False
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {cluster.token}"})  # noqa: S310
    try:
        # The API server may be writing the file.
        trust = ssl.create_default_context(cafile=str(cluster.ca_file))
        with urllib.request.urlopen(request, timeout=2, context=trust) as response:  # noqa: S310
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
