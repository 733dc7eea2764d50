"""Enforce NetworkPolicies on this node until told to stop: `python -m localcluster.node.netpol`."""

import json
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from kubernetes import client, config, watch

from localcluster.errors import CommandFailedError
from localcluster.node.netpol import rules, state

_LOG: Final = logging.getLogger("localcluster.node.netpol")
_BRIDGED: Final = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
_SETTLE_SECONDS: Final = 0.05  # changes come in bursts


class Mirror:
    """Objects of one kind as they are now, kept by a thread of its own."""

    def __init__(self, list_all: Callable[..., Any], changed: threading.Event) -> None:
        self.synced = False
        self._objects: dict[str, state.Json] = {}
        self._list_all = list_all
        self._changed = changed
        self._lock = threading.Lock()

    def objects(self) -> list[state.Json]:
        with self._lock:
            return list(self._objects.values())

    def follow(self) -> None:
        """List, then watch; list again when the watch ends for whatever reason."""
        while True:
            try:
                self._watch(self._list())
            except Exception as error:  # a thread that ends would leave old rules without a word
                _LOG.warning("listing again after %s", " ".join(repr(error).split()))
                time.sleep(0.5)

    def _list(self) -> str:
        answer = self._list_all(_preload_content=False)
        if answer.status != HTTPStatus.OK:
            raise client.ApiException(http_resp=answer)
        found = json.loads(answer.data)
        with self._lock:
            self._objects = {each["metadata"]["uid"]: each for each in found["items"]}
        self.synced = True
        self._changed.set()
        return str(found["metadata"]["resourceVersion"])

    def _watch(self, version: str) -> None:
        events = watch.Watch().stream(self._list_all, resource_version=version, timeout_seconds=300)
        for event in events:
            self._note(event["type"], event["raw_object"])

    def _note(self, kind: str, found: state.Json) -> None:
        with self._lock:
            if kind == "DELETED":
                self._objects.pop(found["metadata"]["uid"], None)
            else:
                self._objects[found["metadata"]["uid"]] = found
        self._changed.set()


def serve(
    kubeconfig: Annotated[Path, typer.Option(help="access to the cluster")],
    bridge: Annotated[str, typer.Option(help="the pods' bridge")],
    dns: Annotated[str, typer.Option(help="the node's address where the cluster's DNS listens")],
) -> None:
    """Keep the node's packet filter in step with pods, namespaces and policies.

    Only an orderly stop removes the rules: after a crash they stay, and keep denying.
    """
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s %(message)s"
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    filter_bridged_packets()
    config.load_kube_config(str(kubeconfig))
    core, networking = client.CoreV1Api(), client.NetworkingV1Api()
    changed = threading.Event()
    mirrors = [
        Mirror(core.list_pod_for_all_namespaces, changed),
        Mirror(core.list_namespace, changed),
        Mirror(networking.list_network_policy_for_all_namespaces, changed),
    ]
    for mirror in mirrors:
        threading.Thread(target=mirror.follow, daemon=True).start()
    try:
        _enforce(mirrors, changed, bridge, (state.cluster_dns(dns),))
    except (SystemExit, KeyboardInterrupt):
        apply(rules.REMOVAL)
        _LOG.info("removed")


def filter_bridged_packets() -> None:
    """Let packets between pods pass the rules; they stay on the bridge otherwise.

    Raises CommandFailedError when the kernel lacks br_netfilter.
    """
    if not _BRIDGED.exists():
        subprocess.run(["modprobe", "br_netfilter"], capture_output=True, check=False)
    if not _BRIDGED.exists():
        raise CommandFailedError("no br_netfilter in this kernel: policies between pods need it")
    _BRIDGED.write_text("1")


def apply(ruleset: str) -> None:
    """In one transaction: all of it or, raising CommandFailedError, nothing."""
    done = subprocess.run(
        ["nft", "-f", "-"], input=ruleset, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise CommandFailedError(f"nft refused the rules: {done.stderr.strip()}")


def _enforce(
    mirrors: list[Mirror], changed: threading.Event, bridge: str, aliases: tuple[state.Pod, ...]
) -> None:
    applied = ""
    while True:
        changed.wait()
        time.sleep(_SETTLE_SECONDS)
        changed.clear()
        if not all(each.synced for each in mirrors):
            continue
        pods, namespaces, policies = (each.objects() for each in mirrors)
        now = state.read(pods, namespaces, policies, aliases=aliases)
        ruleset = rules.ruleset(now, bridge)
        if ruleset != applied:
            apply(ruleset)
            applied = ruleset
            _LOG.info("applied: %d pods, %d policies", len(now.pods), len(now.policies))


if __name__ == "__main__":
    typer.run(serve)
