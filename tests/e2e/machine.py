"""The one node that all processes of a test run share, and what it may leave on the machine."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from tests import run

ROOT: Final = Path(__file__).parents[2]
STATES: Final = Path(os.environ.get("LOCALCLUSTER_STATE") or "/var/lib/localcluster")
LOCALCLUSTER: Final = (sys.executable, "-m", "localcluster")
_NODE: Final = "node"


def shared_node(image: str) -> dict[str, Any]:
    """What `status -o json` says of the node, which the first process to ask for it starts, with
    the product's image and the product installed. `end_node` ends it."""
    record: dict[str, Any] = run.once(_NODE, lambda: _start(run.name("e2e"), image))
    return record


def _start(name: str, image: str) -> dict[str, Any]:
    _end_abandoned()
    before = remains(name)
    try:
        _localcluster("up", "--full", "--name", name)
        _localcluster("image", image, "--name", name)
        status = json.loads(_localcluster("status", "--name", name, "-o", "json"))
        subprocess.run(
            ["hack/install", "config/local", image, "of the tests"],
            cwd=ROOT,
            env={**os.environ, "KUBECONFIG": status["kubeconfig"]},
            check=True,
        )
        platform = ROOT / "config" / "local" / "platform.yaml"
        kubeconfig = f"--kubeconfig={status['kubeconfig']}"
        subprocess.run(["kubectl", kubeconfig, "apply", "-f", str(platform)], check=True)
    except BaseException:
        _localcluster("down", "--name", name)
        raise
    return {**status, "name": name, "before": before}


def _localcluster(*arguments: str) -> str:
    command = [*LOCALCLUSTER, *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def end_node() -> str:
    """End the node, if one was started; returns what it left on the machine, which should be
    nothing."""
    record = run.made(_NODE)
    if record is None:
        return ""
    _localcluster("down", "--name", record["name"])
    before, after = record["before"], remains(record["name"])
    changed = {kind: (before[kind], after[kind]) for kind in after if before[kind] != after[kind]}
    return "".join(f"{kind} before and after: {both}\n" for kind, both in changed.items())


def _end_abandoned() -> None:
    """A test run that was killed may have left its node."""
    for state in STATES.glob("e2e-*"):
        if not Path("/proc", state.name.removeprefix("e2e-")).exists():
            _localcluster("down", "--name", state.name)


def remains(name: str) -> dict[str, list[str]]:
    """What this node could leave on the machine; other clusters may run beside it."""
    folder = f"{STATES / name}/"
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    mounts = Path("/proc/mounts").read_text()
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True)
    processes = [
        command
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if folder in (command := _command(path))
    ]
    return {
        "network devices": [
            line.split(": ")[1]
            for line in links.splitlines()
            if line.split(": ")[1].startswith(("localcluster", "veth"))
        ],
        "mounts": [line for line in mounts.splitlines() if folder in line or "/netns/cni-" in line],
        "notes of networks": [
            path.name for path in Path("/var/lib/cni/results").glob("localcluster-*")
        ],
        "packet filter tables": [
            line for line in tables.stdout.splitlines() if "localcluster" in line
        ],
        "chains": [line for line in rules.splitlines() if line.startswith((":KUBE-", ":CNI-"))],
        "processes": processes,
        "kernel settings": [*settings()],
    }


def settings() -> Iterator[str]:
    """What programs that run nodes are known to set, and what is near it. Bridges pass packets to
    the filter unless told otherwise, so that loading their module changes nothing."""
    root = Path("/proc/sys")
    for pattern in (
        *("net/ipv4/ip_forward", "net/ipv4/conf/all/*", "net/ipv4/conf/default/*"),
        "net/ipv6/conf/default/*",
        *("kernel/keys/*", "kernel/panic*", "vm/overcommit_*", "vm/panic_*"),
    ):
        for path in sorted(root.glob(pattern)):
            with suppress(OSError):  # some can only be written
                yield f"{path.relative_to(root)} = {path.read_text().strip()}"
    bridged = root / "net/bridge/bridge-nf-call-iptables"
    yield f"bridged = {bridged.read_text().strip() if bridged.exists() else 1}"


def _command(path: Path) -> str:
    try:
        return path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""  # it has ended meanwhile
