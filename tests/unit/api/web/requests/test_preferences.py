"""A caller's preference for how long to wait."""

import pytest

from aichat_workspace.api.web.requests.preferences import wait_seconds


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("wait=30", 30),
        ("respond-async, wait=30", 30),
        ('Wait = "30" ; foo=bar', 30),
        ("wait=30, wait=60", 30),
        ("wait=0", 0),
        ("wait", None),
        ("wait=-1", None),
        ("wait=1.5", None),
        ("wait=٣", None),
        ("await=30", None),
        ("wait=9999999999", None),
    ],
)
def test_the_first_wait_counts_and_what_is_not_understood_is_ignored(
    header: str | None, seconds: int | None
) -> None:
    assert wait_seconds(header) == seconds
