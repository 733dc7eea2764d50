import socket
import threading
from collections.abc import Callable

import pytest

from localcluster.node import readiness
from localcluster.node.readiness import listens, resolves

_ADDRESS = b"\xc0\x0c\0\x01\0\x01\0\0\0\x05\0\x04\x0a\x60\0\x01"


def answer(flags: bytes, answers: int) -> Callable[[bytes], bytes]:
    """A DNS server's answer to a question."""
    return lambda asked: (
        asked[:2] + flags + asked[4:6] + bytes([0, answers]) + asked[8:] + _ADDRESS * answers
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
def test_a_name_resolves_when_the_server_gives_an_address(
    respond: Callable[[bytes], bytes], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "_TRY_SECONDS", 10)
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            asked, who = server.recvfrom(512)
            assert b"\x0akubernetes\x07default\0" in asked
            server.sendto(respond(asked), who)

        thread = threading.Thread(target=serve)
        thread.start()
        port = server.getsockname()[1]
        assert resolves("127.0.0.1", "kubernetes.default", port) is expected
        thread.join()


def test_nobody_there_is_not_ready() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert listens("127.0.0.1", port)
    assert not listens("127.0.0.1", port)
    assert not resolves("127.0.0.1", "kubernetes.default", port)
