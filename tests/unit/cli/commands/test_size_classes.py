"""Size classes are listed, and chosen by name."""

import json

from tests.unit.cli.world import World

CLASSES = [
    {"name": "small", "description": "A few people", "models": ["gemma2:2b"]},
    {"name": "huge", "resources": {"ollama": {"memoryLimit": "500Gi", "gpu": {"count": 2}}}},
    {"name": "old", "successor": "small"},
]


def test_classes_are_listed_with_what_they_cost_and_whether_they_fit(world: World) -> None:
    world.put_platform(sizeClasses=CLASSES)
    result = world.run("classes")
    assert (result.code, result.err) == (0, "")
    header, small, huge = result.out.splitlines()
    assert header.split()[:5] == ["CLASS", "DESCRIPTION", "CPU", "MEMORY", "STORAGE"]
    assert small.split()[4:] == ["6", "10Gi", "22Gi", "-", "gemma2:2b", "✓"]
    assert "✗ the workspace asks for 502Gi of memory" in huge
    items = json.loads(world.run("classes", "-o", "json").out)["items"]
    assert [(item["name"], item["gpus"]) for item in items] == [("small", 0), ("huge", 2)]
    assert world.run("classes", "-o", "name").out == "small\nhuge\n"


def test_without_classes_it_says_so(world: World) -> None:
    assert world.run("classes").out == "the platform has no size classes for you\n"


def test_a_workspace_is_created_and_moved_by_the_name_of_its_class(world: World) -> None:
    world.put_platform(sizeClasses=[*CLASSES, {"name": "medium"}])
    assert world.run("create", "red-chat", "--team", world.team, "--class", "small").code == 0
    assert world.workspace("red-chat", world.team)["spec"]["className"] == "small"
    assert world.run("edit", "red-chat", "--class", "medium").code == 0
    assert world.workspace("red-chat", world.team)["spec"]["className"] == "medium"


def test_a_class_that_is_not_offered_is_refused_with_those_that_are(world: World) -> None:
    world.put_platform(sizeClasses=CLASSES)
    for name, message in (("old", "is retired"), ("tiny", "there is no size class")):
        result = world.run("create", "red-chat", "--team", world.team, "--class", name)
        assert result.code == 1
        assert message in result.err
        assert "may choose small, huge" in result.err


def test_models_are_added_to_those_of_a_class_and_removed_from_them(world: World) -> None:
    world.put_platform(sizeClasses=CLASSES)
    world.put(spec={"className": "small"})
    assert world.run("models", "add", "red-chat", "llama3.2").code == 0
    assert world.workspace()["spec"]["models"] == ["gemma2:2b", "llama3.2"]
    world.put(spec={"className": "small"}, version=50)
    assert world.run("models", "remove", "red-chat", "phi3").code == 3
    refused = world.run("models", "remove", "red-chat", "gemma2:2b")
    assert refused.code == 1
    assert "that names no model has gemma2:2b" in refused.err


def test_a_prompt_goes_to_the_first_model_of_the_class(world: World) -> None:
    world.put_platform(sizeClasses=CLASSES)
    world.put(spec={"className": "small"})
    assert world.run("prompt", "red-chat", "Hello").code == 0
    assert world.model.questions == ["Hello"]
    in_use = json.loads(world.run("models", "list", "-o", "json").out)["inUse"]
    assert [model["name"] for model in in_use] == ["gemma2:2b"]


def test_settings_that_are_not_understood_hinder_no_workspace_without_a_class(
    world: World,
) -> None:
    world.put_platform(ingress={"domain": 5})
    world.put()
    assert world.run("prompt", "red-chat", "Hello").code == 0
    assert world.run("models", "add", "red-chat", "phi3").code == 0
