"""What a person does: open the address in a browser, sign in, ask, read the reply."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from playwright.sync_api import Page, Request, expect

from aichat_workspace.openwebui.client import OpenWebUIClient
from aichat_workspace.runtime.servers import chat_at
from tests.browser import running_chromium
from tests.contracts.openwebui import check_accounts, check_contract
from tests.e2e.conftest import (
    ANSWER,
    DOMAIN,
    QUESTION,
    SECOND,
    SYSTEM,
    TENANT,
    Node,
    credentials,
    signed_in,
)
from tests.e2e.webui import LIKELIEST, WebUI
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("chat")
_PATIENCE_MILLISECONDS = 90_000
_MODEL = "gemma2:2b"
_SECOND_RESOURCE = "aichatworkspace-team-b"
# The reply to the question that this template asks shows that tools were offered, whatever the
# question was. They are not described: many would read so much for minutes.
_TELLTALE = """\
{{ if .Tools }}<|im_start|>user
What is the capital of France?<|im_end|>
{{ else }}{{ range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}{{ end }}<|im_start|>assistant
"""


def test_a_person_signs_in_and_chats_in_a_browser(node: Node, tmp_path: Path) -> None:
    with _browser(node, TENANT, tmp_path) as page:
        _ask(page, _MODEL, QUESTION)
        expect(page.locator(".chat-assistant").first).to_contain_text(ANSWER)


@pytest.fixture
def second(node: Node) -> Iterator[WebUI]:
    """A person has made three models of one that is there: one that can call tools, one that can't,
    and one that can and is not to."""
    webui = signed_in(node, SECOND)
    look = ("get", "aiws", _SECOND_RESOURCE, "-n", SYSTEM, "-o", "json")
    models = json.loads(node.kubectl(*look))["spec"]["models"]
    theirs = {"id": "careful:latest", "name": "Careful", "params": {"function_calling": "legacy"}}
    webui.call("/api/v1/models/create", {**theirs, "base_model_id": None, "meta": {}})
    for name, template in (("caller", _TELLTALE), ("talker", ""), ("careful", _TELLTALE)):
        webui.call("/ollama/api/create", _made_of(models[0], name, template))
    # What is in the spec is looked at now, and what a person adds within ten minutes.
    _set_models(node, [*models, "caller", "talker", "careful"])
    yield webui
    _set_models(node, models)


def test_each_model_is_offered_what_it_can_do(node: Node, second: WebUI, tmp_path: Path) -> None:
    def entries() -> dict[str, Any]:
        return {model["id"]: model for model in second.call("/api/v1/models/base")}

    eventually(
        lambda: "caller:latest" in entries(),
        "the operator has made an entry for the model that can call tools",
        story=lambda: node.story(SECOND),
    )
    assert set(entries()) == {"caller:latest", "careful:latest"}
    assert entries()["careful:latest"]["params"] == {"function_calling": "legacy"}
    with _browser(node, SECOND, tmp_path) as page:
        for model, reply in (("talker", "Rome"), ("careful", "Rome"), ("caller", "Paris")):
            page.goto(f"https://{SECOND}.{DOMAIN}/?models={model}:latest")
            _ask(page, model.capitalize() if model == "careful" else model, "The capital of Italy?")
            expect(page.locator(".chat-assistant").first).to_contain_text(reply)


@pytest.mark.filterwarnings("ignore:Sending a large body directly")  # a picture, as a person's
async def test_open_webui_does_what_the_fake_one_does(node: Node) -> None:
    connector = aiohttp.TCPConnector(resolver=Loopback())
    async with aiohttp.ClientSession(connector=connector) as session:
        client = OpenWebUIClient(chat_at(session, f"http://{SECOND}.{DOMAIN}"))
        await check_contract(client, *credentials(node, SECOND))
        await check_accounts(client, *credentials(node, SECOND))


class Loopback(AbstractResolver):
    """Every name is this machine's."""

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        del family
        return [
            ResolveResult(hostname=host, host="127.0.0.1", port=port, family=2, proto=0, flags=0)
        ]

    async def close(self) -> None:
        """Nothing is held."""


def _made_of(base: str, name: str, template: str) -> dict[str, Any]:
    parameters = {
        "temperature": 0,
        "seed": 1,
        "num_predict": 48,
        "stop": ["<|im_start|>", "<|im_end|>"],
    }
    own = {"template": template} if template else {}
    return {"model": name, "from": base, "parameters": parameters, "stream": False, **own}


def _set_models(node: Node, models: list[str]) -> None:
    node.kubectl(
        *("patch", "aiws", _SECOND_RESOURCE, "-n", SYSTEM, "--type=merge"),
        *("-p", json.dumps({"spec": {"models": models}})),
    )


def _choose_settings(webui: WebUI) -> None:
    """A person's own: the most likely reply, and no title, over which so small a model may think
    for longer than over its reply."""
    settings = {
        "params": LIKELIEST,
        "showChangelog": False,  # it would lie over the page at the first sign-in
        "title": {"auto": False},
        "autoTags": False,
        "autoFollowUps": False,
    }
    webui.call("/api/v1/users/user/settings/update", {"ui": settings})


@contextmanager
def _browser(node: Node, tenant: str, pictures: Path) -> Iterator[Page]:
    """A browser in which the tenant's administrator is signed in."""
    with running_chromium(f"--host-resolver-rules=MAP *.{DOMAIN} 127.0.0.1") as browser:
        page = browser.new_context(ignore_https_errors=True).new_page()
        _print_faults(page)
        page.set_default_timeout(_PATIENCE_MILLISECONDS)
        expect.set_options(timeout=_PATIENCE_MILLISECONDS)
        _choose_settings(signed_in(node, tenant))
        try:
            _sign_in(page, tenant, *credentials(node, tenant))
            yield page
        finally:
            expect.set_options(timeout=None)  # the default again
            page.screenshot(path=pictures / "chat.png")
            print(f"the page as it was: {pictures / 'chat.png'}")


def _print_faults(page: Page) -> None:
    """Print what a person would find in the browser's console: why a page stays empty."""
    page.on("console", lambda line: print(f"console: {line.type}: {line.text}"))
    page.on("pageerror", lambda error: print(f"the page broke: {error}"))
    page.on("requestfailed", lambda request: print(f"no answer: {request.url}: {request.failure}"))
    page.on("requestfinished", _print_refused)


def _print_refused(request: Request) -> None:
    response = request.response()
    if response is not None and response.status >= 400:
        print(f"{response.status} of {request.url}")


def _sign_in(page: Page, tenant: str, email: str, password: str) -> None:
    page.goto(f"https://{tenant}.{DOMAIN}/")
    page.locator("input[type=email]").fill(email)
    page.locator("input[type=password]").fill(password)
    page.keyboard.press("Enter")
    page.locator("#chat-input").wait_for()  # signed in: another page would ask again before that


def _ask(page: Page, model: str, prompt: str) -> None:
    """Ask once the model's name is shown; before that nothing is sent."""
    expect(page.get_by_text(model).filter(visible=True).first).to_be_visible()
    page.locator("#chat-input").click()
    page.keyboard.type(prompt)
    page.keyboard.press("Enter")
