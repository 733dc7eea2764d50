from datetime import UTC, datetime
from typing import Any

import pytest

from aichat_workspace.domain.kubernetes.field_ownership import (
    changed_at,
    foreign_changes,
    json_patch,
    keep_foreign,
    removals,
)

OURS = "aichat-workspace-operator"


def deployment(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "kind": "Deployment",
        "metadata": {"name": "d", "resourceVersion": "5"},
        "spec": {"template": {"spec": {"containers": list(containers), **spec}}},
    }


def managed(obj: dict[str, Any], manager: str, fields: dict[str, Any], **more: str) -> Any:
    entry = {"manager": manager, "fieldsV1": {"f:spec": fields}, **more}
    return {**obj, "metadata": {**obj["metadata"], "managedFields": [entry]}}


def pod_fields(fields: dict[str, Any]) -> dict[str, Any]:
    return {"f:template": {"f:spec": fields}}


WEB = {"name": "web", "env": [{"name": "A", "value": "1"}]}
DESIRED = deployment(WEB)
RECORD = ("metadata", "managedFields", 0, "fieldsV1", "f:spec")


def test_an_object_that_only_we_own_is_cached_without_managed_fields() -> None:
    cached = keep_foreign(managed(DESIRED, OURS, pod_fields({})), OURS)
    assert "managedFields" not in cached["metadata"]
    assert removals(cached, DESIRED) == ()


def test_a_foreign_container_is_removed() -> None:
    evil = {"name": "evil", "image": "evil:1"}
    fields = pod_fields({"f:containers": {'k:{"name":"evil"}': {".": {}, "f:image": {}}}})
    observed = keep_foreign(managed(deployment(WEB, evil), "kubectl", fields), OURS)
    assert removals(observed, DESIRED) == (("spec", "template", "spec", "containers", 1), RECORD)


def test_fields_are_removed_from_the_highest_index_down() -> None:
    added = [{"name": name} for name in ("x", "y")]
    fields = pod_fields({"f:containers": {f'k:{{"name":"{n}"}}': {".": {}} for n in ("x", "y")}})
    observed = keep_foreign(managed(deployment(WEB, *added), "kubectl", fields), OURS)
    patch = json_patch(removals(observed, DESIRED), observed)
    assert patch == [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "5"},
        {"op": "remove", "path": "/spec/template/spec/containers/2"},
        {"op": "remove", "path": "/spec/template/spec/containers/1"},
        {"op": "remove", "path": "/metadata/managedFields/0/fieldsV1/f:spec"},
    ]


def test_whose_fields_are_removed_owns_none_in_spec_any_more() -> None:
    """Else who wrote a default, as a restored backup does, owns it for ever."""
    ours = {"manager": OURS, "fieldsV1": {"f:spec": pod_fields({})}}
    scaler = {"manager": "hpa", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    restore = {"manager": "velero", "fieldsV1": {"f:spec": {"f:paused": {}, **pod_fields({})}}}
    restored = {**DESIRED, "spec": {**DESIRED["spec"], "replicas": 1, "paused": False}}
    restored["metadata"] = {**DESIRED["metadata"], "managedFields": [ours, scaler, restore]}
    desired = {**DESIRED, "spec": {**DESIRED["spec"], "replicas": 1}}
    record = ("metadata", "managedFields", 2, "fieldsV1", "f:spec")
    assert removals(keep_foreign(restored, OURS), desired) == (("spec", "paused"), record)


def test_a_changed_value_of_ours_is_not_removed() -> None:
    fields = pod_fields(
        {"f:containers": {'k:{"name":"web"}': {"f:env": {'k:{"name":"A"}': {"f:value": {}}}}}}
    )
    observed = keep_foreign(managed(DESIRED, "kubectl", fields), OURS)
    assert removals(observed, DESIRED) == ()


def test_the_annotation_of_a_restart_is_no_drift() -> None:
    observed = deployment(WEB)
    observed["spec"]["template"]["metadata"] = {"annotations": {"restartedAt": "now"}}
    fields: dict[str, Any] = {
        "f:template": {"f:metadata": {"f:annotations": {"f:restartedAt": {}}}}
    }
    desired = deployment(WEB)
    desired["spec"]["template"]["metadata"] = {"labels": {}}
    cached = keep_foreign(managed(observed, "kubectl-rollout", fields), OURS)
    assert removals(cached, {**desired}) == ()


@pytest.mark.parametrize("subresource", ["", "scale"])
def test_who_changed_a_field_of_ours_is_named(subresource: str) -> None:
    observed = {**DESIRED, "spec": {**DESIRED["spec"], "replicas": 3}}
    desired = {**DESIRED, "spec": {**DESIRED["spec"], "replicas": 1}}
    fields: dict[str, Any] = {"f:replicas": {}, **pod_fields({"f:containers": {}})}
    cached = keep_foreign(managed(observed, "hpa", fields, subresource=subresource), OURS)
    assert foreign_changes(cached, desired) == (("hpa", "spec.replicas"),)
    assert removals(cached, desired) == ()
    assert foreign_changes(cached, observed) == (), "the same value is no change"


def test_who_added_a_field_is_named() -> None:
    added = deployment(WEB, hostNetwork=True)
    cached = keep_foreign(managed(added, "kubectl", pod_fields({"f:hostNetwork": {}})), OURS)
    assert foreign_changes(cached, DESIRED) == (("kubectl", "spec.template.spec.hostNetwork"),)


def test_fields_of_a_subresource_are_no_drift() -> None:
    observed = managed(deployment(WEB), "controller", pod_fields({"f:x": {}}), subresource="status")
    assert removals(keep_foreign(observed, OURS), DESIRED) == ()


def test_a_slash_in_a_field_is_escaped_in_the_patch() -> None:
    observed = {"metadata": {"resourceVersion": "1"}}
    (_, remove) = json_patch([("spec", "a/b~c")], observed)
    assert remove["path"] == "/spec/a~1b~0c"


def test_a_foreign_field_of_a_route_is_removed() -> None:
    desired = {"kind": "HTTPRoute", "metadata": {"name": "r"}, "spec": {"rules": []}}
    extended = {**desired, "spec": {"rules": [], "useDefaultGateways": "All"}}
    observed = keep_foreign(managed(extended, "kubectl", {"f:useDefaultGateways": {}}), OURS)
    assert removals(observed, desired) == (("spec", "useDefaultGateways"), RECORD)


def test_the_time_of_our_last_change_is_cached() -> None:
    times = ("2026-11-23T11:00:00Z", "2026-11-23T12:00:00Z", "2026-11-23T13:00:00Z")
    changes = zip((OURS, OURS, "kubectl"), times, strict=True)
    entries = [{"manager": manager, "time": time} for manager, time in changes]
    changed = {**DESIRED, "metadata": {"name": "d", "managedFields": entries}}
    assert changed_at(keep_foreign(changed, OURS)) == datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert changed_at(keep_foreign(DESIRED, OURS)) is None


def ingress(**annotations: str) -> dict[str, Any]:
    ours = {"apps.aichatworkspaces.io/applied": "1"}
    metadata = {"name": "i", "annotations": {**ours, **annotations}, "labels": {"ours": "yes"}}
    return {"kind": "Ingress", "metadata": metadata, "spec": {}}


def added_by(obj: dict[str, Any], manager: str, part: str, *names: str) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "f:metadata": {f"f:{part}": {".": {}, **{f"f:{name}": {} for name in names}}}
    }
    entry = {"manager": manager, "fieldsV1": fields}
    return {**obj, "metadata": {**obj["metadata"], "managedFields": [entry]}}


ALIAS = "nginx.ingress.kubernetes.io/server-alias"
PROJECT = "field.cattle.io/projectId"


def test_a_foreign_annotation_of_a_way_in_is_removed_unless_it_is_allowed() -> None:
    extended = ingress(**{ALIAS: "*.example.org", PROJECT: "p-1"})
    observed = keep_foreign(added_by(extended, "kubectl-edit", "annotations", ALIAS, PROJECT), OURS)
    assert removals(observed, ingress(), ("field.cattle.io/*",)) == (
        ("metadata", "annotations", ALIAS),
    )
    assert len(removals(observed, ingress())) == 2
    assert removals(observed, ingress(), ("field.cattle.io/*", ALIAS)) == ()


def test_who_added_an_annotation_is_named_unless_it_is_allowed() -> None:
    extended = ingress(**{ALIAS: "*.example.org", PROJECT: "p-1"})
    observed = keep_foreign(added_by(extended, "kubectl-edit", "annotations", ALIAS, PROJECT), OURS)
    changes = foreign_changes(observed, ingress(), ("field.cattle.io/*",))
    assert changes == (("kubectl-edit", f"metadata.annotations.{ALIAS}"),)
    assert foreign_changes(observed, extended) == ()


def test_a_foreign_label_of_a_namespace_is_removed() -> None:
    team = "aichatworkspaces.io/team"
    desired = {"kind": "Namespace", "metadata": {"name": "n", "labels": {"ours": "yes"}}}
    labelled = {**desired, "metadata": {"name": "n", "labels": {"ours": "yes", team: "true"}}}
    observed = keep_foreign(added_by(labelled, "kubectl-label", "labels", team), OURS)
    assert removals(observed, desired) == (("metadata", "labels", team),)


def test_what_an_admission_webhook_adds_to_our_own_write_is_no_drift() -> None:
    """The API server counts it as ours; to remove it would bring it back with the next write."""
    observed = keep_foreign(added_by(ingress(**{ALIAS: "x"}), OURS, "annotations", ALIAS), OURS)
    assert removals(observed, ingress()) == ()


def test_an_annotation_of_ours_that_another_one_has_set_too_is_not_removed() -> None:
    applied = "apps.aichatworkspaces.io/applied"
    observed = keep_foreign(added_by(ingress(), "kubectl", "annotations", applied), OURS)
    assert removals(observed, ingress()) == ()


def test_annotations_of_other_kinds_and_labels_of_theirs_may_be_foreign() -> None:
    revision = "deployment.kubernetes.io/revision"
    deployed = {**DESIRED, "metadata": {**DESIRED["metadata"], "annotations": {revision: "1"}}}
    observed = keep_foreign(
        added_by(deployed, "kube-controller-manager", "annotations", revision), OURS
    )
    assert removals(observed, DESIRED) == ()
