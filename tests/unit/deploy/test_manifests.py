from typing import Any

import pytest

from deploy.errors import RefusedError
from deploy.manifests import Identity, lost_fields, make_release, obsolete
from tests.unit.deploy.cluster import crd, manifest, release


def test_a_release_is_named_by_its_image_and_all_its_manifests() -> None:
    plain, changed = release("v1"), release("v1", manifest("ConfigMap", "more"))
    assert plain.name.startswith("registry.example.org/operator:v1 (")
    assert plain.name != changed.name
    assert plain == release("v1")


def test_a_kustomization_without_the_operator_is_refused() -> None:
    with pytest.raises(RefusedError, match="its resources need config/default"):
        make_release([manifest("ConfigMap", "only"), None])


def test_definitions_are_apart_from_what_needs_them() -> None:
    both = release("v1", manifest("ConfigMap", "more"))
    assert [item["kind"] for item in both.crds] == ["CustomResourceDefinition"]
    assert [item["kind"] for item in both.others] == ["Deployment", "ConfigMap"]
    assert both.deployments == ("aichat-workspace-operator",)


def test_what_holds_data_is_never_obsolete() -> None:
    kinds = ("Namespace", "PersistentVolumeClaim", "CustomResourceDefinition", "AIChatPlatform")
    data = [Identity("", kind, "", "data") for kind in kinds]
    role = Identity("rbac.authorization.k8s.io", "ClusterRole", "", "former")
    current = release("v1")
    assert obsolete([*data, role, *current.identities], current) == [role]


def test_a_policy_that_a_release_names_with_a_namespace_is_that_without_one() -> None:
    """Else a release would take off the policies of the one before, and so its own."""
    policy = manifest("ValidatingAdmissionPolicy", "wall")
    named, unnamed = release("v1", policy), release("v1", {**policy, "metadata": {"name": "wall"}})
    assert named.identities != unnamed.identities
    assert obsolete(named.identities, unnamed) == []
    assert obsolete(unnamed.identities, named) == []


def nested(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


TEXT = {"type": "string"}


@pytest.mark.parametrize(
    ("stored", "released", "lost"),
    [
        (nested(a=TEXT), nested(a=TEXT, b=TEXT), []),
        (nested(a=TEXT, b=TEXT), nested(a=TEXT), ["b"]),
        (nested(spec=nested(a=TEXT)), nested(spec=nested()), ["spec.a"]),
        (
            nested(items={"type": "array", "items": nested(a=TEXT, b=TEXT)}),
            nested(items={"type": "array", "items": nested(a=TEXT)}),
            ["items[].b"],
        ),
        (
            nested(map={"additionalProperties": nested(a=TEXT)}),
            nested(map={"additionalProperties": nested()}),
            ["map.*.a"],
        ),
        (
            nested(map={"additionalProperties": True}),
            nested(map={"additionalProperties": nested()}),
            [],
        ),
        (
            nested(kind={**TEXT, "enum": ["A", "B"]}),
            nested(kind={**TEXT, "enum": ["A"]}),
            ["kind=B"],
        ),
        (nested(kind={**TEXT, "enum": ["A"]}), nested(kind=TEXT), []),
        (
            nested(any=nested(a=TEXT)),
            nested(any={"x-kubernetes-preserve-unknown-fields": True}),
            [],
        ),
    ],
)
def test_fields_and_values_that_a_release_no_longer_knows_are_named(
    stored: dict[str, Any], released: dict[str, Any], lost: list[str]
) -> None:
    old, new = crd(), crd()
    for definition, schema in ((old, stored), (new, released)):
        definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema
    assert lost_fields(old, new) == lost


def test_a_field_that_both_versions_lose_is_named_once() -> None:
    stored, released = crd("a", "b"), crd("a")
    for definition in (stored, released):
        (version,) = definition["spec"]["versions"]
        definition["spec"]["versions"] = [version, {**version, "name": "v1beta1"}]
    assert lost_fields(stored, released) == ["b"]


def test_a_version_that_a_release_no_longer_knows_is_named() -> None:
    stored, released = crd("a"), crd("a")
    stored["spec"]["versions"].append({"name": "v1beta1"})
    assert lost_fields(stored, released) == ["version v1beta1"]
    assert lost_fields(released, stored) == []
