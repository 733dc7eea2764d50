"""Commands for the chat itself."""

import json
import os
import webbrowser
from pathlib import Path

import pytest

from aichat_workspace.cli.errors import ExitCode
from tests.unit.cli.world import PULLING_STATUS, READY_STATUS, World


class TestOpen:
    def test_the_address_is_opened_and_printed(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened: list[str] = []
        monkeypatch.setattr(webbrowser, "open", opened.append)
        world.put()
        result = world.run("open", "red-chat")
        assert result.out.strip() == READY_STATUS["url"] == opened[0]
        assert world.run("open", "red-chat", "--print").out.strip() == READY_STATUS["url"]
        assert len(opened) == 1

    @pytest.mark.parametrize("url", [None, "file:///etc/passwd", "javascript:alert(1)"])
    def test_only_a_page_of_the_web_is_opened(
        self, world: World, monkeypatch: pytest.MonkeyPatch, url: str | None
    ) -> None:
        monkeypatch.setattr(webbrowser, "open", lambda _: pytest.fail("it was opened"))
        world.put(status={**PULLING_STATUS, "url": url})
        assert world.run("open", "red-chat").code == 1


def test_credentials_are_shown(world: World) -> None:
    world.put()
    result = world.run("credentials", "red-chat")
    assert result.out.splitlines()[1:] == ["Email     ann@example.org", "Password  correct-horse"]
    document = json.loads(world.run("credentials", "red-chat", "-o", "json").out)
    assert document["password"] == "correct-horse"


def test_a_password_is_reset_after_a_question_and_not_shown(world: World) -> None:
    world.put()
    refused = world.run("credentials", "red-chat", "--reset")
    assert refused.code == 2
    assert "passwordReset" not in world.workspace()["spec"].get("access", {})
    result = world.run("credentials", "red-chat", "--reset", "--yes")
    assert (result.code, result.out) == (0, "")
    assert result.err.endswith("aichatctl wait red-chat && aichatctl credentials red-chat\n")
    assert world.workspace()["spec"]["access"]["passwordReset"]


def test_a_reset_takes_no_form_since_it_prints_no_credentials(world: World) -> None:
    world.put()
    result = world.run("credentials", "red-chat", "--reset", "--yes", "-o", "json")
    assert result.code == ExitCode.USAGE
    assert "-o" in result.err


class TestPrompt:
    def test_a_reply_is_printed(self, world: World) -> None:
        world.put()
        result = world.run("prompt", "red-chat", "How", "are", "you?", "--seed", "1")
        assert (result.code, result.out) == (0, "Good morning\n")
        assert world.model.questions == ["How are you?"]

    def test_a_question_is_read_from_a_pipe(self, world: World) -> None:
        world.put()
        assert world.run("prompt", "red-chat", stdin="Why?\n").out == "Good morning\n"
        assert world.run("prompt", "red-chat", "-", stdin="How?\n").code == 0
        assert world.model.questions == ["Why?", "How?"]
        assert world.run("prompt", "red-chat", stdin="").code == 2

    def test_every_character_of_a_reply_arrives(self, world: World) -> None:
        world.put()
        world.model.words = ["a\u2028b", "\x85c", "d\ne"]
        assert world.run("prompt", "red-chat", "Hi").out == "a\u2028b\x85cd\ne\n"

    def test_a_suspended_workspace_says_how_to_resume_it(self, world: World) -> None:
        world.put(spec={"models": ["gemma2:2b"], "suspended": True})
        result = world.run("prompt", "red-chat", "Hi")
        assert (result.code, result.out) == (1, "")
        assert result.err.endswith("try: aichatctl resume red-chat\n")

    def test_a_reply_that_breaks_off_is_an_error_after_what_came(self, world: World) -> None:
        world.put()
        world.model.breaks_off = True
        result = world.run("prompt", "red-chat", "Hi")
        assert (result.code, result.out) == (6, "Good morning")
        assert "The reply broke off" in result.err


class TestPortForward:
    @pytest.mark.parametrize(
        ("part", "service"), [("chat", "red-chat-openwebui"), ("models", "red-chat-ollama")]
    )
    def test_kubectl_forwards_to_the_service(
        self, world: World, tmp_path: Path, part: str, service: str
    ) -> None:
        world.put()
        kubectl = tmp_path / "kubectl"
        kubectl.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\n')
        kubectl.chmod(0o755)
        path = f"{tmp_path}:{os.environ['PATH']}"
        result = world.run("port-forward", "red-chat", part, "--port", "8080", PATH=path)
        assert result.code == 0, result.err
        assert (tmp_path / "arguments").read_text().split() == [
            *("port-forward", "-n", "red-chat", f"service/{service}", "8080:http"),
            *("--address", "127.0.0.1"),
        ]

    def test_a_workspace_without_a_namespace_is_waited_for_first(self, world: World) -> None:
        world.put(status={})
        result = world.run("port-forward", "red-chat")
        assert "aichatctl wait red-chat --for created" in result.err
