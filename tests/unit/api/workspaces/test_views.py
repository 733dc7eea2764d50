import orjson
import pytest

from aichat_workspace.api.workspaces.views import select, view
from tests.unit.api.samples import resource, shown


def test_a_view_is_the_resource_without_kubernetes_own_ways() -> None:
    document = orjson.loads(shown("a", team="t", uid="u", generation=2).body)
    assert document == {
        "name": "a",
        "team": "t",
        "resource": "a",
        "uid": "u",
        "generation": 2,
        "created": "2026-01-01T00:00:00Z",
        "deleting": False,
        "requestedBy": "ann",
        "spec": {"workspaceName": "a"},
        "status": {"phase": "Pending"},
    }


def test_what_a_dry_run_would_make_can_be_shown() -> None:
    """The API server gives it no resourceVersion."""
    made = resource()
    del made["metadata"]["resourceVersion"]
    assert view(made).version == 0


def test_of_two_with_one_name_the_one_that_was_not_turned_away_counts_then_the_older() -> None:
    taken = {"conditions": [{"reason": "WorkspaceNameTaken"}]}
    older = shown(created="2025-01-01T00:00:00Z", status=taken)
    newer = shown(created="2026-01-01T00:00:00Z")
    newest = shown(created="2026-06-01T00:00:00Z")
    assert sorted([older, newest, newer], key=lambda each: each.rank) == [newer, newest, older]


@pytest.mark.parametrize(
    ("fields", "chosen"),
    [
        (["a"], {"a": {"b": {"c": 1}, "d": None}}),
        (["a.b.c"], {"a": {"b": {"c": 1}}}),
        (["a.d", "a.b"], {"a": {"d": None, "b": {"c": 1}}}),
        (["a.none", "none", "e.f"], {"a": {}}),
        ([], {}),
    ],
)
def test_fields_are_chosen_by_their_paths(fields: list[str], chosen: object) -> None:
    document = {"a": {"b": {"c": 1}, "d": None}, "e": 2}
    assert select(document, fields) == chosen


@pytest.mark.parametrize("fields", [["a", "a.b"], ["a.b", "a"], ["a", "a.b.c"], ["a", "a"]])
def test_a_field_and_a_part_of_it_are_the_field_and_the_document_stays_as_it_is(
    fields: list[str],
) -> None:
    document = {"a": {"b": {"c": 1}, "d": 2}}
    assert select(document, fields) == {"a": {"b": {"c": 1}, "d": 2}}
    assert document == {"a": {"b": {"c": 1}, "d": 2}}
