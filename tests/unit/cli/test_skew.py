"""aichatctl with an API of another version: what it does not know is no reason to fail."""

import json
from typing import Any

from tests.unit.cli.world import READY_STATUS, World, condition

LATER = {"schedule": "nightly"}


def later_status(**more: Any) -> dict[str, Any]:
    """A status with a phase, a condition, a reason and a field that this version does not know."""
    unknown = condition("Mirrored", "False", "saving", reason="SavingNow")
    ready = condition("Ready", "False", "it is being saved", reason="SavingNow")
    others = [entry for entry in READY_STATUS["conditions"] if entry["type"] != "Ready"]
    return {
        **READY_STATUS,
        "phase": "Mirroring",
        "mirroring": LATER,
        "conditions": [ready, *others, unknown],
        "models": [{"name": "gemma2:2b", "state": "Verifying", "checkedBytes": 7}],
        **more,
    }


def test_unknown_phases_reasons_and_states_are_shown_as_they_are(world: World) -> None:
    world.put(status=later_status(), spec={"models": ["gemma2:2b"], "mirroring": LATER})
    assert "Mirroring" in world.run("list").out
    described = world.run("describe", "red-chat")
    assert (described.code, described.err) == (0, "")
    for words in ("Mirroring", "it is being saved", "Verifying"):
        assert words in described.out
    assert world.run("models", "list", "red-chat").code == 0


def test_unknown_fields_are_handed_on_and_kept(world: World) -> None:
    world.put(status=later_status(), spec={"models": ["gemma2:2b"], "mirroring": LATER})
    document = json.loads(world.run("get", "red-chat", "-o", "json").out)
    assert document["spec"]["mirroring"] == LATER
    assert document["status"]["mirroring"] == LATER
    assert world.run("edit", "red-chat", "--set", "suspended=true").code == 0
    assert world.workspace()["spec"] == {
        "models": ["gemma2:2b"],
        "mirroring": LATER,
        "suspended": True,
        "workspaceName": "red-chat",
    }


def test_absent_fields_of_an_older_api_are_no_failure(world: World) -> None:
    world.put(status={"phase": "Ready"}, spec={})
    for command in (("list",), ("describe", "red-chat"), ("get", "red-chat")):
        result = world.run(*command)
        assert (result.code, result.err) == (0, ""), command
