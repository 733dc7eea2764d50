"""A server of a workspace in a pod that does not run: the API server's proxy leads to this
process."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aichat_workspace.domain.render.labels import workspace_labels
from tests.integration.conftest import OPERATOR, SYSTEM, Cluster

# A service leads to pods of nodes that there are.
_NODE: dict[str, Any] = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "nobody"}}


Respond = Callable[[str, str, bytes, dict[str, str]], tuple[int, bytes]]
"""Status and body for a method, a path, a body and headers."""


@contextmanager
def served(cluster: Cluster, workspace: str, component: str, respond: Respond) -> Iterator[None]:
    """The workspace's Service of that component leads to a server that responds so.

    Suspend the workspace before: the quota has room for one pod of each workload. Resumed later, it
    finds the place taken by the server's.
    """
    address = _own_address()
    server = ThreadingHTTPServer((address, 0), _handler(respond))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    name = f"{component}-server"
    try:
        pod = _pod(workspace, name, component, server.server_port)
        for manifest in (*_permission(workspace), _NODE, pod):
            cluster.apply(manifest)
        ready = {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        _set_status(cluster, workspace, component, ready)
        yield
    finally:
        cluster.kubectl("delete", "node", "nobody", "--ignore-not-found")
        server.shutdown()
        server.server_close()


def restart(cluster: Cluster, workspace: str, component: str) -> None:
    """The server's container seems to have been started once more."""
    container = {"name": component, "image": "", "imageID": "", "ready": True, "restartCount": 1}
    _set_status(cluster, workspace, component, {"containerStatuses": [container]})


def _set_status(cluster: Cluster, workspace: str, component: str, status: dict[str, Any]) -> None:
    cluster.kubectl(
        *("patch", "pod", f"{component}-server", "-n", workspace, "--subresource=status"),
        *("--type=merge", "-p", json.dumps({"status": status})),
    )


def _handler(respond: Respond) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._respond()

        def do_POST(self) -> None:
            self._respond()

        def do_DELETE(self) -> None:
            self._respond()

        def log_message(self, *_: object) -> None:
            """Nothing: what counts is kept."""

        def _respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = dict(self.headers.items())
            status, text = respond(self.command, self.path, body, headers)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    return Handler


def _own_address() -> str:
    """An address of this machine by which its API server reaches it; loopback is no pod's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # nothing is sent
        return str(probe.getsockname()[0])


def _permission(workspace: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """To go through the proxy: in a cluster the operator needs no such way."""
    group = "rbac.authorization.k8s.io"
    metadata = {"name": "servers", "namespace": workspace}
    verbs = ["get", "create", "delete"]
    role = {
        "apiVersion": f"{group}/v1",
        "kind": "Role",
        "metadata": metadata,
        "rules": [{"apiGroups": [""], "resources": ["services/proxy"], "verbs": verbs}],
    }
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "servers"},
        "subjects": [{"kind": "ServiceAccount", "name": OPERATOR, "namespace": SYSTEM}],
    }
    return role, binding


def _pod(workspace: str, name: str, component: str, port: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": workspace,
            "labels": workspace_labels(workspace, name, component),
        },
        "spec": {
            "nodeName": _NODE["metadata"]["name"],
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": component,
                    "image": "example.org/none:1",
                    "ports": [{"name": "http", "containerPort": port}],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    }
