"""Server-sent events as they are read."""

from aichat_workspace.cli.client.events import Event, parse_events, split_lines


def events(text: str) -> list[Event]:
    return [*parse_events(text.split("\n"))]


def test_events_have_kind_data_and_id() -> None:
    added = 'id: 7-a\nevent: ADDED\ndata: {"name":"a"}\n\n'
    text = f"retry: 1000\n\n{added}id:\nevent: reset\ndata: {{}}\n\n"
    assert events(text) == [Event("ADDED", {"name": "a"}, "7-a"), Event("reset", {}, "")]


def test_only_a_line_feed_ends_a_line() -> None:
    """JSON may hold Unicode's other separators as they are."""
    chunks = ["event: token\r\nda", 'ta: {"text":"a\u2028b\x85"}\r', "\n\n: unfinished"]
    assert [*parse_events(split_lines(chunks))] == [Event("token", {"text": "a\u2028b\x85"})]


def test_heartbeats_and_unknown_fields_are_ignored() -> None:
    assert events(': heartbeat\n\nnew: field\ndata: {"a":1}\n\n') == [Event("message", {"a": 1})]


def test_an_event_that_was_cut_off_is_not_one() -> None:
    assert events('event: done\ndata: {"model":"m"}') == []


def test_data_of_several_lines_is_one_document() -> None:
    assert events('event: a\ndata: {"a":\ndata: 1}\n\n') == [Event("a", {"a": 1})]


def test_data_that_is_no_object_is_an_empty_one() -> None:
    assert events("data: [1]\n\ndata: {\n\n") == [Event("message", {}), Event("message", {})]
