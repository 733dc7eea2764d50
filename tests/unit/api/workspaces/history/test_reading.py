from datetime import UTC, datetime
from typing import Any

import pytest

from aichat_workspace.api.schemas.history import Action
from aichat_workspace.api.workspaces.history import record
from aichat_workspace.api.workspaces.history.changes import Change
from aichat_workspace.api.workspaces.history.reading import history
from tests.unit.api.samples import resource

CREATED = "2026-01-01T00:00:00Z"
MODELS: dict[str, Any] = {
    "f:spec": {".": {}, "f:models": {}, "f:quota": {"f:requests": {"f:cpu": {}}}}
}


def managed(manager: str, time: str, **parts: Any) -> dict[str, Any]:
    return {"manager": manager, "operation": "Update", "time": time, "fieldsV1": MODELS, **parts}


def changed_by(*managers: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    obj = resource(created=CREATED)
    obj["metadata"] |= {"managedFields": [*managers], **metadata}
    return obj


def test_what_another_way_changed_is_told_by_its_field_manager() -> None:
    (entry,) = history(changed_by(managed("kubectl-edit", "2026-01-02T00:00:00Z")))
    assert (entry.manager, entry.user, entry.action) == ("kubectl-edit", None, Action.EDIT)
    assert entry.changed == ("spec.models", "spec.quota.requests.cpu")


def test_the_api_the_operator_and_reports_of_the_status_are_no_other_way() -> None:
    later = "2026-01-02T00:00:00Z"
    own = [managed("aichat-workspace-api", later), managed("aichat-workspace-operator", later)]
    assert history(changed_by(*own, managed("other", later, subresource="status"))) == []


def test_a_manager_since_the_creation_has_created_what_the_api_has_not() -> None:
    obj = changed_by(managed("argocd-controller", CREATED))
    assert [entry.action for entry in history(obj)] == [Action.EDIT], "in the same second"
    obj["metadata"]["annotations"] = None
    assert [entry.action for entry in history(obj)] == [Action.CREATE]


def test_all_ways_are_in_the_order_of_time() -> None:
    edit = Change(Action.EDIT, ("spec.models",))
    entries = [
        record.entry(edit, user, datetime(2026, 1, day, tzinfo=UTC), "")
        for user, day in (("ann", 2), ("bo", 4))
    ]
    obj = changed_by(
        managed("helm", CREATED),
        managed("kubectl-edit", "2026-01-03T00:00:00Z"),
        deletionTimestamp="2026-01-05T00:00:00Z",
    )
    obj["metadata"]["annotations"]["apps.aichatworkspaces.io/history"] = record.text(entries)
    authors = [entry.user or entry.manager for entry in history(obj)]
    assert authors == [None, "bo", "kubectl-edit", "ann", "helm"]
    assert history(obj)[0].action is Action.DELETE


def test_labels_and_annotations_of_others_are_told_without_their_names() -> None:
    fields: dict[str, Any] = {
        "f:metadata": {"f:annotations": {".": {}, "f:secret-name": {}}, "f:labels": {}}
    }
    (entry,) = history(changed_by(managed("kubectl-annotate", CREATED, fieldsV1=fields)))
    assert entry.changed == ("metadata.labels", "metadata.annotations")


def test_a_record_of_owners_without_time_or_fields_is_no_change() -> None:
    owner = {"manager": "old", "operation": "Update"}
    assert history(changed_by(owner)) == []
    assert history(resource()) == []


def test_a_hostile_name_of_a_manager_is_cut() -> None:
    managers = [managed("x" * 10_000, CREATED) for _ in range(50)]
    entries = history(changed_by(*managers))
    assert len(entries) == 20
    assert len(str(entries[0].manager)) == 64


@pytest.mark.parametrize("nameless", [{}, {"manager": ""}, {"manager": None}])
def test_a_client_without_a_name_has_changed_something_too(nameless: dict[str, Any]) -> None:
    owned = managed("", "2026-01-02T00:00:00Z")
    del owned["manager"]
    (entry,) = history(changed_by(owned | nameless))
    assert entry.manager == "an unnamed client"


def test_fields_of_any_depth_are_read_and_deep_ones_are_one() -> None:
    fields: dict[str, Any] = {}
    for _ in range(10_000):
        fields = {"f:deep": fields, "f:other": {}}
    owned = managed("deep", "2026-01-02T00:00:00Z", fieldsV1={"f:spec": fields})
    (entry,) = history(changed_by(owned))
    assert entry.changed[0] == "spec.deep.deep.deep.deep"
