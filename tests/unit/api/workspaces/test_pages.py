from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aichat_workspace.api.web.responses.problems import ProblemError
from aichat_workspace.api.workspaces import pages
from aichat_workspace.api.workspaces.cluster_view import FIRST
from aichat_workspace.api.workspaces.pages import Filter, Page, Sort
from aichat_workspace.api.workspaces.selectors import parse_labels
from aichat_workspace.api.workspaces.views import View
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


def _sorted_page(views: list[View], token: str | None, sort: Sort, limit: int) -> Page:
    after = pages.parse_sorted_page(token, sort)
    return pages.take_sorted_page(views, lambda _: True, limit, sort, after)


def _aged(name: str) -> View:
    """Four are as old as each other, and the order of ages is not that of names."""
    created = f"2026-01-{(int(name[1:]) * 7) % 30 // 4 + 1:02}T00:00:00Z"
    return sample_view(name, created=created)


@pytest.mark.parametrize("text", ["created", "-created", "team", "-name"])
@given(stays=NAMES, flickers=st.lists(NAMES, max_size=20), limit=st.integers(1, 7))
def test_a_sorted_list_has_each_workspace_once_while_others_come_and_go(
    text: str, stays: set[str], flickers: list[set[str]], limit: int
) -> None:
    sort, listed = Sort.parse(text), list[View]()
    token = None
    for turn in range(40):
        others = flickers[turn % len(flickers)] if flickers else set()
        page = _sorted_page([_aged(name) for name in sorted(stays | others)], token, sort, limit)
        listed, token = [*listed, *page.views], page.next_page
        if token is None:
            break
    assert token is None
    expected = sorted(map(_aged, stays), key=sort.key, reverse=sort.is_descending)
    assert [view for view in listed if view.name in stays] == expected
    assert len({view.name for view in listed}) == len(listed)


def test_a_list_by_phase_begins_with_what_needs_somebody() -> None:
    phases = {"w1": "Ready", "w2": "Degraded", "w3": "Ready", "w4": "PullingModels"}
    views = [sample_view(name, status={"phase": phase}) for name, phase in phases.items()]
    page = _sorted_page(views, None, Sort.parse("phase"), 10)
    assert [view.name for view in page.views] == ["w2", "w4", "w1", "w3"]


def test_a_page_of_another_order_is_refused() -> None:
    token = _sorted_page([sample_view("w1"), sample_view("w2")], None, Sort.parse("team"), 1)
    with pytest.raises(ProblemError, match="sort=team"):
        pages.parse_sorted_page(token.next_page, Sort.parse("-team"))
    with pytest.raises(ProblemError, match="no page of this list"):
        pages.parse_page(token.next_page)


METADATA = {
    "displayName": "Straße",
    "costCentre": "CC-1",
    "labels": {"stage": "prod", "example.org/owner": "ann"},
}


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        (Filter(text="strasse"), True),
        (Filter(cost_centre="CC-1"), True),
        (Filter(cost_centre=""), False),
        (Filter(labels=parse_labels("stage=prod,example.org/owner")), True),
        (Filter(labels=parse_labels("stage=prod,!example.org/owner")), False),
        (Filter(conditions=(("Ready", "False"),)), True),
        (Filter(conditions=(("Ready", "False"), ("UpToDate", "True"))), False),
    ],
)
def test_a_filter_looks_at_what_tells_people_and_at_conditions(
    query: Filter, matches: bool
) -> None:
    conditions = [{"type": "Ready", "status": "False"}]
    view = sample_view(spec=METADATA, status={"conditions": conditions})
    assert query.matches(view) is matches


SINCE = datetime(2026, 11, 1, tzinfo=UTC)
OCTOBER, NOVEMBER = "2026-10-15T00:00:00Z", "2026-11-15T00:00:00Z"


@pytest.mark.parametrize(
    ("activity", "phase", "created", "is_listed"),
    [
        ({"usedAt": OCTOBER, "askedAt": NOVEMBER}, "Ready", OCTOBER, True),
        ({"askedAt": NOVEMBER}, "Ready", OCTOBER, True),
        ({"usedAt": NOVEMBER, "askedAt": NOVEMBER}, "Ready", OCTOBER, False),
        ({"usedAt": OCTOBER, "askedAt": OCTOBER}, "Ready", OCTOBER, False),
        ({"askedAt": NOVEMBER}, "Ready", NOVEMBER, False),
        ({"message": "it is away"}, "Ready", OCTOBER, False),
        (None, "Ready", OCTOBER, False),
        ({"usedAt": OCTOBER}, "Suspended", OCTOBER, True),
        ({"usedAt": NOVEMBER}, "Suspended", OCTOBER, False),
        (None, "Suspended", OCTOBER, True),
    ],
)
def test_idle_is_what_is_known_to_be_unused_since_a_time_at_which_it_was_there(
    activity: dict[str, str] | None, phase: str, created: str, *, is_listed: bool
) -> None:
    status = {"phase": phase, **({"activity": activity} if activity else {})}
    view = sample_view(status=status, created=created)
    assert Filter(idle_since=SINCE).matches(view) is is_listed


def test_a_list_by_last_activity_begins_with_what_nobody_used() -> None:
    used = {"w1": "2026-11-02T00:00:00Z", "w2": None, "w3": "2026-10-02T00:00:00Z"}
    views = [
        sample_view(name, status={"activity": {"usedAt": moment}} if moment else {})
        for name, moment in used.items()
    ]
    page = _sorted_page(views, None, Sort.parse("usedAt"), 2)
    assert [view.name for view in page.views] == ["w2", "w3"]
    rest = _sorted_page(views, page.next_page, Sort.parse("usedAt"), 2)
    assert [view.name for view in rest.views] == ["w1"]
