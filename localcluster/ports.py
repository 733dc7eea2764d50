"""Free ports of loopback, for programs that are told where to listen."""

import random
import socket
from itertools import islice
from pathlib import Path
from typing import Final

_OUTGOING: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST: Final = 10_000


def free_ports(count: int) -> list[int]:
    """Ports below those that the kernel gives to outgoing connections: one of these might be taken
    before the program listens there.

    Raises:
        OSError: there are not so many.
    """
    below = int(_OUTGOING.read_text().split()[0])
    candidates = random.sample(range(_LOWEST, below), below - _LOWEST)
    ports = list(islice(filter(_is_free, candidates), count))
    if len(ports) < count:
        raise OSError(f"fewer than {count} ports are free between {_LOWEST} and {below}")
    return ports


def free_port() -> int:
    """One of them; raises OSError where there is none."""
    return free_ports(1)[0]


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
