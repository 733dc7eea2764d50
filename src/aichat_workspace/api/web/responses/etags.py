"""ETag, If-Match and If-None-Match (RFC 9110 13.1).

A workspace's ETag is its UID, generation and version. If-Match compares only UID and generation: a
change of the status raises the version, and no update is lost by it. A weak tag counts as its
strong one, since proxies that compress make tags weak.
"""

_ANY = "*"


def _tags(header: str) -> list[str]:
    return [tag.strip().removeprefix("W/") for tag in header.split(",") if tag.strip()]


def _spec_of(tag: str) -> str:
    """Return UID and generation of an ETag."""
    return tag.strip('"').rpartition(".")[0]


def is_tag(if_match: str | None) -> bool:
    """Return whether If-Match names a state; without it and with `*` any state will do."""
    return if_match is not None and if_match.strip() != _ANY


def matches(etag: str, if_match: str | None) -> bool:
    """Return whether If-Match allows a change of this state."""
    if if_match is None or not is_tag(if_match):
        return True
    return any(_spec_of(tag) == _spec_of(etag) for tag in _tags(if_match))


def is_unchanged(etag: str, if_none_match: str | None) -> bool:
    """Return whether the reader has exactly this state already."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == _ANY or etag.removeprefix("W/") in _tags(if_none_match)
