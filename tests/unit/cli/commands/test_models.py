"""Commands for models."""

import json

import pytest

from tests.unit.cli.world import PULLING_STATUS, World


def test_models_are_listed_with_what_is_still_missing(world: World) -> None:
    world.put(status=PULLING_STATUS)
    result = world.run("models", "list", "red-chat")
    lines = [text.split() for text in result.out.splitlines()]
    assert lines[1:] == [
        ["gemma2:2b", "●", "ready", "1.5", "GiB", "person", "8K", *["Gemma", "Terms", "of", "Use"]],
        ["llama3.3:70b", "◐", "downloading", "41", "%", "39.6", "GiB", "model", "-", "-"],
    ]
    names = [
        model["name"]
        for model in json.loads(world.run("models", "list", "-o", "json").out)["inUse"]
    ]
    assert names == ["gemma2:2b"]
    assert "gemma2:2b  1 workspace" in world.run("models", "list").out


def test_models_are_added_once_and_removed(world: World) -> None:
    world.put()
    added = world.run("models", "add", "red-chat", "llama3.2", "GEMMA2:2b", "llama3.2:latest")
    assert added.code == 0, added.err
    assert "red-chat was changed; its models: gemma2:2b, llama3.2" in added.err
    assert world.workspace()["spec"]["models"] == ["gemma2:2b", "llama3.2"]
    assert "was so already" in world.run("models", "add", "red-chat", "llama3.2").err
    assert world.run("models", "remove", "red-chat", "llama3.2:latest").code == 0
    assert world.workspace()["spec"]["models"] == ["gemma2:2b"]


def test_a_model_of_another_registry_is_removed_by_its_whole_name(world: World) -> None:
    name = "hf.co/maker/model-GGUF:Q4_K_M"
    world.put(spec={"models": ["gemma2:2b", name]})
    assert world.run("models", "remove", "red-chat", name).code == 0
    assert world.workspace()["spec"]["models"] == ["gemma2:2b"]


def test_removing_what_is_not_there_is_not_found_and_says_how_to_see_what_is(world: World) -> None:
    world.put()
    result = world.run("models", "remove", "red-chat", "mistral")
    assert result.code == 3
    assert "mistral was not removed from red-chat" in result.err
    assert "try: aichatctl models list red-chat" in result.err


@pytest.mark.parametrize("verb", ["add", "remove"])
def test_each_model_is_one_change_that_the_api_makes_at_once(world: World, verb: str) -> None:
    """So another's change meanwhile is not lost, and there is no list to read before."""
    world.put(spec={"models": ["gemma2:2b", "mistral"]})
    models = ["mistral", "gemma2:2b"] if verb == "remove" else ["llama3.2", "phi4"]
    before = len(world.cluster.patches)
    assert world.run("models", verb, "red-chat", *models).code == 0
    assert len(world.cluster.patches) == before + 2


def test_progress_ends_when_all_models_are_there(world: World) -> None:
    world.put()
    assert world.run("models", "progress", "red-chat").out == "all models of red-chat are there\n"


def test_the_catalogue_says_what_models_need_and_what_fits(world: World) -> None:
    world.put(spec={"models": ["gemma2:2b"], "resources": {"ollama": {"memoryLimit": "4Gi"}}})
    everything = world.run("models", "catalogue").out
    assert "FITS" not in everything
    (row,) = [text for text in everything.splitlines() if text.startswith("qwen3:8b")]
    cells = [cell.strip() for cell in row.split("  ") if cell.strip()]
    assert cells == [
        "qwen3:8b",
        "4.8 GiB",
        "7.0 GiB",
        "40K",
        "completion, tools, thinking",
        "Apache-2.0",
    ]
    fitting = world.run("models", "catalogue", "red-chat").out
    rows = {text.split()[0]: text for text in fitting.splitlines()[1:]}
    assert "● yes" in rows["gemma2:2b"]
    assert "▲ needs memory 7Gi" in rows["qwen3:8b"]
    assert "▲ needs memory 47Gi, volume 43Gi" in rows["llama3.3:70b"]
    by_size = world.run("models", "catalogue", "--memory", "6Gi").out
    assert "● yes, better memory 7Gi" in by_size
    assert "qwen3:8b" in world.run("models", "catalogue", "-o", "name").out.splitlines()


def test_what_is_not_known_of_a_model_is_a_dash(world: World) -> None:
    world.put(spec={"models": ["own:1b"]}, status={})
    (row,) = [
        text
        for text in world.run("models", "catalogue", "red-chat").out.splitlines()
        if text.startswith("own:1b")
    ]
    assert row.split() == ["own:1b", *"------"]
