"""A node with pods, in network namespaces without names: they and all in them end with the last
reference to them, that is, with this process at the latest. The machine's own network is untouched.
"""

import ctypes
import os
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from localcluster.node.netpol.__main__ import filter_bridged_packets
from tests.unit.localcluster.node.netpol.states import METADATA, NODE, OUTSIDE, PODS, PORTS, SUBNET

BRIDGE: Final = "netpoltest0"
SERVICE: Final = "10.98.0.10"  # port 80 is port 81 of the first pod, as kube-proxy would have it
DNS_SERVICE: Final = "10.98.0.53"
_CLONE_NEWNET: Final = 0x40000000
_GRACE_SECONDS: Final = 0.1
_PATIENCE_SECONDS: Final = 10.0
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_T = TypeVar("_T")

LACKS: Final = [
    *(name for name in ("nft", "ip", "iptables") if shutil.which(name) is None),
    *(["root"] if os.geteuid() != 0 else []),
]


class Connection(NamedTuple):
    source: str
    destination: str
    port: int
    protocol: str


@dataclass(frozen=True)
class Network:
    """Namespaces by address; every one has listeners on all ports."""

    namespaces: dict[str, int]
    receivers: dict[tuple[str, int], socket.socket]

    def filter(self, ruleset: str) -> None:
        inside(self.namespaces[NODE], partial(run, "nft", "-f", "-", text=ruleset))

    def passing(
        self, connections: Iterable[Connection], expected: set[Connection]
    ) -> set[Connection]:
        """Which connections come about: waits for those expected, and a moment for the others."""
        attempts = list(connections)
        with ExitStack() as stack:
            streams = self._connect([c for c in attempts if c.protocol == "TCP"], stack)
            messages = self._send([c for c in attempts if c.protocol == "UDP"], stack)
            arrived: set[Connection] = set()
            deadline = time.monotonic() + _PATIENCE_SECONDS
            while time.monotonic() < deadline and not expected <= arrived:
                arrived |= self._arrived(streams, messages, 0.01)
            return arrived | self._arrived(streams, messages, _GRACE_SECONDS)

    def _connect(
        self, connections: Sequence[Connection], stack: ExitStack
    ) -> dict[socket.socket, Connection]:
        def begin(connection: Connection) -> socket.socket:
            stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            stream.connect_ex((connection.destination, connection.port))
            return stream

        begun = self._from_source(connections, begin)
        for stream in begun.values():
            stack.enter_context(stream)
        return {stream: connection for connection, stream in begun.items()}

    def _send(self, connections: Sequence[Connection], stack: ExitStack) -> dict[bytes, Connection]:
        """Each message says which connection it is, and when: late ones count for nothing."""
        moment = time.monotonic_ns()
        texts = {connection: f"{moment} {connection}".encode() for connection in connections}

        def send(connection: Connection) -> socket.socket:
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sender.sendto(texts[connection], (connection.destination, connection.port))
            return sender

        for sender in self._from_source(connections, send).values():
            stack.enter_context(sender)
        return {text: connection for connection, text in texts.items()}

    def _from_source(
        self, connections: Sequence[Connection], action: Callable[[Connection], socket.socket]
    ) -> dict[Connection, socket.socket]:
        done: dict[Connection, socket.socket] = {}
        for source in {connection.source for connection in connections}:
            own = [connection for connection in connections if connection.source == source]
            results = inside(self.namespaces[source], partial(_each, action, own))
            done |= dict(zip(own, results, strict=True))
        return done

    def _arrived(
        self,
        streams: dict[socket.socket, Connection],
        messages: dict[bytes, Connection],
        seconds: float,
    ) -> set[Connection]:
        time.sleep(seconds)
        poll = select.poll()
        by_number = {stream.fileno(): stream for stream in streams}
        for number in by_number:
            poll.register(number, select.POLLOUT)
        ready = (by_number[number] for number, _ in poll.poll(0))
        return {streams[stream] for stream in ready if _connected(stream)} | {
            messages[text] for text in self._messages() if text in messages
        }

    def _messages(self) -> Iterator[bytes]:
        for receiver in self.receivers.values():
            while True:
                try:
                    yield receiver.recv(200)
                except BlockingIOError:
                    break


@contextmanager
def network() -> Iterator[Network]:
    """Pods on a bridge, a node that routes and translates as CNI and kube-proxy do, and a world
    outside that also has the metadata address."""
    with ExitStack() as stack:
        spaces = {name: new_namespace(stack) for name in (NODE, OUTSIDE, *PODS)}
        inside(spaces[NODE], lambda: _build_node(spaces))
        inside(spaces[OUTSIDE], _build_outside)
        for pod in PODS:
            inside(spaces[pod], partial(_build_pod, pod))
        receivers = {
            (address, port): receiver
            for address, space in spaces.items()
            for port, receiver in inside(space, lambda: _listen(stack)).items()
        }
        yield Network(spaces, receivers)


def inside(namespace: int, action: Callable[[], _T]) -> _T:
    """Do something in another network: a thread goes there, and ends there."""

    def enter() -> _T:
        _check(_LIBC.setns(namespace, _CLONE_NEWNET))
        return action()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(enter).result()


def _each(
    action: Callable[[Connection], socket.socket], connections: Sequence[Connection]
) -> list[socket.socket]:
    return [action(connection) for connection in connections]


def new_namespace(stack: ExitStack) -> int:
    def create() -> int:
        _check(_LIBC.unshare(_CLONE_NEWNET))
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY)

    with ThreadPoolExecutor(1) as thread:
        number = thread.submit(create).result()
    stack.callback(os.close, number)
    return number


def _check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _build_node(spaces: dict[str, int]) -> None:
    ip("link set lo up")
    ip(f"link add {BRIDGE} type bridge")
    ip(f"addr add {NODE}/24 dev {BRIDGE}")
    ip(f"link set {BRIDGE} up")
    for number, pod in enumerate(PODS):
        ip(f"link add pod{number} type veth peer name eth0 netns {_path(spaces[pod])}")
        ip(f"link set pod{number} master {BRIDGE} up")
        ip(f"link set pod{number} type bridge_slave hairpin on")
    ip(f"link add outside type veth peer name eth0 netns {_path(spaces[OUTSIDE])}")
    ip("addr add 198.51.100.1/24 dev outside")
    ip("link set outside up")
    ip(f"route add {METADATA}/32 via {OUTSIDE}")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    filter_bridged_packets()
    _nat(f"PREROUTING -d {SERVICE} -p tcp --dport 80 -j DNAT --to-destination {PODS[0]}:81")
    _nat(f"PREROUTING -d {DNS_SERVICE} -p udp --dport 53 -j DNAT --to-destination {NODE}:53")
    _nat(f"PREROUTING -d {DNS_SERVICE} -p tcp --dport 443 -j DNAT --to-destination {NODE}:443")
    _nat(f"POSTROUTING -s {PODS[0]} -d {PODS[0]} -j MASQUERADE")
    _nat(f"POSTROUTING -s {SUBNET}.0/24 -d 198.51.100.0/24 -j MASQUERADE")


def _build_outside() -> None:
    ip("link set lo up")
    ip(f"addr add {OUTSIDE}/24 dev eth0")
    ip(f"addr add {METADATA}/32 dev lo")
    ip("link set eth0 up")
    ip(f"route add {SUBNET}.0/24 via 198.51.100.1")


def _build_pod(address: str) -> None:
    ip("link set lo up")
    ip(f"addr add {address}/24 dev eth0")
    ip(f"addr add {v6(address)}/64 dev eth0 nodad")
    ip("link set eth0 up")
    ip(f"route add default via {NODE}")


def v6(address: str) -> str:
    """A pod's address as a link-local one would be, but known beforehand."""
    return f"fd99::{address.rpartition('.')[2]}"


def _listen(stack: ExitStack) -> dict[int, socket.socket]:
    """The kernel itself completes connections that are not accepted, up to the backlog."""
    receivers = {}
    for port in PORTS:
        stream = stack.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_STREAM))
        stream.bind(("::", port))
        stream.listen(4096)
        receivers[port] = stack.enter_context(
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        )
        receivers[port].bind(("", port))
    return receivers


def _connected(stream: socket.socket) -> bool:
    try:
        stream.getpeername()
    except OSError:
        return False
    return True


def _path(namespace: int) -> str:
    return f"/proc/{os.getpid()}/fd/{namespace}"


def ip(arguments: str) -> None:
    run("ip", *arguments.split())


def _nat(rule: str) -> None:
    run("iptables", "-t", "nat", "-A", *rule.split())


def run(*command: str, text: str = "") -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}\n{text}"
    return done.stdout
