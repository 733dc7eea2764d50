"""Find free ports of loopback, for programs whose port is an option."""

import random
import socket
from itertools import islice
from pathlib import Path
from typing import Final

_OUTGOING_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST: Final = 10_000


def free_ports(count: int) -> list[int]:
    """Return so many different free ports.

    They are below those of outgoing connections, which could take a port before the program
    listens on it.

    Raises:
        OSError: there are not so many.
    """
    limit = int(_OUTGOING_RANGE.read_text().split()[0])
    candidates = random.sample(range(_LOWEST, limit), limit - _LOWEST)
    ports = list(islice(filter(_is_free, candidates), count))
    if len(ports) < count:
        raise OSError(f"fewer than {count} ports are free between {_LOWEST} and {limit}")
    return ports


def free_port() -> int:
    """Return one free port.

    Raises:
        OSError: there is none.
    """
    return free_ports(1)[0]


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
