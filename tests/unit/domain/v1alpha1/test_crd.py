import json
from typing import Any

import jsonschema_rs
import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.v1alpha1 import crd
from aichat_workspace.domain.v1alpha1.platform_spec import Images, PlatformSpec
from aichat_workspace.domain.v1alpha1.workspace_spec import WorkspaceSpec
from aichat_workspace.domain.v1alpha1.workspace_status import WorkspaceStatus


def schemas(node: Any) -> list[dict[str, Any]]:
    """Return a schema and every schema in it."""
    nodes = [node]
    for child in (*node.get("properties", {}).values(), node.get("items")):
        if isinstance(child, dict):
            nodes += schemas(child)
    return nodes


def root(document: Any) -> dict[str, Any]:
    schema: dict[str, Any] = document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


@pytest.mark.parametrize("document", [crd.workspace_crd(), crd.platform_crd()])
def test_the_versions_differ_in_name_and_storage_only(document: Any) -> None:
    versions = document["spec"]["versions"]
    assert [(entry.pop("name"), entry.pop("storage")) for entry in versions] == [
        ("v1beta1", False),
        ("v1alpha1", True),
    ]
    assert versions[0] == versions[1]
    assert versions[0]["served"]
    assert document["spec"]["conversion"] == {"strategy": "None"}


def test_the_stored_version_is_the_one_that_programs_speak() -> None:
    for document in (crd.workspace_crd(), crd.platform_crd()):
        (stored,) = (entry for entry in document["spec"]["versions"] if entry["storage"])
        assert stored["name"] == names.VERSION


def test_only_a_version_that_is_deprecated_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    marks = {"deprecated", "deprecationWarning"}
    assert not any(marks & set(entry) for entry in crd.workspace_crd()["spec"]["versions"])
    monkeypatch.setattr(names, "DEPRECATED_VERSIONS", {"v1alpha1": "write v1beta1"})
    newest, oldest = crd.workspace_crd()["spec"]["versions"]
    assert not marks & set(newest)
    assert (oldest["deprecated"], oldest["deprecationWarning"]) == (True, "write v1beta1")


@pytest.mark.parametrize("document", [crd.workspace_crd(), crd.platform_crd()])
def test_kubectl_can_keep_a_definition_in_its_annotation(document: Any) -> None:
    """https://kubernetes.io/docs/reference/kubectl/generated/kubectl_apply/ keeps it as JSON, and
    annotations have 256 KiB."""
    assert len(json.dumps(document)) < 200 * 1024


@pytest.mark.parametrize("document", [crd.workspace_crd(), crd.platform_crd()])
def test_every_field_has_a_type_and_a_description(document: Any) -> None:
    for name in ("spec", "status"):
        top = root(document)["properties"].get(name)
        for schema in schemas(top) if top else ():
            assert "type" in schema or schema["x-kubernetes-int-or-string"]
            for field, child in schema.get("properties", {}).items():
                assert child.get("description"), field


@pytest.mark.parametrize("document", [crd.workspace_crd(), crd.platform_crd()])
def test_no_schema_has_a_keyword_that_the_api_server_refuses(document: Any) -> None:
    refused = {"$ref", "$defs", "anyOf", "title", "examples", "exclusiveMinimum", "const"}
    for schema in schemas(root(document)):
        assert not refused & set(schema)


def test_every_list_and_text_in_a_spec_is_bounded() -> None:
    for model in (WorkspaceSpec, PlatformSpec):
        for schema in schemas(crd.structural(model)):
            if schema.get("type") == "array":
                assert "maxItems" in schema
            if schema.get("type") == "string" and "enum" not in schema:
                assert "maxLength" in schema


def test_a_list_whose_order_counts_is_replaced_as_a_whole() -> None:
    """A set's entries have many owners, whose changes are put together in no order."""
    spec = crd.structural(PlatformSpec)["properties"]
    affinity = spec["pods"]["properties"]["nodeAffinity"]
    lists = [schema for schema in schemas(affinity) if schema.get("type") == "array"]
    assert len(lists) == 6
    for schema in (spec["imagePullSecretNames"], spec["pods"]["properties"]["spreadOver"], *lists):
        assert schema["x-kubernetes-list-type"] == "atomic"


def test_metadata_has_rules_for_its_labels_and_its_annotations_wherever_it_is() -> None:
    spec = crd.structural(PlatformSpec)["properties"]
    places = {
        "scheduler.alpha.kubernetes.io": spec["namespaceMetadata"],
        "cluster-autoscaler.kubernetes.io": spec["pods"]["properties"]["metadata"],
        "nginx.ingress.kubernetes.io": spec["ingress"]["properties"]["metadata"],
    }
    for prefix, schema in places.items():
        rules = schema["x-kubernetes-validations"]
        assert [validation["fieldPath"] for validation in rules] == [".labels", ".annotations"]
        assert all(f"startsWith('{prefix}/')" in validation["rule"] for validation in rules)


def test_names_of_classes_may_have_dots() -> None:
    """As Kubernetes' own: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/"""
    name = "webapprouting.kubernetes.azure.com"  # the class of AKS's application routing
    settings = {"storageClassName": name, "ingress": {"className": name}}
    jsonschema_rs.validate(crd.structural(PlatformSpec), settings)
    spec = {"workspaceName": "a", "ingress": {"className": name}}
    jsonschema_rs.validate(crd.structural(WorkspaceSpec), spec)
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.validate(crd.structural(PlatformSpec), {"storageClassName": "a..b"})


def test_no_size_class_has_the_name_of_none() -> None:
    spec = root(crd.platform_crd())["properties"]["spec"]
    name = spec["properties"]["sizeClasses"]["items"]["properties"]["name"]
    (refusal,) = name["x-kubernetes-validations"]
    assert refusal["rule"] == "self != 'none'"
    assert "another name" in refusal["message"]


def test_the_sample_is_valid_and_optional_fields_have_defaults() -> None:
    schema = crd.structural(WorkspaceSpec)
    jsonschema_rs.validate(schema, {"workspaceName": "a", "models": ["gemma2:2b"]})
    assert schema["required"] == ["workspaceName"]
    assert schema["properties"]["workspaceENV"]["default"] == "dev"


def test_defaults_of_the_platform_are_described_and_never_stored() -> None:
    """A stored default would outlive its release."""
    spec = root(crd.platform_crd())["properties"]["spec"]
    assert all("default" not in schema for schema in schemas(spec))
    image = spec["properties"]["images"]["properties"]["ollama"]["description"]
    assert image.endswith(f"Default: {Images().ollama}.")
    ranges = spec["properties"]["network"]["properties"]["egressExcept"]["description"]
    assert "Default: 10.0.0.0/8, 100.64.0.0/10, " in ranges


def test_an_empty_status_is_valid_and_pending() -> None:
    assert WorkspaceStatus.model_validate({}).phase == "Pending"


def test_the_crds_default_status_is_pending() -> None:
    schema = root(crd.workspace_crd())["properties"]["status"]
    assert schema["default"] == {"phase": "Pending"}


def test_kubectl_get_shows_phase_ready_reason_models_url_and_age() -> None:
    columns = crd.workspace_crd()["spec"]["versions"][0]["additionalPrinterColumns"]
    shown = [column["name"] for column in columns if not column.get("priority")]
    assert shown == ["Phase", "Ready", "Reason", "Models", "URL", "Age"]


@pytest.mark.parametrize(
    "spec",
    [
        {"network": {"egressExcept": ["999.1.1.1/999"]}},
        {"network": {"egressExcept": ["fd00::/129"]}},
        {"network": {"egressExcept": ["::/0"]}},
        {"network": {"egressExcept": ["fd00::1::/64"]}},
        {"network": {"egressExcept": ["0.0.0.0/0"]}},
        {"network": {"egressAllow": ["10.1.2.3"]}},
        {"ollama": {"storage": "0"}},
        {"ollama": {"storage": "00.0Gi"}},
        {"ollama": {"cpuLimit": "0"}},
        {"openWebUI": {"memoryLimit": "512m"}},
        {"ceiling": {"gpus": -1}},
    ],
)
def test_an_invalid_platform_setting_is_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.validate(crd.structural(PlatformSpec), spec)


@pytest.mark.parametrize(
    "spec",
    [
        {"network": {"egressExcept": ["10.0.0.0/8", "255.255.255.255/32"]}},
        {"network": {"egressAllow": ["fd00::/8", "2001:db8:1:2:3:4:5:6/128", "64:ff9b::/96"]}},
        {"ollama": {"cpuRequest": "0", "cpuLimit": "0.5", "storage": "1.5Ti"}},
        {"ollama": {"cpuLimit": "100m", "memoryLimit": "0.25Gi"}},
    ],
)
def test_a_valid_platform_setting_is_accepted(spec: dict[str, Any]) -> None:
    jsonschema_rs.validate(crd.structural(PlatformSpec), spec)
