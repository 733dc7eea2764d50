import pytest

from aichat_workspace.api.web.etags import is_unchanged, matches
from tests.unit.api.samples import shown

READ = shown(uid="u", generation=3, version=7)


def test_an_etag_is_uid_generation_and_version() -> None:
    assert READ.etag == '"u.3.7"'


@pytest.mark.parametrize(
    ("if_match", "goes_on"),
    [
        (None, True),
        ("*", True),
        (" * ", True),
        ('"u.3.7"', True),
        ('"u.3.1"', True),  # only progress since
        ('W/"u.3.7"', True),
        ('"x.1.1", "u.3.9"', True),
        ('"u.2.7"', False),
        ('"v.3.7"', False),
        ('"u.33.7"', False),
        ("", False),
        ('""', False),
        ("u", False),
    ],
)
def test_a_change_goes_on_from_the_spec_that_was_read(if_match: str | None, goes_on: bool) -> None:
    assert matches(READ.etag, if_match) is goes_on


@pytest.mark.parametrize(
    ("if_none_match", "same"),
    [
        (None, False),
        ("*", True),
        ('"u.3.7"', True),
        ('W/"u.3.7"', True),
        ('"a", "u.3.7"', True),
        ('"u.3.6"', False),
        ("", False),
    ],
)
def test_a_reader_has_it_already_only_in_just_this_state(
    if_none_match: str | None, same: bool
) -> None:
    assert is_unchanged(READ.etag, if_none_match) is same
