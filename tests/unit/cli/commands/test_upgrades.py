"""Commands for upgrades."""

import json

from tests.unit.cli.world import World


def test_upgrades_are_paused_and_resumed(world: World) -> None:
    for action, done, word in (("pause", "paused", "paused"), ("resume", "resumed", "not paused")):
        dry = world.run("upgrades", action, "--dry-run")
        assert dry.err == f"upgrades would be {done}\n"
        changed = world.run("upgrades", action)
        assert changed.code == 0
        assert changed.err.startswith(f"upgrades are {done}\n")
        assert ("aichatctl upgrades resume" in changed.err) == (action == "pause")
        assert world.run("upgrades").out == f"upgrades are {word}\n"
    assert json.loads(world.run("upgrades", "show", "-o", "json").out)["paused"] is False


def test_who_may_not_is_told_whom_to_ask(world: World) -> None:
    world.cluster.forbidden.add("patch")
    refused = world.run("upgrades", "pause")
    assert refused.code == 4
    assert "error: upgrades were not paused" in refused.err
    assert "may not patch aichatplatforms" in refused.err
