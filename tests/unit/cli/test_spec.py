"""Specs from options and files."""

import pytest

from aichat_workspace.cli.errors import CliError
from aichat_workspace.cli.spec import assignments, manifests, unsent_fields, with_values
from aichat_workspace.domain import names


def test_values_are_yaml_at_dotted_paths() -> None:
    texts = ["a.b=1", "spec.a.c=true", "d=[x, y]", "e=40Gi", "f="]
    assert with_values({"a": {"z": 0}}, assignments(texts)) == {
        "a": {"z": 0, "b": 1, "c": True},
        "d": ["x", "y"],
        "e": "40Gi",
        "f": None,
    }


def test_a_path_through_a_value_is_refused() -> None:
    with pytest.raises(CliError, match="a has no fields"):
        with_values({"a": 1}, assignments(["a.b=1"]))


def test_metadata_that_is_not_sent_is_named() -> None:
    metadata = {"name": "other", "namespace": "red", "labels": {"a": "b"}, "annotations": {}}
    unsent = ["metadata.name (the resource is called a)", "metadata.labels"]
    assert unsent_fields(metadata, "a") == unsent
    assert unsent_fields({"name": "a"}, "a") == unsent_fields({}, "a") == []


def test_a_file_may_have_several_documents_of_both_kinds() -> None:
    text = """
kind: AIChatWorkspace
metadata: {namespace: red}
spec: {workspaceName: a}
---
team: blue
spec: {workspaceName: b}
---
"""
    keys = [(workspace["team"], workspace["name"]) for workspace in manifests(text, "file")]
    assert keys == [("red", "a"), ("blue", "b")]


@pytest.mark.parametrize("version", names.SERVED_VERSIONS)
def test_a_manifest_may_be_of_any_version_that_is_served(version: str) -> None:
    text = f"{{apiVersion: {names.GROUP}/{version}, spec: {{workspaceName: a}}}}"
    assert [workspace["name"] for workspace in manifests(text, "file")] == ["a"]


@pytest.mark.parametrize("version", [f"{names.GROUP}/v2", "v1", f"example.org/{names.VERSION}"])
def test_another_version_is_refused_with_the_one_to_write(version: str) -> None:
    text = f"{{apiVersion: {version}, spec: {{workspaceName: a}}}}"
    with pytest.raises(CliError) as refusal:
        manifests(text, "file")
    assert version in str(refusal.value.why)
    assert f"write {names.GROUP}/v1beta1" in str(refusal.value.fix)
