from collections.abc import Sequence

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aichat_workspace.api.web.problems import ProblemError
from aichat_workspace.api.workspaces import pages
from aichat_workspace.api.workspaces.cluster_view import FIRST
from aichat_workspace.api.workspaces.pages import Filter
from aichat_workspace.api.workspaces.views import View
from aichat_workspace.domain.v1alpha1.workspace_status import Phase
from tests.unit.api.samples import shown

NAMES = st.sets(st.sampled_from([f"w{at:02}" for at in range(30)]))


def _page(there: set[str], token: str | None, limit: int) -> tuple[Sequence[View], str | None]:
    after = pages.parse_page(token)
    views = (each for each in map(shown, sorted(there)) if each.order > after)
    return pages.take_page(views, lambda _: True, limit)


@given(stays=NAMES, flickers=st.lists(NAMES, max_size=20), limit=st.integers(1, 7))
def test_whoever_stays_is_on_exactly_one_page_whoever_comes_and_goes(
    stays: set[str], flickers: list[set[str]], limit: int
) -> None:
    found: list[str] = []
    token = None
    for at in range(40):
        others = flickers[at % len(flickers)] if flickers else set()
        views, token = _page(stays | others, token, limit)
        assert len(views) <= limit
        found += [each.name for each in views]
        if token is None:
            break
    assert token is None
    assert [each for each in found if each in stays] == sorted(stays)
    assert len(found) == len(set(found))


def test_the_last_page_says_that_it_is_the_last() -> None:
    views, token = _page({"w1", "w2"}, None, 2)
    assert [each.name for each in views] == ["w1", "w2"]
    assert token is None


def test_the_first_page_begins_at_the_beginning() -> None:
    assert pages.parse_page(None) == FIRST


@pytest.mark.parametrize("token", ["", "x", "é", "bnVsbA==", "WzFd", "eyJhIjoxfQ==", "=" * 9])
def test_a_page_that_nobody_gave_is_refused(token: str) -> None:
    with pytest.raises(ProblemError) as caught:
        pages.parse_page(token)
    assert caught.value.status == 422
    assert caught.value.errors[0].field == "page"


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        (Filter(), True),
        (Filter(team="team"), True),
        (Filter(team="other"), False),
        (Filter(phase=Phase.READY), True),
        (Filter(phase=Phase.PENDING), False),
        (Filter(owner="ann"), True),
        (Filter(owner="an"), False),
        (Filter(text="AM-A"), True),
        (Filter(text="chat.example"), True),
        (Filter(text="nothing"), False),
        (Filter(team="team", phase=Phase.READY, owner="ann", text="a"), True),
        (Filter(team="team", phase=Phase.READY, owner="bob", text="a"), False),
    ],
)
def test_a_filter_takes_what_it_names(wanted: Filter, matches: bool) -> None:
    status = {"phase": "Ready", "url": "https://chat.example.org"}
    assert wanted.matches(shown("team-a", status=status)) is matches


def test_a_page_holds_whole_workspaces_or_only_what_was_asked_for() -> None:
    views = [shown("a"), shown("b")]
    whole = orjson.loads(b"".join(pages.parts(views, None, ())))
    assert whole["items"] == [each.document for each in views]
    some = orjson.loads(b"".join(pages.parts(views, "next", ["name", "spec.workspaceName"])))
    assert some == {
        "items": [{"name": name, "spec": {"workspaceName": name}} for name in "ab"],
        "nextPage": "next",
    }


def test_a_pages_etag_changes_with_what_it_shows() -> None:
    views = [shown("a")]
    tags = {
        pages.etag(views, None, ()),
        pages.etag(views, "next", ()),
        pages.etag(views, None, ["name"]),
        pages.etag([shown("a", version=2)], None, ()),
        pages.etag([], None, ()),
    }
    assert len(tags) == 5
    assert pages.etag([shown("a")], None, ()) in tags
