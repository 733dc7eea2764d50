"""The console in a real browser: with and without script, in light and dark, by keyboard.

The pages, the script and the style sheet are the product's, served by its own server; the cluster
behind it is made up, so that each state is there when a test needs it.
"""

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Final, Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import running_chromium
from tests.fakes.console import TEAM, ConsoleWorld, make_world, namespace
from tests.fakes.listing import take_list
from tests.unit.api.samples import resource
from tests.unit.api.serving import serve

NAME: Final = "red-chat"
PAGE: Final = f"/workspaces/{NAME}?team={TEAM}"
SETTINGS: Final = f"/workspaces/{NAME}/settings?team={TEAM}"
PAGES: Final = (
    PAGE,
    *(
        f"/workspaces/{phase}-chat?team={TEAM}"
        for phase in ("degraded", "pullingmodels", "suspended")
    ),
    "/?q=none-like-this",
    "/platform",
    "/teams",
    f"/teams/{TEAM}",
    "/models",
    "/models?memory=8Gi&storage=20Gi",
    "/models?memory=much",
    f"/models?workspace={NAME}&team={TEAM}",
    f"/new?name={NAME}&team={TEAM}&model=gemma2:2b",
    f"/workspaces/{NAME}/delete?team={TEAM}",
    SETTINGS,
    f"/workspaces/{NAME}/yaml?team={TEAM}",
    "/workspaces/not-there",
)
_START_SECONDS: Final = 30
# A tenth of a second is felt; a machine that runs all tests at once is several times slower.
_STUTTER_MILLISECONDS: Final = 500
_SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")

_AXE: Final = (resources.files("axe_playwright_python") / "axe.min.js").read_text()


@dataclass
class ServedConsole:
    """The application on a loop of its own, as the browser's calls block this one."""

    world: ConsoleWorld
    url: str
    loop: asyncio.AbstractEventLoop

    def put(self, obj: dict[str, Any]) -> None:
        """Add or change a workspace, as the cluster's watch would."""
        changed = threading.Event()

        def put() -> None:
            self.world.put(obj)
            changed.set()

        self.loop.call_soon_threadsafe(put)
        assert changed.wait(_START_SECONDS)


@dataclass
class Visitor:
    """A page, and what its browser complained of."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.complaints.append(text)

    def sign_in(self) -> None:
        self.page.goto("/login")
        self.page.locator("#token").fill("good")
        self.page.keyboard.press("Enter")
        expect(self.page.locator("h1")).to_have_text("Workspaces")


def sample(phase: str = "Ready", **parts: Any) -> dict[str, Any]:
    status = {
        "phase": phase,
        "url": f"https://{NAME}.example.org",
        "namespace": {"name": NAME, "uid": f"namespace-of-{NAME}"},
        "models": [{"name": "gemma2:2b", "state": "Ready", "totalBytes": 2**30}],
    }
    return resource(NAME, team=TEAM, spec={"models": ["gemma2:2b"]}, status={**status, **parts})


def in_phase(phase: str) -> dict[str, Any]:
    """Return another workspace, with what its page shows in this phase."""
    message = "The models' volume is full: raise `spec.storage.ollama.size`."
    conditions = [
        {
            "type": kind,
            "status": "False",
            "reason": "ModelsVolumeFull",
            "message": message,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
            "observedGeneration": 1,
        }
        for kind in ("ModelsReady", "Ready")
    ]
    pulling = {"state": "Pulling", "percent": 41, "totalBytes": 2**30, "etaSeconds": 360}
    return resource(
        f"{phase.lower()}-chat",
        team=TEAM,
        spec={"models": ["gemma2:2b"], "suspended": phase == "Suspended"},
        status={
            "phase": phase,
            "conditions": conditions if phase == "Degraded" else [],
            "models": [
                {"name": "gemma2:2b", **pulling},
                {"name": "x", "state": "Failed", "message": message},
            ],
        },
    )


@contextmanager
def running() -> Iterator[ServedConsole]:
    started, ended = threading.Event(), asyncio.Event()
    served: list[ServedConsole] = []

    async def run() -> None:
        world = make_world({})
        world.put(sample())
        store = world.services.cluster._namespaces._store
        take_list(store, [*store.all(), namespace(NAME)], 2)
        async with serve(world.app, world.services.stopping) as url:
            served.append(ServedConsole(world, url, asyncio.get_running_loop()))
            started.set()
            await ended.wait()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        assert started.wait(_START_SECONDS)
        yield served[0]
    finally:
        served[0].loop.call_soon_threadsafe(ended.set)
        thread.join(_START_SECONDS)
    assert not thread.is_alive()


@pytest.fixture
def console() -> Iterator[ServedConsole]:
    with running() as served:
        yield served


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@contextmanager
def visiting(browser: Browser, console: ServedConsole, **options: Any) -> Iterator[Visitor]:
    """Open a browser; at the end it must have complained of nothing: no violation of the policy,
    no broken script, no missing file."""
    context = browser.new_context(base_url=console.url, **options)
    visitor = Visitor(context.new_page())
    visitor.page.on("console", lambda line: visitor.note(f"{line.type}: {line.text}"))
    visitor.page.on("pageerror", lambda error: visitor.note(str(error)))
    yield visitor
    context.close()
    assert visitor.complaints == []


@pytest.mark.parametrize("scheme", _SCHEMES)
def test_a_person_creates_follows_suspends_and_deletes_a_workspace(
    chromium: Browser, console: ServedConsole, scheme: str
) -> None:
    with visiting(chromium, console, color_scheme=scheme) as visitor:
        page = visitor.page
        visitor.sign_in()
        page.get_by_role("link", name="New workspace").click()
        page.locator("#name").fill(NAME)
        page.locator("#team").select_option(TEAM)
        expect(page.locator("#name-error")).to_contain_text("taken")
        page.locator("#name").fill("blue-chat")
        expect(page.locator("#checked")).to_contain_text("Everything is fine")
        expect(page.locator("#summary")).to_contain_text("blue-chat")
        page.get_by_role("button", name="Create workspace").click()
        expect(page.locator("h1")).to_contain_text("blue-chat")
        page.get_by_role("button", name="Suspend").click()
        expect(page.get_by_role("button", name="Resume")).to_be_visible()
        page.get_by_role("link", name="Delete").click()
        page.locator("#confirm").fill("blue-chat")
        page.get_by_role("button", name="Delete workspace").click()
        expect(page.locator("#list")).to_contain_text(NAME)
        expect(page.locator("#list")).not_to_contain_text("blue-chat")


def test_pages_follow_changes_and_keep_focus_text_and_open_menus(
    chromium: Browser, console: ServedConsole
) -> None:
    with visiting(chromium, console) as visitor:
        page = visitor.page
        visitor.sign_in()
        expect(page.locator("#list")).to_contain_text("Ready")
        page.locator(".rows .menu summary").click()
        link = page.get_by_role("link", name=NAME, exact=True)
        link.focus()
        console.put(sample("Degraded"))
        expect(page.locator(".rows .badge")).to_contain_text("Needs you")
        expect(link).to_be_focused()
        expect(page.locator(".rows .menu")).to_have_attribute("open", "")
        page.goto(PAGE)
        page.locator("#prompt").fill("half a question")
        console.put(sample("Ready"))
        expect(page.locator("h1 .badge")).to_have_text("Ready")
        expect(page).to_have_title(f"{NAME}: Ready")
        expect(page.locator("#prompt")).to_have_value("half a question")


def test_a_reply_comes_word_by_word_and_is_only_text(
    chromium: Browser, console: ServedConsole
) -> None:
    console.world.model.reply = lambda prompt: ["<b>", prompt, "</b>", "<img src=x onerror=x>"]
    with visiting(chromium, console) as visitor:
        page = visitor.page
        visitor.sign_in()
        page.goto(PAGE)
        page.locator("#prompt").fill("hello")
        page.get_by_role("button", name="Ask").click()
        expect(page.locator("#reply-text")).to_have_text("<b>hello</b><img src=x onerror=x>")
        expect(page.locator("#reply-note")).to_have_text(re.compile(r"gemma2:2b, [\d.]+ s"))
        assert page.url.endswith(PAGE)


def test_a_lost_connection_is_told_and_comes_back_by_itself(
    chromium: Browser, console: ServedConsole
) -> None:
    with visiting(chromium, console) as visitor:
        page = visitor.page
        visitor.sign_in()
        expect(page.locator("#list")).to_contain_text("Ready")
        page.context.set_offline(True)
        console.put(sample("Degraded"))
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(page.locator("#connection")).to_contain_text("No connection")
        expect(page.locator("#list")).to_contain_text(NAME)
        page.context.set_offline(False)
        expect(page.locator("#connection")).to_be_hidden(timeout=15_000)
        expect(page.locator(".rows .badge")).to_contain_text("Needs you")
        visitor.complaints.clear()  # the browser itself reports each failed request


def test_who_may_not_watch_still_sees_changes_and_no_false_alarm(
    chromium: Browser, console: ServedConsole
) -> None:
    console.world.client.allows = lambda review: review.get("verb") != "watch"
    with visiting(chromium, console) as visitor:
        page = visitor.page
        visitor.sign_in()
        console.put(sample("Degraded"))
        expect(page.locator(".rows .badge")).to_contain_text("Needs you", timeout=15_000)
        expect(page.locator("#connection")).to_be_hidden()
        assert all("403" in complaint for complaint in visitor.complaints)
        visitor.complaints.clear()


def test_everything_works_without_script(chromium: Browser, console: ServedConsole) -> None:
    with visiting(chromium, console, java_script_enabled=False) as visitor:
        page = visitor.page
        visitor.sign_in()
        page.goto(f"/new?name=blue-chat&team={TEAM}")
        page.get_by_role("button", name="Check").click()
        expect(page.locator("#checked")).to_contain_text("Everything is fine")
        page.get_by_role("button", name="Create workspace").click()
        expect(page.locator("h1")).to_contain_text("blue-chat")
        page.goto(PAGE)
        page.locator("#prompt").fill("hello")
        page.get_by_role("button", name="Ask").click()
        expect(page.locator("#reply-text")).to_have_text("You said: hello")
        page.get_by_role("button", name="Show sign-in data").click()
        expect(page.locator("#password")).to_have_text("correct-horse-battery-staple")
        page.get_by_role("button", name="Suspend").click()
        expect(page.get_by_role("button", name="Resume")).to_be_visible()
        page.locator("#person summary").click()
        page.get_by_role("button", name="Sign out").click()
        expect(page.locator("h1")).to_have_text("Sign in")


def test_the_keyboard_is_enough(chromium: Browser, console: ServedConsole) -> None:
    with visiting(chromium, console) as visitor:
        page, keys = visitor.page, visitor.page.keyboard
        visitor.sign_in()
        keys.press("/")
        expect(page.locator("#q")).to_be_focused()
        keys.type("red")
        keys.press("Enter")
        expect(page).to_have_url(re.compile(r"q=red"))
        _tab_to(page, NAME)
        keys.press("Enter")
        expect(page.locator("h1")).to_contain_text(NAME)
        _tab_to(page, "Delete…")
        keys.press("Enter")
        expect(page.locator("#confirm")).to_be_focused()
        keys.type(NAME)
        keys.press("Enter")
        expect(page.locator("#list")).to_contain_text("No workspace yet")
        keys.press("n")
        expect(page.locator("#name")).to_be_focused()
        keys.type("blue-chat")
        keys.press("Enter")
        expect(page.locator("h1")).to_contain_text("blue-chat")


def _tab_to(page: Page, text: str) -> None:
    """Press Tab until the element with this text has the focus."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == text:
            return
    raise AssertionError(f"{text} can't be reached by Tab")


def _violations(page: Page) -> list[str]:
    """Return what axe-core finds wrong on the page, with the elements."""
    page.evaluate(_AXE)
    violations = page.evaluate("axe.run().then(results => results.violations)")
    return [
        f"{page.url}: {violation['id']}: {node['html']}: {node['failureSummary']}"
        for violation in violations
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize("scheme", _SCHEMES)
def test_axe_finds_nothing_on_any_page(
    chromium: Browser, console: ServedConsole, scheme: Literal["light", "dark"]
) -> None:
    for phase in ("Degraded", "PullingModels", "Suspended"):
        console.put(in_phase(phase))
    with visiting(chromium, console, color_scheme=scheme) as visitor:
        page = visitor.page
        page.goto("/login")
        violations = _violations(page)
        visitor.sign_in()
        page.locator("#person summary").click()
        page.locator(".rows .menu summary").first.click()
        violations += _violations(page)
        for path in PAGES:
            page.goto(path)
            violations += _violations(page)
        page.goto(PAGE)
        page.get_by_role("button", name="Show sign-in data").click()
        violations += _violations(page)
        page.goto(f"/teams/{TEAM}")
        page.locator("#member-name").fill("bo@example.org")
        page.get_by_role("button", name="Invite").click()
        expect(page.locator("#members")).to_contain_text("bo@example.org")
        page.locator("#token-name").fill("ci")
        page.get_by_role("button", name="Make token").click()
        expect(page.locator("#new-token")).to_be_visible()
        page.locator("#members summary").click()
        violations += _violations(page)
        page.goto(SETTINGS)
        for lifetime in ("soon", "30d"):  # a value that is refused, and one whose change is shown
            page.locator('[id="expiresAfter"]').fill(lifetime)
            with page.expect_navigation():
                page.get_by_role("button", name="Review").click()
            violations += _violations(page)
        visitor.complaints.clear()  # the browser reports the page that is not there
    assert violations == []


def test_axe_notices_what_shuts_people_out(chromium: Browser) -> None:
    page = chromium.new_page()
    page.set_content("<html lang='en'><title>A page</title><main><h1>A page</h1><img src='x'>")
    assert [violation for violation in _violations(page) if "image-alt" in violation]
    page.close()


def test_a_token_is_shown_once_and_a_team_is_changed_by_forms(
    chromium: Browser, console: ServedConsole
) -> None:
    with visiting(chromium, console) as visitor:
        page = visitor.page
        visitor.sign_in()
        page.get_by_role("link", name="Teams").click()
        page.get_by_role("link", name=TEAM).click()
        page.locator("#member-name").fill("bo@example.org")
        page.locator("#member-role").select_option("viewer")
        page.get_by_role("button", name="Invite").click()
        expect(page.locator("#members")).to_contain_text("bo@example.org")
        expect(page.locator("#members")).to_contain_text("Viewer")
        page.locator("#token-name").fill("ci")
        page.get_by_role("button", name="Make token").click()
        expect(page.locator("#token-text")).not_to_be_empty()
        expect(page.locator("#tokens")).to_contain_text("ci")
        page.goto(f"/teams/{TEAM}")
        expect(page.locator("#tokens")).to_contain_text("ci")
        expect(page.locator("#new-token")).to_have_count(0)
        page.locator("#tokens summary").click()
        page.get_by_role("button", name="Revoke").click()
        expect(page.locator("#tokens")).to_contain_text("No script has a token.")
        page.locator("#members summary").click()
        page.get_by_role("button", name="Remove from the team").click()
        expect(page.locator("#members")).not_to_contain_text("bo@example.org")


def test_a_model_that_fits_is_added_from_the_catalogue(
    chromium: Browser, console: ServedConsole
) -> None:
    with visiting(chromium, console) as visitor:
        page = visitor.page
        visitor.sign_in()
        page.goto(PAGE)
        page.get_by_role("link", name="Models that fit").click()
        page.get_by_role("button", name="Add qwen3:0.6b").click()
        expect(page.locator("#history")).to_contain_text("added qwen3:0.6b")
        page.get_by_role("link", name="Models", exact=True).click()
        page.locator("#memory").fill("6Gi")
        page.get_by_role("button", name="See what fits").click()
        row = page.get_by_role("row", name="qwen3:32b")
        expect(row).to_contain_text("Needs")
        page.get_by_role("link", name="Use qwen3:0.6b").click()
        expect(page.locator("#models")).to_have_value("qwen3:0.6b")


def test_the_platforms_page_follows_changes(chromium: Browser, console: ServedConsole) -> None:
    with visiting(chromium, console) as visitor:
        page = visitor.page
        visitor.sign_in()
        page.goto("/platform")
        expect(page.locator("#phases")).to_contain_text("Ready 1")
        with page.expect_response(lambda response: ":watch" in response.url):
            page.reload()
        console.put(in_phase("Degraded"))
        expect(page.locator("#phases")).to_contain_text("Needs you 1", timeout=15_000)
        expect(page.locator("#problems")).to_contain_text("ModelsVolumeFull")


def test_rights_that_end_while_one_looks_end_the_view(
    chromium: Browser, console: ServedConsole
) -> None:
    with visiting(chromium, console) as visitor:
        page = visitor.page
        visitor.sign_in()
        page.goto(PAGE)
        expect(page.locator("h1")).to_contain_text(NAME)
        console.world.client.allows = lambda _: False
        console.put(sample("Degraded"))
        expect(page.locator("#list")).to_contain_text("Ask an administrator", timeout=60_000)
        assert NAME not in page.content()
        visitor.complaints.clear()  # the browser reports each refused request


@pytest.mark.parametrize("has_script", [True, False])
def test_settings_are_reviewed_before_they_are_saved(
    chromium: Browser, console: ServedConsole, *, has_script: bool
) -> None:
    with visiting(chromium, console, java_script_enabled=has_script) as visitor:
        page = visitor.page
        visitor.sign_in()
        page.goto(PAGE)
        page.get_by_role("link", name="Settings").click()
        page.get_by_label("Model server: memory at most").fill("12Gi")
        page.get_by_role("button", name="Review").click()
        expect(page.locator(".review")).to_contain_text("resources.ollama.memoryLimit")
        expect(page.locator("#restarts")).to_contain_text("The model server restarts")
        page.get_by_role("button", name="Save").click()
        expect(page.locator("h1")).to_contain_text(NAME)
        page.goto(SETTINGS)
        expect(page.get_by_label("Model server: memory at most")).to_have_value("12Gi")


def test_a_list_of_a_thousand_does_not_stutter(
    chromium: Browser, console: ServedConsole, record_property: Callable[[str, object], None]
) -> None:
    for number in range(1000):
        status = {"phase": "Ready", "url": "https://a.example.org"}
        console.put(resource(f"chat-{number:04}", team=TEAM, status=status))
    with visiting(chromium, console) as visitor:
        page = visitor.page
        page.add_init_script(
            "window.longest = 0; new PerformanceObserver(list => list.getEntries().forEach("
            "entry => window.longest = Math.max(window.longest, entry.duration)"
            ")).observe({type: 'longtask', buffered: true})"
        )
        visitor.sign_in()
        expect(page.locator(".rows tbody tr")).to_have_count(100)
        console.put(resource("chat-0001", team=TEAM, status={"phase": "Degraded"}))
        expect(page.locator(".rows")).to_contain_text("Needs you")
        longest = page.evaluate("window.longest")
    record_property("longest_task_milliseconds", longest)
    assert longest < _STUTTER_MILLISECONDS, f"a task took {longest:.0f} ms"


@pytest.mark.parametrize("path", ["/login", "/", "/new", "/platform", PAGE, SETTINGS])
def test_a_phone_shows_a_page_without_scrolling_sideways(
    chromium: Browser, console: ServedConsole, path: str
) -> None:
    long = "a" + "-long-name" * 4
    console.put(resource(long, team=TEAM, spec={"models": [f"{long}/{long}:latest"]}))
    with visiting(chromium, console, viewport={"width": 360, "height": 700}) as visitor:
        visitor.sign_in()
        visitor.page.goto(path)
        width = visitor.page.evaluate("document.documentElement.scrollWidth")
        assert width <= 360
