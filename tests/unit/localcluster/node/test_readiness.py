import socket
import threading
from collections.abc import Callable

import pytest

from localcluster.node import readiness
from localcluster.node.readiness import has_address, is_listening
from localcluster.ports import free_port

_ADDRESS = b"\xc0\x0c\0\x01\0\x01\0\0\0\x05\0\x04\x0a\x60\0\x01"


def answer(flags: bytes, count: int) -> Callable[[bytes], bytes]:
    """Return how a DNS server answers a question."""
    return lambda query: (
        query[:2] + flags + query[4:6] + bytes([0, count]) + query[8:] + _ADDRESS * count
    )


@pytest.mark.parametrize(
    ("respond", "expected"),
    [
        (answer(b"\x85\x80", 1), True),
        (answer(b"\x85\x80", 0), False),
        (answer(b"\x81\x83", 0), False),
        (answer(b"\x81\x82", 1), False),
    ],
    ids=["address", "no-address", "no-such-name", "server-failure"],
)
def test_a_name_has_an_address_when_the_answer_has_one_and_no_error(
    respond: Callable[[bytes], bytes], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "_TRY_SECONDS", 10)
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            query, client = server.recvfrom(512)
            assert b"\x0akubernetes\x07default\0" in query
            server.sendto(respond(query), client)

        thread = threading.Thread(target=serve)
        thread.start()
        port = server.getsockname()[1]
        assert has_address("127.0.0.1", "kubernetes.default", port) is expected
        thread.join()


def test_a_port_without_a_listener_is_not_ready() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        assert is_listening("127.0.0.1", port)
    assert not is_listening("127.0.0.1", port)
    assert not has_address("127.0.0.1", "kubernetes.default", port)
