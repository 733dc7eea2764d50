"""Free ports stay free until a program listens on them."""

import random
import socket

import pytest

from localcluster.ports import free_port, free_ports


def test_ports_are_free_and_different() -> None:
    ports = free_ports(50)
    assert len(set(ports)) == 50
    for port in ports:
        socket.create_server(("127.0.0.1", port)).close()


def test_a_port_with_a_listener_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    free = free_port()
    with socket.create_server(("127.0.0.1", 0)) as server:
        candidates = [server.getsockname()[1], free]
        monkeypatch.setattr(random, "sample", lambda *_: candidates)
        assert free_ports(1) == [free]
        with pytest.raises(OSError, match="fewer than 2"):
            free_ports(2)


def test_ports_are_below_those_of_outgoing_connections() -> None:
    assert max(free_ports(100)) < min(_outgoing_port() for _ in range(200))


def _outgoing_port() -> int:
    """Return the port that the kernel gives to an outgoing connection."""
    with socket.socket(type=socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", 9))
        port: int = sender.getsockname()[1]
        return port
