"""A network namespace without any way out, for this thread and all that it starts."""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_NEW_NETWORK: Final = 0x40000000  # CLONE_NEWNET of sched.h; Python has os.unshare from 3.12 on
_OWN: Final = Path("/proc/thread-self/ns/net")


@contextmanager
def closed_network() -> Iterator[None]:
    """Leave the machine's network until the block ends: there is only loopback.

    A pair of devices in it has a default route, as programs of a node look for one. Nobody answers
    there.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    machine = os.open(_OWN, os.O_RDONLY)
    try:
        _require(libc.unshare(_NEW_NETWORK))
        for command in (
            ("link", "set", "lo", "up"),
            ("link", "add", "nowhere", "type", "veth", "peer", "name", "nobody"),
            ("addr", "add", "203.0.113.2/24", "dev", "nowhere"),  # TEST-NET-3
            ("link", "set", "nowhere", "up"),
            ("link", "set", "nobody", "up"),
            ("route", "add", "default", "via", "203.0.113.1"),
        ):
            subprocess.run(["ip", *command], check=True)
        yield
    finally:
        _require(libc.setns(machine, _NEW_NETWORK))
        os.close(machine)


def _require(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
