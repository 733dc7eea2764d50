import pytest

from aichat_workspace.console.views import rows
from aichat_workspace.domain.v1alpha1.workspace_status import Phase
from aichat_workspace.foundation.states import PHASES
from tests.unit.console.views.documents import NOW, condition, document


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_has_a_word_and_a_tone(phase: Phase) -> None:
    state = rows.state(document(status={"phase": phase}))
    assert state == PHASES[phase]


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://a.example.org", "https://a.example.org"),
        ("http://a.example.org", "http://a.example.org"),
        ("javascript:alert(1)", None),
        ("//elsewhere.example.org", None),
        (None, None),
    ],
)
def test_only_an_address_of_the_web_becomes_a_link(url: str | None, safe: str | None) -> None:
    assert rows.row(document(status={"phase": "Ready", "url": url}), NOW).chat == safe


@pytest.mark.parametrize(
    ("phase", "is_up", "spec", "is_offered"),
    [
        ("Ready", True, {}, True),
        ("PullingModels", True, {}, True),
        ("Degraded", True, {}, True),
        ("Degraded", False, {}, False),
        ("Provisioning", False, {}, False),
        ("Suspended", True, {"suspended": True}, False),
    ],
)
def test_the_chat_is_offered_wherever_it_answers_and_nowhere_else(
    phase: str, is_up: bool, spec: dict[str, bool], is_offered: bool
) -> None:
    chat = condition("OpenWebUIAvailable", str(is_up), "2026-01-01T00:00:00Z")
    status = {"phase": phase, "url": "https://a.example.org", "conditions": [chat]}
    row = rows.row(document(spec=spec, status=status), NOW)
    assert (row.chat is not None) is is_offered


def test_a_download_is_told_with_size_speed_and_time_left() -> None:
    model = {
        "name": "m",
        "state": "Pulling",
        "percent": 50,
        "completedBytes": 2**30,
        "totalBytes": 2**31,
        "bytesPerSecond": 2**20,
        "etaSeconds": 1024,
    }
    row = rows.row(document(status={"phase": "PullingModels", "models": [model]}), NOW)
    assert row.percent == 50
    assert row.note == "50 % · 1.0 GiB of 2.0 GiB · 1.0 MiB/s · about 17 min"


def test_a_download_that_has_only_begun_promises_nothing() -> None:
    model = {"name": "m", "state": "Pulling"}
    row = rows.row(document(status={"phase": "PullingModels", "models": [model]}), NOW)
    assert (row.percent, row.note) == (0, "0 %")


def test_counts_of_phases_are_shown_only_where_they_are_all_there_are() -> None:
    documents = [document(status={"phase": "Ready"}), document(status={"phase": "Degraded"})]
    whole = rows.phase_filters(documents, {}, is_whole=True)
    part = rows.phase_filters(documents, {"team": "a"}, is_whole=False)
    assert [(link.label, link.count) for link in whole] == [
        ("All", 2),
        ("Ready", 1),
        ("Needs you", 1),
    ]
    assert {link.count for link in part} == {None}
    assert [link.query for link in part] == [
        "?team=a",
        "?team=a&phase=Ready",
        "?team=a&phase=Degraded",
    ]


def test_the_phase_that_filters_stays_a_link_even_when_nothing_is_in_it() -> None:
    links = rows.phase_filters([], {"phase": "Ready"}, is_whole=True)
    assert [(link.label, link.is_current, link.count) for link in links] == [
        ("All", False, None),
        ("Ready", True, None),
    ]


def test_an_action_keeps_the_team_of_the_page() -> None:
    row = rows.row(document(name="a", team="b", status={"phase": "Ready"}), NOW)
    assert (row.path, row.action("delete")) == (
        "/workspaces/a?team=b",
        "/workspaces/a/delete?team=b",
    )


@pytest.mark.parametrize(
    ("activity", "words", "sentence"),
    [
        ({}, "", "not known"),
        ({"askedAt": NOW.isoformat()}, "unused", "never, as of 0 s ago"),
        ({"usedAt": NOW.isoformat()}, "used 0 s ago", "0 s ago"),
    ],
)
def test_when_people_last_used_it_is_said_where_it_is_known(
    activity: dict[str, str], words: str, sentence: str
) -> None:
    row = rows.row(document(status={"phase": "Ready", "activity": activity}), NOW)
    assert (row.used, row.use) == (words, sentence)


@pytest.mark.parametrize(
    ("sort", "field", "order", "target"),
    [
        ("", "name", "ascending", "-name"),
        ("-name", "name", "descending", "name"),
        ("-name", "phase", "none", "phase"),
        ("-created", "created", "ascending", "created"),
        ("created", "created", "descending", "-created"),
        ("team", "usedAt", "none", "-usedAt"),
    ],
)
def test_a_head_sorts_by_its_column_and_then_the_other_way_round(
    sort: str, field: str, order: str, target: str
) -> None:
    query = {"team": "a", "page": "next", **({"sort": sort} if sort else {})}
    links = [link for heads in rows.columns(query).values() for link in heads]
    (link,) = (link for link in links if link.field == field)
    assert (link.order, link.query) == (order, f"?team=a&sort={target}")
    assert sum(link.order != "none" for link in links) == 1


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ({}, ""),
        ({"sort": "name"}, ""),
        ({"sort": "-usedAt"}, "-usedAt"),
        ({"sort": 'name"><b>'}, None),
    ],
)
def test_the_form_has_every_order_and_which_one_it_is(
    query: dict[str, str], value: str | None
) -> None:
    options = rows.sort_options(query)
    assert [option.value for option in options if option.is_current] == (
        [] if value is None else [value]
    )
    assert len({option.label for option in options}) == len(options) == 10
