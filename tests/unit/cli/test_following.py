"""A watch over several connections."""

import httpx2
import pytest

from aichat_workspace.cli import following
from aichat_workspace.cli.client.api import Api
from aichat_workspace.cli.errors import CliError, ExitCode


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_RECONNECT_SECONDS", 0)


class Server:
    """Answers each connection with the next of its streams, and then refuses all."""

    def __init__(self, *streams: str | int) -> None:
        self.streams = [*streams]
        self.last_ids: list[str | None] = []

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.last_ids.append(request.headers.get("Last-Event-ID"))
        if not self.streams:
            raise httpx2.ConnectError("refused")
        stream = self.streams.pop(0)
        if isinstance(stream, int):
            document = {"code": "any", "detail": "why"}
            return httpx2.Response(stream, json=document)
        return httpx2.Response(200, text=stream)

    def watch(self) -> list[str]:
        """Return the kinds of the events until the watch fails."""
        transport = httpx2.MockTransport(self.answer)
        api = Api(httpx2.Client(transport=transport, base_url="https://ai.example.org"))
        self.kinds: list[str] = []
        with pytest.raises(CliError) as caught:
            self.kinds.extend(event.kind for event in following.watch(api))
        self.error = caught.value
        return self.kinds


FIRST = "id:\nevent: reset\ndata: {}\n\nid: 5-a\nevent: synced\ndata: {}\n\n"
SECOND = 'event: MODIFIED\ndata: {"name": "a"}\n\n'


def test_a_stream_that_breaks_off_is_resumed_after_the_last_id() -> None:
    server = Server(FIRST, SECOND, 503, 403)
    server.watch()
    assert server.last_ids == [None, "5-a", "5-a", "5-a"]
    assert server.error.code is ExitCode.FORBIDDEN


def test_a_stream_that_breaks_off_before_its_first_id_begins_again() -> None:
    server = Server("event: reset\ndata: {}\n\n", 503, FIRST, 403)
    server.watch()
    assert server.last_ids == [None, None, None, "5-a"]


def test_a_server_that_stops_is_connected_to_again() -> None:
    end = 'event: end\ndata: {"detail": "The server stops. Connect again."}\n\n'
    server = Server(FIRST + end, 403)
    server.watch()
    assert server.last_ids == [None, "5-a"]


def test_a_lost_permission_ends_the_watch() -> None:
    end = 'event: end\ndata: {"status": 403, "code": "forbidden", "detail": "no more"}\n\n'
    server = Server(FIRST + end, FIRST)
    server.watch()
    assert (server.error.code, server.error.why) == (ExitCode.FORBIDDEN, ("no more",))
    assert len(server.last_ids) == 1


def test_a_server_that_was_never_there_is_not_tried_again() -> None:
    server = Server()
    server.watch()
    assert (server.error.code, len(server.last_ids)) == (ExitCode.UNREACHABLE, 1)


def test_a_server_that_stays_away_is_given_up() -> None:
    server = Server(FIRST)
    server.watch()
    assert server.error.code is ExitCode.UNREACHABLE
    assert len(server.last_ids) == 1 + following._MAX_RECONNECTS + 1
