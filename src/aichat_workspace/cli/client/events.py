"""Server-sent events, as a stream of lines.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """One event."""

    kind: str
    data: dict[str, Any]
    id: str | None = None
    """Where a stream that broke off can be resumed; empty to forget it, None to keep it."""


def split_lines(chunks: Iterable[str]) -> Iterator[str]:
    """Yield whole lines. Only a line feed ends one: text may hold Unicode's other separators."""
    rest = ""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split("\n")
        for text in whole:
            yield text.removesuffix("\r")


def parse_events(lines: Iterable[str]) -> Iterator[Event]:
    """Yield the events. Comments, unknown fields and an unfinished last event are left out."""
    kind, data, token = "", list[str](), None
    for text in lines:
        name, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if not text:
            if data:
                yield Event(kind or "message", _document("\n".join(data)), token)
            kind, data, token = "", [], None
        elif name == "event":
            kind = value
        elif name == "data":
            data.append(value)
        elif name == "id":
            token = value


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
