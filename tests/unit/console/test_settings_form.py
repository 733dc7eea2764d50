"""The settings of a workspace as a form, and as YAML."""

from typing import Any

import pytest

from aichat_workspace.console import settings_form
from aichat_workspace.console.settings_form import InvalidYamlError
from aichat_workspace.domain.v1alpha1.workspace_spec import WorkspaceSpec

SPEC: dict[str, Any] = {
    "workspaceName": "red-chat",
    "models": ["gemma2:2b", "llama3.2"],
    "storage": {"ollama": {"size": "20Gi", "storageClassName": "fast"}},
    "connections": [{"name": "x", "url": "https://x.example", "secretName": "s"}],
}


def submitted(spec: dict[str, Any], **entered: str | list[str]) -> dict[str, list[str]]:
    """Return what a browser sends of the form of a spec, with what a person has entered."""
    texts = settings_form.texts(spec)
    values = {f"was.{path}": [text] for path, text in texts.items()}
    values |= {path: [text.replace("\n", "\r\n")] for path, text in texts.items() if text}
    for path, text in entered.items():
        values[path.replace("__", ".")] = [text] if isinstance(text, str) else text
    return values


def test_a_form_that_no_one_has_touched_changes_nothing() -> None:
    assert settings_form.changes(submitted(SPEC)) == {}
    assert settings_form.with_changes(SPEC, {}) == SPEC


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("models", "gemma2:2b, gemma2:2b\nqwen2.5:7b", {"models": ["gemma2:2b", "qwen2.5:7b"]}),
        ("models", "", {}),
        ("patterns", ["a", "b"], {"patterns": ["a", "b"]}),
        ("embeddingModel", " none ", {"embeddingModel": "none"}),
        ("ollama__contextLength", "4096", {"ollama": {"contextLength": 4096}}),
        ("ollama__contextLength", "many", {"ollama": {"contextLength": "many"}}),
        ("access__signUp", "true", {"access": {"signUp": True}}),
        ("expiry", "Suspend", {"expiry": "Suspend"}),
        ("resources__ollama__gpu__count", "1", {"resources": {"ollama": {"gpu": {"count": 1}}}}),
    ],
)
def test_each_kind_of_field_becomes_its_value(
    path: str, text: str | list[str], expected: dict[str, Any]
) -> None:
    spec: dict[str, Any] = {"models": ["gemma2:2b"]}
    changed = settings_form.changes(submitted(spec, **{path: text}))
    if path != "models":
        expected = spec | expected
    assert settings_form.with_changes(spec, changed) == expected


def test_an_emptied_field_is_left_out_and_its_neighbours_stay() -> None:
    changed = settings_form.changes(submitted(SPEC, storage__ollama__size=""))
    spec = settings_form.with_changes(SPEC, changed)
    assert spec == SPEC | {"storage": {"ollama": {"storageClassName": "fast"}}}
    alone: dict[str, Any] = {"quota": {"cpu": "8"}}
    assert settings_form.with_changes(alone, {"quota.cpu": ""}) == {}


def test_without_a_count_the_graphics_processors_resource_goes_too() -> None:
    spec = {"resources": {"ollama": {"cpuLimit": "2", "gpu": {"count": 1, "resourceName": "a/b"}}}}
    changed = settings_form.with_changes(spec, {"resources.ollama.gpu.count": ""})
    assert changed == {"resources": {"ollama": {"cpuLimit": "2"}}}


def test_what_others_changed_meanwhile_stays() -> None:
    values = submitted(SPEC, quota__cpu="8")
    newest = SPEC | {"models": ["qwen2.5:7b"]}
    changed = settings_form.with_changes(newest, settings_form.changes(values))
    assert changed == newest | {"quota": {"cpu": "8"}}


def test_a_field_that_was_not_sent_is_unchanged_and_an_unchecked_box_is_emptied() -> None:
    spec = {"expiry": "Suspend", "patterns": ["a"], "access": {"signUp": True}}
    values = {f"was.{path}": [text] for path, text in settings_form.texts(spec).items()}
    assert settings_form.changes(values) == {"patterns": "", "access.signUp": ""}


def test_every_field_is_one_of_the_spec() -> None:
    schema = WorkspaceSpec.model_json_schema()
    for field in settings_form.FIELDS:
        node: Any = schema
        for part in field.path.split("."):
            reference = node.get("$ref") or node.get("allOf", [{}])[0].get("$ref") or ""
            for choice in node.get("anyOf", ()):
                reference = reference or choice.get("$ref", "")
            node = schema["$defs"][reference.rpartition("/")[2]] if reference else node
            node = node["properties"][part]


def test_yaml_comes_back_as_it_was() -> None:
    assert settings_form.load(settings_form.dump(SPEC)) == SPEC


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [", "parsing"),
        ("- a", "fields of the spec"),
        ("1: a", "fields of the spec"),
        ("", "fields of the spec"),
        ("a: &a [x]\nb: *a", "aliases"),
        ("!!python/object:os.system {}", "constructor"),
        ("a: 2026-13-45", "month"),
        ("[" * 60_000, "deep"),
        ("- " * 30_000, "deep"),
        ("a" * 65_537, "longer"),
        ("a: [" + "x," * 5_000 + "]", "more than 4000"),
        ("a: 1" + ":1" * 100, "64 digits"),
        ("a: .inf", "JSON compliant"),
        ("a: !!set {b, c}", "JSON serializable"),
        ("a: !!binary aGk=", "JSON serializable"),
        ("a: 99999999999999999999", "64-bit"),
    ],
)
def test_a_text_that_is_no_spec_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(InvalidYamlError, match=why):
        settings_form.load(text)
