"""Commands that write specs."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.cli.world import READY_STATUS, SYSTEM, World


class TestCreate:
    def test_a_workspace_is_created_as_the_options_say(self, world: World) -> None:
        result = world.run(
            *("create", "red-chat", "--team", SYSTEM, "-m", "gemma2:2b", "-m", "llama3.2"),
            *("-p", "explain_code", "--models-volume", "40Gi", "--set", "access.signUp=true"),
        )
        assert result.code == 0, result.err
        assert "red-chat in team" in result.err
        assert "aichatctl wait red-chat" in result.err
        assert world.workspace(team=SYSTEM)["spec"] == {
            "workspaceName": "red-chat",
            "models": ["gemma2:2b", "llama3.2"],
            "patterns": ["explain_code"],
            "storage": {"ollama": {"size": "40Gi"}},
            "access": {"signUp": True},
        }

    def test_what_tells_people_is_set_changed_and_taken_off(self, world: World) -> None:
        options = ("--display-name", "Red", "--description", "For us.", "--cost-centre", "CC-1")
        labels = ("--label", "stage=prod", "--label", "example.org/owner=ann")
        world.run("create", "red-chat", "--team", SYSTEM, *options, *labels)
        spec = world.workspace(team=SYSTEM)["spec"]
        both = {"stage": "prod", "example.org/owner": "ann"}
        assert (spec["displayName"], spec["description"]) == ("Red", "For us.")
        assert (spec["costCentre"], spec["labels"]) == ("CC-1", both)
        changed = world.run("edit", "red-chat", "--label", "stage-", "--cost-centre", "")
        assert changed.code == 0, changed.err
        spec = world.workspace(team=SYSTEM)["spec"]
        assert (spec["costCentre"], spec["labels"]) == ("", {"example.org/owner": "ann"})
        described = world.run("describe", "red-chat").out
        assert "Red" in described
        assert "example.org/owner=ann" in described
        refused = world.run("edit", "red-chat", "--label", "stage")
        assert (refused.code, "is not KEY=VALUE" in refused.err) == (2, True)

    def test_a_dry_run_changes_nothing(self, world: World) -> None:
        result = world.run("create", "red-chat", "--dry-run")
        assert (result.code, result.out) == (0, "red-chat would be created\n")
        assert world.workspace(team=SYSTEM) is None

    def test_what_is_wrong_is_named_by_field(self, world: World) -> None:
        result = world.run("create", "red-chat", "--set", "model=[]")
        assert result.code == 1
        assert result.err.splitlines() == [
            "error: red-chat was not created",
            "  spec.model: there is no such field; check its spelling",
        ]

    def test_waiting_ends_with_the_address_and_the_next_commands(self, world: World) -> None:
        world.cluster.new_status = READY_STATUS
        result = world.run("create", "red-chat", "--wait")
        assert (result.code, result.out) == (0, "https://red-chat.ai.example.org\n")
        assert "chat: done" in result.err
        assert "aichatctl credentials red-chat" in result.err

    def test_time_out_is_exit_code_5_and_says_what_it_waits_for(self, world: World) -> None:
        result = world.run("create", "red-chat", "--wait", "--timeout", "0.2s")
        assert result.code == 5
        assert "it waits for: namespace, quota, walls, model server, chat" in result.err

    def test_a_name_is_asked_for_only_at_a_terminal(self, world: World) -> None:
        result = world.run("create", stdin="")
        assert result.code == 2
        assert result.err == "error: NAME is missing\n  try: aichatctl create NAME --model MODEL\n"

    @pytest.mark.parametrize("value", ["size", "=1", "a..b=1", "a={"])
    def test_a_wrong_setting_is_a_usage_error(self, world: World, value: str) -> None:
        assert world.run("create", "red-chat", "--set", value).code == 2


class TestApply:
    def manifest(self, folder: Path, **spec: Any) -> str:
        document = {
            "apiVersion": "apps.aichatworkspaces.io/v1alpha1",
            "kind": "AIChatWorkspace",
            "metadata": {"name": "red-chat", "namespace": SYSTEM, "labels": {"tier": "1"}},
            "spec": {"workspaceName": "red-chat", **spec},
        }
        file = folder / "red.yaml"
        file.write_text(yaml.safe_dump(document))
        return str(file)

    def test_a_file_creates_and_then_changes_and_then_leaves_alone(
        self, world: World, tmp_path: Path
    ) -> None:
        first = self.manifest(tmp_path, models=["gemma2:2b"])
        created = world.run("apply", "-f", first)
        assert (created.out, "metadata.labels" in created.err) == ("red-chat created\n", True)
        second = self.manifest(tmp_path, models=["llama3.2"])
        assert world.run("apply", "-f", second).out == "red-chat changed\n"
        assert world.workspace(team=SYSTEM)["spec"]["models"] == ["llama3.2"]
        assert world.run("apply", "-f", second).out == "red-chat unchanged\n"

    def test_a_document_of_the_api_is_applied_from_standard_input(self, world: World) -> None:
        world.put(team=SYSTEM)
        text = world.run("get", "red-chat", "-o", "yaml").out.replace("gemma2:2b", "llama3.2")
        result = world.run("apply", "-f", "-", stdin=text)
        assert result.out == "red-chat changed\n", result.err

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", "there is no document in it"),
            ("a: [", "expected"),
            ("a: 1", "a document has no spec"),
            ("{kind: Pod, spec: {}}", "a document's kind is Pod"),
            ("{spec: {}}", "spec.workspaceName is missing"),
        ],
    )
    def test_a_file_that_is_no_workspace_is_refused_with_the_reason(
        self, world: World, text: str, reason: str
    ) -> None:
        result = world.run("apply", "-f", "-", stdin=text)
        assert result.code == 1
        assert reason in result.err

    def test_a_missing_file_is_a_usage_error(self, world: World) -> None:
        assert world.run("apply", "-f", "/nowhere/red.yaml").code == 2


class TestEdit:
    def editor(self, folder: Path, script: str) -> str:
        program = folder / "editor"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return str(program)

    def test_options_change_only_their_fields(self, world: World) -> None:
        world.put(spec={"models": ["gemma2:2b"], "storage": {"openWebUI": {"size": "4Gi"}}})
        result = world.run("edit", "red-chat", "--models-volume", "40Gi")
        assert (result.code, result.out) == (0, "red-chat was changed\n")
        spec = world.workspace()["spec"]
        assert spec["storage"] == {"openWebUI": {"size": "4Gi"}, "ollama": {"size": "40Gi"}}

    def test_an_editor_replaces_the_spec(self, world: World, tmp_path: Path) -> None:
        world.put()
        editor = self.editor(tmp_path, 'sed -i s/gemma2:2b/llama3.2/ "$1"')
        assert world.run("edit", "red-chat", EDITOR=editor, VISUAL="").code == 0
        assert world.workspace()["spec"]["models"] == ["llama3.2"]

    def test_the_same_text_changes_nothing(self, world: World, tmp_path: Path) -> None:
        world.put()
        result = world.run("edit", "red-chat", EDITOR=self.editor(tmp_path, ":"), VISUAL="")
        assert (result.code, result.out) == (0, "")
        assert "the text is the same" in result.err

    def test_a_refused_text_is_kept_for_its_owner_only(self, world: World, tmp_path: Path) -> None:
        world.put()
        editor = self.editor(tmp_path, 'sed -i s/models:/model:/ "$1"')
        result = world.run("edit", "red-chat", EDITOR=editor, VISUAL="")
        assert result.code == 1
        assert "spec.model: there is no such field" in result.err
        text_file = Path(result.err.rpartition("your text is in ")[2].strip())
        assert "model:" in text_file.read_text()
        assert stat.S_IMODE(text_file.stat().st_mode) == 0o600
        text_file.unlink()

    def test_a_change_of_another_meanwhile_is_not_overwritten(
        self, world: World, tmp_path: Path
    ) -> None:
        world.put()
        other = (
            f"curl -sS -X PATCH -H 'Authorization: Bearer {world.environment['AICHAT_TOKEN']}' "
            "-H 'Content-Type: application/merge-patch+json' -d '{\"spec\": {\"models\": []}}' "
            f"{world.url}/api/v1/workspaces/red-chat >/dev/null"
        )
        editor = self.editor(tmp_path, f'{other}\nsed -i s/gemma2:2b/llama3.2/ "$1"')
        result = world.run("edit", "red-chat", EDITOR=editor, VISUAL="")
        assert result.code == 1
        assert "has changed since you read it" in result.err
        assert world.workspace()["spec"]["models"] == []
        Path(result.err.rpartition("your text is in ")[2].strip()).unlink()

    @pytest.mark.parametrize("script", ["exit 3", 'echo "a: [" > "$1"', 'echo text > "$1"'])
    def test_a_failed_editor_or_no_yaml_changes_nothing(
        self, world: World, tmp_path: Path, script: str
    ) -> None:
        world.put()
        result = world.run("edit", "red-chat", EDITOR=self.editor(tmp_path, script), VISUAL="")
        assert result.code == 1
        assert "nothing was changed" in result.err
        Path(result.err.rpartition("your text is in ")[2].strip()).unlink()


def test_results_of_changes_can_be_documents(world: World) -> None:
    document = json.loads(world.run("create", "red-chat", "-o", "json").out)
    assert document["name"] == "red-chat"
    assert (
        world.run("edit", "red-chat", "--set", "suspended=true", "-o", "name").out == "red-chat\n"
    )
