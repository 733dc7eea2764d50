"""The agent itself, with a stand-in for the API server, in a network of its own."""

import json
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest

from tests.integration.netpol.network import LACKS, inside, ip, new_namespace, run

pytestmark = pytest.mark.skipif(bool(LACKS), reason=f"packet filters need {', '.join(LACKS)}")

_KINDS = {
    "/api/v1/pods": "pods",
    "/api/v1/namespaces": "namespaces",
    "/apis/networking.k8s.io/v1/networkpolicies": "networkpolicies",
}


@dataclass
class Api:
    """Lists, and watches that end when told to."""

    lists: dict[str, list[dict[str, Any]]]
    events: dict[str, "queue.Queue[dict[str, Any] | None]"] = field(
        default_factory=lambda: {kind: queue.Queue() for kind in _KINDS.values()}
    )

    def handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                url = urlparse(self.path)
                kind = _KINDS[url.path]
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                if "watch" in parse_qs(url.query):
                    while (event := api.events[kind].get()) is not None:
                        self._chunk(json.dumps(event) + "\n")
                else:
                    document = {"metadata": {"resourceVersion": "1"}, "items": api.lists[kind]}
                    self._chunk(json.dumps(document))
                self._chunk("")

            def _chunk(self, text: str) -> None:
                self.wfile.write(f"{len(text.encode()):x}\r\n{text}\r\n".encode())
                self.wfile.flush()

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


@dataclass
class Node:
    api: Api
    namespace: int
    agent: "subprocess.Popen[bytes]"

    def table(self) -> str:
        return inside(self.namespace, partial(run, "nft", "list", "ruleset"))

    def await_table(self, holds: Callable[[str], bool]) -> None:
        deadline = time.monotonic() + 90
        while not holds(self.table()):
            assert time.monotonic() < deadline, self.table()
            assert self.agent.poll() is None, "the agent has ended"
            time.sleep(0.02)


def _object(namespace: str | None, name: str, **rest: Any) -> dict[str, Any]:
    metadata = {"name": name, "uid": name, "resourceVersion": "2"}
    return {"metadata": metadata | ({"namespace": namespace} if namespace else {}), **rest}


def _pod(name: str, address: str) -> dict[str, Any]:
    spec = {"containers": [{"name": "main"}]}
    return _object("red", name, spec=spec, status={"phase": "Running", "podIP": address})


def _policy() -> dict[str, Any]:
    return _object("red", "deny", spec={"podSelector": {}, "policyTypes": ["Ingress"]})


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    api = Api(
        {
            "pods": [_pod("one", "10.99.0.11")],
            "namespaces": [_object(None, "red")],
            "networkpolicies": [_policy()],
        }
    )
    with ExitStack() as stack:
        namespace = new_namespace(stack)
        inside(namespace, partial(ip, "link set lo up"))
        server = inside(namespace, lambda: ThreadingHTTPServer(("127.0.0.1", 0), api.handler()))
        server.daemon_threads = True
        stack.enter_context(server)
        stack.callback(server.shutdown)
        threading.Thread(target=server.serve_forever, args=(0.02,)).start()
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(_kubeconfig(server.server_port))
        agent = inside(namespace, partial(_start, kubeconfig))
        stack.enter_context(agent)
        stack.callback(agent.kill)
        for events in api.events.values():
            stack.callback(events.put, None)
        yield Node(api, namespace, agent)


def _kubeconfig(port: int) -> str:
    return json.dumps(
        {
            "current-context": "it",
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
            "clusters": [{"name": "it", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
            "users": [{"name": "it", "user": {}}],
        }
    )


def _start(kubeconfig: Path) -> "subprocess.Popen[bytes]":
    options = ["--kubeconfig", str(kubeconfig), "--bridge", "bridge0", "--dns", "10.99.0.1"]
    return subprocess.Popen([sys.executable, "-m", "localcluster.node.netpol", *options])


def test_rules_follow_what_the_api_server_says_until_the_agent_is_told_to_stop(node: Node) -> None:
    node.await_table(lambda table: "chain ingress_10.99.0.11" in table)

    node.api.events["pods"].put({"type": "ADDED", "object": _pod("two", "10.99.0.12")})
    node.await_table(lambda table: "chain ingress_10.99.0.12" in table)

    node.api.events["pods"].put({"type": "DELETED", "object": _pod("one", "10.99.0.11")})
    node.await_table(lambda table: "10.99.0.11" not in table)

    node.agent.send_signal(signal.SIGTERM)
    assert node.agent.wait(timeout=60) == 0
    assert "localcluster_netpol" not in node.table()


@pytest.mark.slow
def test_a_watch_that_expires_makes_the_agent_list_again(node: Node) -> None:
    node.await_table(lambda table: "chain ingress_10.99.0.11" in table)
    node.api.lists["networkpolicies"] = []
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
    node.api.events["networkpolicies"].put({"type": "ERROR", "object": gone})
    node.api.events["networkpolicies"].put(None)
    node.await_table(lambda table: "ingress_10.99.0.11" not in table)


def test_rules_stay_after_a_crash(node: Node) -> None:
    node.await_table(lambda table: "chain ingress_10.99.0.11" in table)
    node.agent.kill()
    node.agent.wait(timeout=60)
    assert "chain ingress_10.99.0.11" in node.table()
