"""The ways in, each alone: a person in a browser, and `aichatctl` on a machine without kubectl.

Each creates a workspace, watches it come up, follows its address through the ingress, signs in to
Open WebUI there, and reads a real model's answer. kubectl only makes the person and their token.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import which

import pytest
from playwright.sync_api import Page, expect

from tests.browser import running_chromium
from tests.e2e.conftest import ANSWER, DOMAIN, QUESTION, ROOT, SYSTEM, TENANT, Node
from tests.e2e.webui import WebUI
from tests.waiting import eventually

API = f"https://workspaces.{DOMAIN}"
MODEL = "gemma2:2b"
BY_CONSOLE, BY_COMMAND = "by-console", "by-command"
PERSON = "demo"  # as the demo calls its user
_AUDIENCE = "aichat-workspace-api"
_SECONDS = 240
_MILLISECONDS = _SECONDS * 1000
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def token(node: Node) -> Iterator[str]:
    """A token of the demo's user, who has the same role as in the demo."""
    role = ("create", "rolebinding", PERSON, "--clusterrole=aichatworkspace-admin")
    node.kubectl("create", "serviceaccount", PERSON, "-n", SYSTEM)
    node.kubectl(*role, f"--serviceaccount={SYSTEM}:{PERSON}", "-n", SYSTEM)
    yield node.kubectl("create", "token", PERSON, "-n", SYSTEM, "--audience", _AUDIENCE).strip()
    node.kubectl("delete", f"serviceaccount/{PERSON}", f"rolebinding/{PERSON}", "-n", SYSTEM)


@dataclass(frozen=True)
class Machine:
    """A machine that has `aichatctl`, and neither kubectl nor a kubeconfig."""

    home: Path
    authority: str

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": str(self.home / "bin"), "HOME": str(self.home), "LANG": "C.UTF-8"}

    def run(self, *arguments: str, stdin: str = "") -> str:
        """Run aichatctl, and print what a person sees."""
        ran = subprocess.run(
            [str(self.home / "bin" / "aichatctl"), *arguments],
            input=stdin,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        print(f"$ aichatctl {' '.join(arguments)}\n{ran.stdout}{ran.stderr}")
        assert ran.returncode == 0, ran.stderr
        return ran.stdout


@pytest.fixture
def machine(node: Node, tmp_path: Path) -> Machine:
    programs = tmp_path / "bin"
    programs.mkdir()
    program = which("aichatctl")
    assert program
    (programs / "aichatctl").symlink_to(program)
    alone = Machine(tmp_path, node.authority)
    assert which("kubectl", path=alone.environment["PATH"]) is None
    return alone


@pytest.fixture
def page() -> Iterator[Page]:
    with running_chromium(f"--host-resolver-rules=MAP *.{DOMAIN} 127.0.0.1") as browser:
        page = browser.new_context(ignore_https_errors=True).new_page()
        page.set_default_timeout(_MILLISECONDS)
        page.on("pageerror", lambda error: print(f"the page broke: {error}"))
        yield page


def sign_in_to_the_console(page: Page, token: str) -> None:
    page.goto(f"{API}/login")
    page.locator("#token").fill(token)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Workspaces")


def make_it_likeliest(url: str, email: str, password: str) -> None:
    """Let this account get the model's likeliest reply, which is the same each time."""
    webui = WebUI("http://127.0.0.1", url.removeprefix("https://").strip("/"))
    eventually(lambda: _answers(webui), "the ingress serves the chat")
    webui.sign_in(email, password)
    ui = {"params": {"temperature": 0, "seed": 1, "max_tokens": 60}, "showChangelog": False}
    more = {"title": {"auto": False}, "autoTags": False, "autoFollowUps": False}
    webui.call("/api/v1/users/user/settings/update", {"ui": {**ui, **more}})


def _answers(webui: WebUI) -> bool:
    try:
        return bool(webui.call("/health")["status"])
    except OSError:
        return False


def test_a_person_goes_from_the_sign_in_to_a_models_answer_in_the_browser_alone(
    node: Node, token: str, page: Page, tmp_path: Path
) -> None:
    steps = iter(range(1, 20))

    def record(what: str) -> None:
        page.screenshot(path=tmp_path / f"{next(steps)}-{what}.png", full_page=True)

    try:
        sign_in_to_the_console(page, token)
        record("signed-in")
        page.locator("#new").click()
        page.locator("#name").fill(BY_CONSOLE)
        page.locator("#models").fill(MODEL)
        expect(page.locator("#checked")).to_contain_text("Everything is fine")
        record("new")
        page.get_by_role("button", name="Create workspace").click()
        expect(page.locator("h1")).to_contain_text(BY_CONSOLE)
        page.evaluate("window.isTheSame = true")
        record("coming-up")
        expect(page.locator("h1 .badge")).to_have_text("Ready", timeout=_MILLISECONDS)
        assert page.evaluate("window.isTheSame") is True, "it was watched and not reloaded"
        record("ready")
        page.get_by_role("button", name="Show sign-in data").click()
        email = page.locator("#email").inner_text()
        password = page.locator("#password").inner_text()
        chat = page.get_by_role("link", name="Open chat")
        make_it_likeliest(str(chat.get_attribute("href")), email, password)
        chat.click()
        page.locator("input[type=email]").fill(email)
        page.locator("input[type=password]").fill(password)
        page.keyboard.press("Enter")
        page.locator("#chat-input").wait_for()
        assert page.url.startswith(f"https://{BY_CONSOLE}.{DOMAIN}/")
        expect(page.get_by_text(MODEL).filter(visible=True).first).to_be_visible()
        page.locator("#chat-input").click()
        page.keyboard.type(QUESTION)
        page.keyboard.press("Enter")
        expect(page.locator(".chat-assistant").first).to_contain_text(ANSWER, timeout=_MILLISECONDS)
        record("answered")
        page.goto(f"{API}/workspaces/{BY_CONSOLE}/delete?team={SYSTEM}")
        page.locator("#confirm").fill(BY_CONSOLE)
        page.get_by_role("button", name="Delete workspace").click()
        expect(page.locator("h1")).to_have_text("Workspaces")
    except BaseException:
        record("broken")
        print(node.story(BY_CONSOLE))
        raise
    finally:
        print(f"the pages as they were: {tmp_path}")


def test_aichatctl_does_the_same_alone_on_a_machine_without_kubectl(
    node: Node, token: str, machine: Machine
) -> None:
    machine.run("login", API, "--ca-file", machine.authority, stdin=token)
    try:
        machine.run("create", BY_COMMAND, "--model", MODEL, "--wait", "--timeout", "4m")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{node.story(BY_COMMAND)}") from error
    assert re.search(rf"^{BY_COMMAND} .*Ready", machine.run("list"), re.MULTILINE)
    url = machine.run("open", BY_COMMAND, "--print").strip()
    assert url == f"https://{BY_COMMAND}.{DOMAIN}"
    credentials = json.loads(machine.run("credentials", BY_COMMAND, "-o", "json"))
    make_it_likeliest(url, credentials["email"], credentials["password"])
    webui = WebUI("http://127.0.0.1", url.removeprefix("https://"))
    webui.sign_in(credentials["email"], credentials["password"])
    assert ANSWER in webui.ask(MODEL, QUESTION)
    options = ("--temperature", "0", "--seed", "1")
    assert ANSWER in machine.run("prompt", BY_COMMAND, QUESTION, *options)
    assert "created it" in machine.run("describe", BY_COMMAND)
    machine.run("delete", BY_COMMAND, "--yes", "--wait", "--timeout", "3m")


def test_both_ways_in_that_the_demo_prints_work_as_they_are_printed(
    node: Node, token: str, workspaces: None, page: Page, tmp_path: Path
) -> None:
    assert token
    assert workspaces is None
    printed = subprocess.run(
        ["bash", "-euc", f". hack/demo-common; . hack/demo-ways-in; named={TENANT}; ways_in {API}"],
        cwd=ROOT,
        env={**os.environ, "KUBECONFIG": node.kubeconfig, "AUTHORITY": node.authority},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    print(printed)
    console, command_line = printed.split("\nThe command line ")
    assert console.startswith(f"The console   {API}/, ")
    sign_in_to_the_console(page, _run(console, tmp_path).strip())
    expect(page.locator("#list")).to_contain_text(TENANT)
    answered = _run(command_line, tmp_path)
    assert TENANT in answered
    assert ANSWER in answered


def _run(printed: str, folder: Path) -> str:
    """Run the indented lines, with a configuration of its own for aichatctl."""
    _, *lines = printed.splitlines()
    commands = "\n".join(line for line in lines if line.startswith("  "))
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        env={**os.environ, "AICHAT_CONFIG": str(folder / "config.yaml")},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
