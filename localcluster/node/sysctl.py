"""Record and restore the kernel settings that a node's components change."""

import json
from pathlib import Path
from typing import Final

from localcluster.state import write_atomically

SETTINGS: Final = (
    "net/ipv4/ip_forward",  # ours, and the network plugins'
    "net/bridge/bridge-nf-call-iptables",  # ours, for policies between pods
    "net/ipv4/conf/all/route_localnet",  # kube-proxy's, for node ports on 127.0.0.1
    "net/ipv6/conf/default/addr_gen_mode",  # ours, so that pods' devices get no address
    # The kubelet's, for a machine that is nothing but a node.
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)
ROOT: Final = Path("/proc/sys")


def remember(record: Path, root: Path = ROOT) -> None:
    """Record the settings before a node changes them."""
    values = {name: (root / name).read_text() for name in SETTINGS if (root / name).exists()}
    write_atomically(record, json.dumps(values))


def restore(record: Path, root: Path = ROOT) -> None:
    """Restore the recorded settings; without a record, no node has changed any."""
    if not record.exists():
        return
    for name, value in json.loads(record.read_text()).items():
        setting = root / name
        if setting.exists() and setting.read_text() != value:
            setting.write_text(value)
