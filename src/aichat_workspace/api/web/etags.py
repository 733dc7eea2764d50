"""ETag, If-Match and If-None-Match (RFC 9110 13.1).

A workspace's ETag is its UID, generation and version. Changes are refused by UID and generation
only: progress, which moves the version, loses nobody's update.
"""

_ANY = "*"


def _tags(header: str) -> list[str]:
    return [each.strip().removeprefix("W/") for each in header.split(",") if each.strip()]


def _spec_of(tag: str) -> str:
    """UID and generation of an ETag."""
    return tag.strip('"').rpartition(".")[0]


def matches(etag: str, if_match: str | None) -> bool:
    """Whether a change may go on."""
    if if_match is None or if_match.strip() == _ANY:
        return True
    return any(_spec_of(each) == _spec_of(etag) for each in _tags(if_match))


def unchanged(etag: str, if_none_match: str | None) -> bool:
    """Whether the reader has just this already."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == _ANY or etag in _tags(if_none_match)
