"""Follow workspaces as they change: a watch that resumes, with a clock beside it."""

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from aichat_workspace.cli.client import problems
from aichat_workspace.cli.client.api import WORKSPACES, Api
from aichat_workspace.cli.client.events import Event
from aichat_workspace.cli.errors import CliError, ExitCode

CHANGES: Final = frozenset({"ADDED", "MODIFIED", "DELETED"})
_WATCH_FAILED: Final = "the workspaces were not watched"
_RECONNECT_SECONDS: Final = 1.0
_SILENCE_SECONDS: Final = 45.0  # a heartbeat comes every 15
_MAX_RECONNECTS: Final = 30


def watch(api: Api, *, name: str | None = None, team: str | None = None) -> Iterator[Event]:
    """Yield the events of a watch, over as many connections as it takes.

    Raises CliError: when the first connection fails, when the server ends the watch for a reason
    of the caller's, and when it stays away for half a minute.
    """
    last_id, failures, has_begun = "", 0, False
    while True:
        try:
            query = {"name": name, "team": team}
            path = f"{WORKSPACES}:watch"
            for event in api.events(
                _WATCH_FAILED, path, query=query, last_id=last_id, silence_seconds=_SILENCE_SECONDS
            ):
                failures, has_begun = 0, True
                last_id = last_id if event.id is None else event.id
                if event.kind == "end":
                    _require_transient(event)
                    break
                yield event
        except CliError as error:
            if error.code is not ExitCode.UNREACHABLE or not has_begun:
                raise
            failures += 1
            if failures > _MAX_RECONNECTS:
                raise
        time.sleep(_RECONNECT_SECONDS)


def _require_transient(event: Event) -> None:
    """Raise CliError unless the server only asks to connect again."""
    status = event.data.get("status")
    if isinstance(status, int) and status < 500:
        raise problems.from_problem(_WATCH_FAILED, status, event.data)


@dataclass(frozen=True, slots=True)
class Feed:
    """Events of a watch that runs in a thread, so that its reader can look at a clock, too."""

    _events: "queue.SimpleQueue[Event | Exception]"

    def next_event(self, seconds: float) -> Event | None:
        """Wait for the next event; None after so many seconds. Raises what the watch raises."""
        try:
            item = self._events.get(timeout=max(seconds, 0))
        except queue.Empty:
            return None
        if isinstance(item, Exception):
            raise item
        return item


@contextmanager
def feed(api: Api, *, name: str | None = None, team: str | None = None) -> Iterator[Feed]:
    """Watch in a thread until the block ends."""
    events: queue.SimpleQueue[Event | Exception] = queue.SimpleQueue()
    stopped = threading.Event()

    def run() -> None:
        try:
            for event in watch(api, name=name, team=team):
                if stopped.is_set():
                    return
                events.put(event)
        except Exception as error:  # raised again by the reader
            events.put(error)

    # A daemon: a read that waits for the next heartbeat holds up no exit.
    threading.Thread(target=run, daemon=True).start()
    try:
        yield Feed(events)
    finally:
        stopped.set()
