import orjson
import pytest

from aichat_workspace.api.workspaces.views import select, view
from tests.unit.api.samples import resource, sample_view


def test_a_view_has_the_fields_of_the_api() -> None:
    document = orjson.loads(sample_view("a", team="t", uid="u", generation=2).body)
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


def test_the_view_of_a_dry_run_has_version_zero() -> None:
    """The API server gives it no resourceVersion."""
    obj = resource()
    del obj["metadata"]["resourceVersion"]
    assert view(obj).version == 0


def test_claimants_rank_by_acceptance_then_age() -> None:
    rejected = {"conditions": [{"reason": "WorkspaceNameTaken"}]}
    older = sample_view(created="2025-01-01T00:00:00Z", status=rejected)
    newer = sample_view(created="2026-01-01T00:00:00Z")
    newest = sample_view(created="2026-06-01T00:00:00Z")
    assert sorted([older, newest, newer], key=lambda claimant: claimant.rank) == [
        newer,
        newest,
        older,
    ]


@pytest.mark.parametrize(
    ("fields", "selected"),
    [
        (["a"], {"a": {"b": {"c": 1}, "d": None}}),
        (["a.b.c"], {"a": {"b": {"c": 1}}}),
        (["a.d", "a.b"], {"a": {"d": None, "b": {"c": 1}}}),
        (["a.none", "none", "e.f"], {"a": {}}),
        ([], {}),
    ],
)
def test_fields_are_selected_by_their_paths(fields: list[str], selected: object) -> None:
    document = {"a": {"b": {"c": 1}, "d": None}, "e": 2}
    assert select(document, fields) == selected


@pytest.mark.parametrize("fields", [["a", "a.b"], ["a.b", "a"], ["a", "a.b.c"], ["a", "a"]])
def test_a_field_and_a_part_of_it_select_the_field_and_leave_the_document_unchanged(
    fields: list[str],
) -> None:
    document = {"a": {"b": {"c": 1}, "d": 2}}
    assert select(document, fields) == {"a": {"b": {"c": 1}, "d": 2}}
    assert document == {"a": {"b": {"c": 1}, "d": 2}}
