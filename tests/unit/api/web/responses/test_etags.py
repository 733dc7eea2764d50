import pytest

from aichat_workspace.api.web.responses.etags import is_unchanged, matches
from tests.unit.api.samples import sample_view

READ = sample_view(uid="u", generation=3, version=7)


def test_an_etag_is_uid_generation_and_version() -> None:
    assert READ.etag == '"u.3.7"'


@pytest.mark.parametrize(
    ("if_match", "is_match"),
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
def test_if_match_compares_uid_and_generation(if_match: str | None, is_match: bool) -> None:
    assert matches(READ.etag, if_match) is is_match


@pytest.mark.parametrize(
    ("if_none_match", "is_same"),
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
def test_if_none_match_compares_the_whole_etag(if_none_match: str | None, is_same: bool) -> None:
    assert is_unchanged(READ.etag, if_none_match) is is_same
