"""Labels and conditions are chosen as with kubectl."""

import re

import pytest

from aichat_workspace.api.workspaces.selectors import (
    CONDITIONS_PATTERN,
    LABELS_PATTERN,
    has_conditions,
    parse_conditions,
    parse_labels,
)

LABELS = {"stage": "prod", "example.org/owner": "ann", "empty": ""}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("stage", True),
        ("stage=prod", True),
        ("stage==prod", True),
        ("stage!=prod", False),
        ("stage=test", False),
        ("stage!=test", True),
        ("other!=test", True),
        ("other", False),
        ("!other", True),
        ("!stage", False),
        ("empty=", True),
        ("stage=", False),
        ("example.org/owner=ann,stage", True),
        ("example.org/owner=ann,!stage", False),
    ],
)
def test_labels_are_chosen_by_equality_and_presence(text: str, matches: bool) -> None:
    assert re.search(LABELS_PATTERN, text)
    assert all(requirement.matches(LABELS) for requirement in parse_labels(text)) is matches


@pytest.mark.parametrize("text", ["", "=", "a=b=c", "a,", "!a=b", "a in (b)", "a=b c", "é"])
def test_what_is_no_selector_of_labels_is_refused(text: str) -> None:
    assert not re.search(LABELS_PATTERN, text)


def test_all_conditions_have_to_be_there() -> None:
    present = [{"type": "Ready", "status": "False"}, {"type": "UpToDate", "status": "True"}]
    assert has_conditions(present, parse_conditions("Ready=False,UpToDate=True"))
    assert not has_conditions(present, parse_conditions("Ready=True"))
    assert not has_conditions(present, parse_conditions("Stalled=False"))
    assert has_conditions([], parse_conditions(None))


@pytest.mark.parametrize("text", ["", "Ready", "Ready=", "Ready=false", "Ready=True,"])
def test_what_is_no_condition_is_refused(text: str) -> None:
    assert not re.search(CONDITIONS_PATTERN, text)
