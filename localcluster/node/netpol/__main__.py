"""Enforce NetworkPolicies on this node until a signal: `python -m localcluster.node.netpol`."""

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
from localcluster.node.layout import BRIDGE_FILTER
from localcluster.node.netpol import rules, state

_LOG: Final = logging.getLogger("localcluster.node.netpol")
_SETTLE_SECONDS: Final = 0.05  # changes come in bursts


class Mirror:
    """The present objects of one kind, which a thread of its own keeps up to date."""

    def __init__(self, list_all: Callable[..., Any], changed: threading.Event) -> None:
        self.is_synced = False
        self._objects: dict[str, state.Json] = {}
        self._list_all = list_all
        self._changed = changed
        self._lock = threading.Lock()

    def objects(self) -> list[state.Json]:
        with self._lock:
            return list(self._objects.values())

    def run(self) -> None:
        """List, then watch; list again when the watch ends for any reason."""
        while True:
            try:
                self._watch(self._list())
            except Exception as error:  # without the thread, old rules would stay with no log
                _LOG.warning("listing again after %s", " ".join(repr(error).split()))
                time.sleep(0.5)

    def _list(self) -> str:
        response = self._list_all(_preload_content=False)
        if response.status != HTTPStatus.OK:
            raise client.ApiException(http_resp=response)
        listing = json.loads(response.data)
        with self._lock:
            self._objects = {item["metadata"]["uid"]: item for item in listing["items"]}
        self.is_synced = True
        self._changed.set()
        return str(listing["metadata"]["resourceVersion"])

    def _watch(self, version: str) -> None:
        events = watch.Watch().stream(self._list_all, resource_version=version, timeout_seconds=300)
        for event in events:
            self._update(event["type"], event["raw_object"])

    def _update(self, event: str, item: state.Json) -> None:
        with self._lock:
            if event == "DELETED":
                self._objects.pop(item["metadata"]["uid"], None)
            else:
                self._objects[item["metadata"]["uid"]] = item
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
        threading.Thread(target=mirror.run, daemon=True).start()
    try:
        _enforce(mirrors, changed, bridge, (state.cluster_dns(dns),))
    except (SystemExit, KeyboardInterrupt):
        apply(rules.REMOVAL)
        _LOG.info("removed")


def filter_bridged_packets() -> None:
    """Apply the rules to packets between pods, which otherwise stay on the bridge.

    Raises:
        CommandFailedError: the kernel lacks br_netfilter.
    """
    if not BRIDGE_FILTER.exists():
        subprocess.run(["modprobe", "br_netfilter"], capture_output=True, check=False)
    if not BRIDGE_FILTER.exists():
        raise CommandFailedError("no br_netfilter in this kernel: policies between pods need it")
    BRIDGE_FILTER.write_text("1")


def apply(ruleset: str) -> None:
    """Apply a ruleset in one transaction.

    Raises:
        CommandFailedError: nft refused it, and nothing has changed.
    """
    result = subprocess.run(
        ["nft", "-f", "-"], input=ruleset, capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        raise CommandFailedError(f"nft refused the rules: {result.stderr.strip()}")


def _enforce(
    mirrors: list[Mirror], changed: threading.Event, bridge: str, aliases: tuple[state.Pod, ...]
) -> None:
    applied = ""
    while True:
        changed.wait()
        time.sleep(_SETTLE_SECONDS)
        changed.clear()
        if not all(mirror.is_synced for mirror in mirrors):
            continue
        pods, namespaces, policies = (mirror.objects() for mirror in mirrors)
        snapshot = state.read(pods, namespaces, policies, aliases=aliases)
        ruleset = rules.ruleset(snapshot, bridge)
        if ruleset != applied:
            apply(ruleset)
            applied = ruleset
            _LOG.info("applied: %d pods, %d policies", len(snapshot.pods), len(snapshot.policies))


if __name__ == "__main__":
    typer.run(serve)
