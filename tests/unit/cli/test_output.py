"""What programs read is as the published schema says."""

import json
from pathlib import Path

import jsonschema_rs
import pytest

from tests.unit.cli.world import STALLED_STATUS, World, every_command, with_team

DOCS = Path(__file__).parents[3] / "docs"
SCHEMA = json.loads((DOCS / "aichatctl.schema.json").read_text())
# OpenAPI 3.1's schemas are of the same draft.
OPENAPI = {
    "$schema": SCHEMA["$schema"],
    **json.loads((DOCS / "openapi.json").read_text()),
}


def validator(command: str) -> jsonschema_rs.Draft202012Validator:
    registry = jsonschema_rs.Registry(
        [("json-schema:///aichatctl.schema.json", SCHEMA), ("json-schema:///openapi.json", OPENAPI)]
    )
    schema = {"$ref": f"aichatctl.schema.json#/$defs/{command.replace(' ', '%20')}"}
    return jsonschema_rs.Draft202012Validator(schema, registry=registry)


ALL = every_command()
_NAMED = ("get", "describe", "backups", "events", "history", "credentials", "models list", "usage")
_ARGUMENTS = {name: ["red-chat"] for name in _NAMED} | {
    name: ["bob", "--role", "editor"] for name in ("invite", "members invite", "tokens create")
}
_ARGUMENTS["create"] = ["blue-chat", "--team", "red"]
_ARGUMENTS["edit"] = ["red-chat", "--display-name", "Red"]


@pytest.mark.parametrize("name", ALL)
def test_every_command_that_prints_documents_has_a_schema(name: str) -> None:
    options = {text for entry in ALL[name].params for text in entry.opts}
    assert ("--output" in options) == (name in SCHEMA["$defs"]), name


# Those of bundles need a file, and one a chat: commands/test_bundles.py, commands/test_people.py.
_ELSEWHERE = ("bundle list", "bundle load", "invite-to-chat", "watch")
OF_THE_API = [name for name in SCHEMA["$defs"] if name not in _ELSEWHERE]


@pytest.mark.parametrize("command", OF_THE_API)
def test_every_document_is_as_its_schema_says(world: World, command: str) -> None:
    world.put(status=STALLED_STATUS)
    with_team(world)
    result = world.run(*command.split(), *_ARGUMENTS.get(command, ()), "-o", "json")
    validator(command).validate(json.loads(result.out))
    with pytest.raises(jsonschema_rs.ValidationError):
        validator(command).validate({"unlike": "it"})


def test_a_line_of_a_watch_is_as_its_schema_says(world: World) -> None:
    world.put()
    document = json.loads(world.run("get", "red-chat", "-o", "json").out)
    validator("watch").validate({"type": "ADDED", "workspace": document})
    with pytest.raises(jsonschema_rs.ValidationError):
        validator("watch").validate({"type": "ADDED"})


@pytest.mark.parametrize("options", [["--team", "red"], ["--platform"]])
def test_usage_of_more_than_a_workspace_is_as_its_schema_says(
    world: World, options: list[str]
) -> None:
    world.put()
    validator("usage").validate(json.loads(world.run("usage", *options, "-o", "json").out))
