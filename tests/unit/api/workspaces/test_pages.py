import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aichat_workspace.api.web.problems import ProblemError
from aichat_workspace.api.workspaces import pages
from aichat_workspace.api.workspaces.cluster_view import FIRST
from aichat_workspace.api.workspaces.pages import Filter, Page
from aichat_workspace.domain.v1alpha1.workspace_status import Phase
from tests.unit.api.samples import sample_view

NAMES = st.sets(st.sampled_from([f"w{number:02}" for number in range(30)]))


def _page(present: set[str], token: str | None, limit: int) -> Page:
    after = pages.parse_page(token)
    views = (view for view in map(sample_view, sorted(present)) if view.order > after)
    return pages.take_page(views, lambda _: True, limit)


@given(stays=NAMES, flickers=st.lists(NAMES, max_size=20), limit=st.integers(1, 7))
def test_a_workspace_is_on_exactly_one_page_while_others_come_and_go(
    stays: set[str], flickers: list[set[str]], limit: int
) -> None:
    listed: list[str] = []
    token = None
    for turn in range(40):
        others = flickers[turn % len(flickers)] if flickers else set()
        page = _page(stays | others, token, limit)
        views, token = page.views, page.next_page
        assert len(views) <= limit
        listed += [view.name for view in views]
        if token is None:
            break
    assert token is None
    assert [name for name in listed if name in stays] == sorted(stays)
    assert len(listed) == len(set(listed))


def test_the_last_page_has_no_next_page() -> None:
    page = _page({"w1", "w2"}, None, 2)
    assert [view.name for view in page.views] == ["w1", "w2"]
    assert page.next_page is None


def test_the_first_page_begins_at_the_beginning() -> None:
    assert pages.parse_page(None) == FIRST


@pytest.mark.parametrize("token", ["", "x", "é", "bnVsbA==", "WzFd", "eyJhIjoxfQ==", "=" * 9])
def test_an_invalid_page_token_is_refused(token: str) -> None:
    with pytest.raises(ProblemError) as caught:
        pages.parse_page(token)
    assert caught.value.status == 422
    assert caught.value.errors[0].field == "page"


@pytest.mark.parametrize(
    ("query", "matches"),
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
def test_a_filter_matches_all_that_it_names(query: Filter, matches: bool) -> None:
    status = {"phase": "Ready", "url": "https://chat.example.org"}
    assert query.matches(sample_view("team-a", status=status)) is matches


def test_a_page_has_whole_workspaces_or_only_the_requested_fields() -> None:
    views = [sample_view("a"), sample_view("b")]
    whole = orjson.loads(b"".join(pages.parts(Page(views), ())))
    assert whole["items"] == [view.document for view in views]
    some = orjson.loads(
        b"".join(pages.parts(Page(views, "next", 7), ["name", "spec.workspaceName"]))
    )
    assert some == {
        "items": [{"name": name, "spec": {"workspaceName": name}} for name in "ab"],
        "nextPage": "next",
        "total": 7,
    }
    assert orjson.loads(b"".join(pages.parts(Page([]), ()))) == {
        "items": [],
        "nextPage": None,
    }


def test_a_pages_etag_changes_with_its_content() -> None:
    views = [sample_view("a")]
    tags = {
        pages.etag(Page(views), ()),
        pages.etag(Page(views, "next"), ()),
        pages.etag(Page(views, total=2), ()),
        pages.etag(Page(views), ["name"]),
        pages.etag(Page([sample_view("a", version=2)]), ()),
        pages.etag(Page([]), ()),
    }
    assert len(tags) == 6
    assert pages.etag(Page([sample_view("a")]), ()) in tags
