"""Commands for patterns."""

import json

from tests.unit.cli.world import World


def test_patterns_to_choose_from_are_listed_with_and_without_the_word(world: World) -> None:
    bare = world.run("patterns")
    assert bare.code == 0, bare.err
    assert "explain_code" in bare.out
    assert world.run("patterns", "list").out == bare.out
    names = [item["name"] for item in json.loads(world.run("patterns", "-o", "json").out)["items"]]
    assert names == ["explain_code"]


def test_patterns_are_added_once_and_removed(world: World) -> None:
    world.put()
    added = world.run("patterns", "add", "red-chat", "explain_code", "translate")
    assert added.code == 0, added.err
    assert added.out == ""
    assert "red-chat was changed; its patterns: explain_code, translate" in added.err
    assert "was so already" in world.run("patterns", "add", "red-chat", "translate").err
    assert world.run("patterns", "remove", "red-chat", "explain_code").code == 0
    assert world.workspace()["spec"]["patterns"] == ["translate"]


def test_removing_what_is_not_there_is_not_found(world: World) -> None:
    world.put()
    result = world.run("patterns", "remove", "red-chat", "translate")
    assert result.code == 3
    assert "try: aichatctl get red-chat -o yaml" in result.err
