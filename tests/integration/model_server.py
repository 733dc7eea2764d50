"""A model server as far as downloads need one, in a pod that nobody runs: the API server's proxy
leads to this process. It keeps note of what it is asked for."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aichat_workspace.domain.render.tenant import OLLAMA, workspace_labels
from tests.integration.conftest import OPERATOR, SYSTEM, Cluster

_SECONDS_OF_A_PULL = 1.5
# A service leads to pods of nodes that there are.
_NODE: dict[str, Any] = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "nobody"}}


@dataclass
class Asked:
    """`insecure` says of each model how it was asked for, `most` how many pulls ran at once."""

    there: set[str] = field(default_factory=set)
    insecure: dict[str, bool] = field(default_factory=dict)
    running: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def pull(self, model: str, *, insecure: bool) -> None:
        with self.lock:
            self.insecure[model] = insecure
            self.running += 1
            self.most = max(self.most, self.running)
        threading.Event().wait(_SECONDS_OF_A_PULL)
        with self.lock:
            self.running -= 1
            self.there.add(model)


@contextmanager
def model_server(cluster: Cluster, workspace: str) -> Iterator[Asked]:
    asked = Asked()
    address = _own_address()
    server = ThreadingHTTPServer((address, 0), _handler(asked))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        pod = _pod(workspace, server.server_port)
        for each in (*_permission(workspace), _NODE, pod):
            cluster.apply(each)
        ready = {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        cluster.kubectl(
            *("patch", "pod", "model-server", "-n", workspace, "--subresource=status"),
            *("--type=merge", "-p", json.dumps({"status": ready})),
        )
        yield asked
    finally:
        cluster.kubectl("delete", "node", "nobody", "--ignore-not-found")
        server.shutdown()
        server.server_close()


def _own_address() -> str:
    """An address of this machine by which its API server reaches it; loopback is no pod's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # nothing is sent
        return str(probe.getsockname()[0])


def _permission(workspace: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """To go through the proxy: in a cluster the operator needs no such way."""
    group = "rbac.authorization.k8s.io"
    metadata = {"name": "model-server", "namespace": workspace}
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
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "model-server"},
        "subjects": [{"kind": "ServiceAccount", "name": OPERATOR, "namespace": SYSTEM}],
    }
    return role, binding


def _pod(workspace: str, port: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "model-server",
            "namespace": workspace,
            "labels": workspace_labels(workspace, "model-server", OLLAMA),
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
                    "name": "ollama",
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


def _handler(asked: Asked) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            models = [{"name": each, "digest": "d", "size": 1} for each in sorted(asked.there)]
            self._answer({"models": models})

        def do_POST(self) -> None:
            body = self._body()
            asked.pull(body["model"], insecure=body.get("insecure", False))
            self._answer({"status": "success"})

        def do_DELETE(self) -> None:
            asked.there.discard(self._body()["model"])
            self._answer({})

        def log_message(self, *_: object) -> None:
            """Nothing: what counts is kept."""

        def _body(self) -> Any:
            return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

        def _answer(self, content: object) -> None:
            text = json.dumps(content).encode() + b"\n"
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    return Handler
