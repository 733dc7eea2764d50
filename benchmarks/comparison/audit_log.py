"""Read an API server's requests from its audit log, which works for any operator."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson

Event = dict[str, Any]
"""https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/"""

WRITES: Final = frozenset({"create", "update", "patch", "delete"})


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the log. The API server moves a full file away and begins another."""

    inode: int = 0
    offset: int = 0


@dataclass(frozen=True, slots=True)
class AuditLog:
    """One user's requests in the audit log of one API server."""

    path: Path
    user: str

    def end(self) -> Position:
        """Return the position of the end."""
        stat = self.path.stat()
        return Position(stat.st_ino, stat.st_size)

    def events(self, since: Position = Position()) -> Iterator[Event]:
        """Yield the user's answered requests since then, and the watches that began."""
        marker = f'"username":"{self.user}"'.encode()
        for path, offset in self._parts(since):
            with path.open("rb") as lines:
                lines.seek(offset)
                for line in lines:
                    if marker in line and line.endswith(b"\n"):
                        yield orjson.loads(line)

    def requests(self, since: Position) -> list[Event]:
        """Return the answered requests, without watches and the lease of a leader."""
        return [event for event in self.events(since) if is_request(event)]

    def _parts(self, since: Position) -> list[tuple[Path, int]]:
        rotated = sorted(
            self.path.parent.glob(f"{self.path.stem}-*{self.path.suffix}"),
            key=lambda path: path.stat().st_mtime,
        )
        files = [*rotated, self.path]
        inodes = [path.stat().st_ino for path in files]
        first = inodes.index(since.inode) if since.inode in inodes else 0
        offsets = [since.offset if inode == since.inode else 0 for inode in inodes]
        return list(zip(files, offsets, strict=True))[first:]


def is_request(event: Event) -> bool:
    """Return whether it is an answered request to the API server itself.

    Watches, leases and requests to servers behind the API server are not.
    """
    reference = event.get("objectRef", {})
    is_answered: bool = event["stage"] == "ResponseComplete" and event["verb"] != "watch"
    is_leadership: bool = reference.get("resource") == "leases"
    is_elsewhere: bool = reference.get("subresource") == "proxy"
    return is_answered and not is_leadership and not is_elsewhere


def is_write(event: Event) -> bool:
    """Return whether it stores something; reviews are only answered."""
    resource: str = event.get("objectRef", {}).get("resource", "")
    return is_request(event) and event["verb"] in WRITES and not resource.endswith("reviews")


def is_watch_of(event: Event, plural: str) -> bool:
    resource: str = event.get("objectRef", {}).get("resource", "")
    return resource == plural and str(event["verb"]) == "watch"


def count(events: list[Event]) -> Counter[str]:
    """Count requests by verb and kind."""
    return Counter(
        f"{event['verb']} {event.get('objectRef', {}).get('resource', 'other')}" for event in events
    )


def received_at(event: Event) -> float:
    """Return when the API server got the request, in seconds since the epoch."""
    return datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp()
