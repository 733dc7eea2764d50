"""Draw the README's picture from a real run: `make demo`, then `make picture`.

On the demo's node it creates the workspace of the README's first manifest, records the output of
`kubectl get aiws -w` until people can chat, signs in to Open WebUI through the ingress in a
browser, and asks. It writes the picture for light and for dark pages, and the same as text, into
docs/images. Nothing in it is written by hand.
"""

import base64
import html
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal

import yaml
from playwright.sync_api import Browser, Page, sync_playwright

ROOT: Final = Path(__file__).parents[1]
SYSTEM: Final = "aichat-workspace-operator-system"
QUESTION: Final = "What is the capital of France?"
MAX_BYTES: Final = 150_000
_WIDTH: Final = 344
_LINE_PIXELS: Final = 13.5 * 1.55
_MILLISECONDS: Final = 120_000
_SCALE: Final = 2
_QUALITIES: Final = (90, 80, 70, 60)
# The account's own settings: the same reply in each picture, and no titles or further questions,
# because a model this small makes misleading ones.
_ONLY_THE_REPLY: Final = """async () => {
  const url = "/api/v1/users/user/settings";
  const authorization = `Bearer ${localStorage.token}`;
  const headers = {"Authorization": authorization, "Content-Type": "application/json"};
  const settings = (await (await fetch(url, {headers})).json()) ?? {};
  settings.ui = {...settings.ui, params: {temperature: 0, seed: 1}, title: {auto: false},
                 autoTags: false, autoFollowUps: false};
  await fetch(`${url}/update`, {method: "POST", headers, body: JSON.stringify(settings)});
}"""
Scheme = Literal["light", "dark"]


@dataclass(frozen=True)
class Cluster:
    """Run kubectl as in the picture: in the namespace of the team."""

    kubeconfig: Path
    folder: Path

    def run(self, command: str) -> str:
        process = subprocess.run(
            command.split(),
            env=self._environment(),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )
        if process.returncode:
            raise SystemExit(f"{command}: {process.stderr}")
        return process.stdout

    @contextmanager
    def recording(self, command: str) -> Iterator[Path]:
        """Run an endless command and record its output."""
        output = self.folder / "recording"
        with output.open("w") as file:
            process = subprocess.Popen(
                command.split(), env=self._environment(), cwd=self.folder, stdout=file
            )
            try:
                yield output
            finally:
                process.terminate()
                process.wait()

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig)}


@dataclass(frozen=True)
class Run:
    """The contents of the picture."""

    images: dict[str, str]
    terminal: list[str]
    address: str
    reply: str
    screenshots: dict[Scheme, bytes]


def main() -> None:
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"
    output.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--host-resolver-rules=MAP *.aichat.localhost 127.0.0.1"],
        )
        run = record(_cluster(Path(folder)), browser)
        for scheme, screenshot in run.screenshots.items():
            picture = draw(browser, run, scheme, screenshot)
            (output / f"first-chat-{scheme}.webp").write_bytes(picture)
        browser.close()
    (output / "first-chat.txt").write_text(as_text(run))
    print(as_text(run))


def _cluster(folder: Path) -> Cluster:
    """Return the demo's cluster, with its own kubeconfig for the team's namespace."""
    command = [sys.executable, "-m", "localcluster", "status", "--name", "demo", "-o", "json"]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if process.returncode:
        raise SystemExit(f"the demo is not running; run make demo first\n{process.stderr}")
    kubeconfig = folder / "kubeconfig"
    shutil.copy(json.loads(process.stdout)["kubeconfig"], kubeconfig)
    return Cluster(kubeconfig, folder)


def manifest() -> str:
    """Return the README's first manifest."""
    return (ROOT / "README.md").read_text().split("```yaml\n")[1].partition("```")[0]


def record(cluster: Cluster, browser: Browser) -> Run:
    resource = yaml.safe_load(manifest())
    name, team = resource["metadata"]["name"], resource["metadata"]["namespace"]
    cluster.run(f"kubectl delete namespace {team} --ignore-not-found --timeout=180s")
    cluster.run(f"kubectl create namespace {team}")
    cluster.run(f"kubectl label namespace {team} aichatworkspaces.io/team=true")
    cluster.run(f"kubectl config set-context --current --namespace={team}")
    terminal = _terminal(cluster, name)
    status = json.loads(cluster.run(f"kubectl get aiws {name} -o json"))["status"]
    address = status["url"]
    height = round(len(terminal) * _LINE_PIXELS) + 26
    page = _sign_in(browser, address, *_account(cluster, status["namespace"]["name"]), height)
    reply = _ask(page, resource["spec"]["models"][0])
    screenshots: dict[Scheme, bytes] = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        screenshots[scheme] = page.screenshot(animations="disabled")
    return Run(status["images"], terminal, address, reply, screenshots)


def _terminal(cluster: Cluster, name: str) -> list[str]:
    """Return the lines of a terminal, from the manifest until people can chat."""
    file = f"{name}.yaml"
    (cluster.folder / file).write_text(manifest())
    lines = []
    for command in (f"cat {file}", f"kubectl apply -f {file}"):
        lines += [f"$ {command}", *cluster.run(command).splitlines()]
    watch = "kubectl get aiws -w"
    with cluster.recording(watch) as recording:
        cluster.run(f"kubectl wait aiws/{name} --for=condition=Ready --timeout=300s")
        deadline = time.monotonic() + 30  # its watch is not the one of kubectl wait
        while not (output := recording.read_text()).count(" True "):
            if time.monotonic() > deadline:
                raise SystemExit(f"{watch} does not show that {name} is ready:\n{output}")
            time.sleep(0.1)
    return [*lines, f"$ {watch}", *output.splitlines()]


def _account(cluster: Cluster, workspace: str) -> tuple[str, str]:
    """Return the first administrator's address and password."""
    secret = f"kubectl -n {SYSTEM} get secret {workspace}-credentials -o json"
    data = json.loads(cluster.run(secret))["data"]
    email, password = (
        base64.b64decode(data[key]).decode()
        for key in ("WEBUI_ADMIN_EMAIL", "WEBUI_ADMIN_PASSWORD")
    )
    return email, password


def _sign_in(browser: Browser, address: str, email: str, password: str, height: int) -> Page:
    context = browser.new_context(
        ignore_https_errors=True,
        viewport={"width": _WIDTH, "height": height},
        device_scale_factor=_SCALE,
        color_scheme="light",
    )
    page = context.new_page()
    page.set_default_timeout(_MILLISECONDS)
    page.goto(f"{address}/")
    page.locator("input[type=email]").fill(email)
    page.locator("input[type=password]").fill(password)
    page.keyboard.press("Enter")
    page.get_by_text("Okay, Let's Go!").click()  # closes the news of this version
    page.evaluate(_ONLY_THE_REPLY)
    page.reload()
    return page


def _ask(page: Page, model: str) -> str:
    """Ask, and return the reply once it is complete."""
    page.get_by_text(model).filter(visible=True).first.wait_for()
    page.locator("#chat-input").click()
    page.keyboard.type(QUESTION)
    page.keyboard.press("Enter")
    reply = page.locator(".chat-assistant").first
    page.locator(".copy-response-button").first.wait_for(state="attached")
    page.get_by_label("Voice mode").wait_for()  # replaces Stop when the reply is complete
    page.mouse.move(0, 0)
    return reply.inner_text().strip()


def draw(browser: Browser, run: Run, scheme: Scheme, screenshot: bytes) -> bytes:
    """Draw both windows side by side on a transparent page."""
    page = browser.new_page(color_scheme=scheme)
    size = _png_size(screenshot)
    page.set_content(
        Template((ROOT / "hack" / "picture.html").read_text()).substitute(
            terminal="\n".join(map(_as_html, run.terminal)),
            address=html.escape(run.address),
            screenshot=base64.b64encode(screenshot).decode(),
            width=size[0] // _SCALE,
            height=size[1] // _SCALE,
        )
    )
    page.wait_for_function("document.images[0].complete && document.fonts.ready")
    box = page.locator("body").bounding_box()
    if box is None:
        raise SystemExit("the page has no body")
    protocol = page.context.new_cdp_session(page)  # Playwright itself knows no WebP
    transparent: dict[str, Any] = {"color": {"r": 0, "g": 0, "b": 0, "a": 0}}
    protocol.send("Emulation.setDefaultBackgroundColorOverride", transparent)
    clip = {**box, "scale": _SCALE}
    for quality in _QUALITIES:
        options = {"format": "webp", "quality": quality, "clip": clip}
        shot = protocol.send("Page.captureScreenshot", {**options, "captureBeyondViewport": True})
        picture = base64.b64decode(shot["data"])
        if len(picture) <= MAX_BYTES:
            page.close()
            return picture
    raise SystemExit(f"the {scheme} picture has {len(picture)} bytes, more than {MAX_BYTES}")


def _as_html(line: str) -> str:
    text = html.escape(line)
    if line.startswith("$ "):
        return f"<b>$$</b> <strong>{text[2:]}</strong>".replace("$$", "$")
    return f"<em>{text}</em>" if line.startswith("NAME ") else text


def _png_size(image: bytes) -> tuple[int, int]:
    return int.from_bytes(image[16:20]), int.from_bytes(image[20:24])


def as_text(run: Run) -> str:
    """Return the run as text, for screen readers and for the test that checks it."""
    images = [f"{workload}: {image}" for workload, image in run.images.items()]
    chat = [run.address, f"> {QUESTION}", run.reply]
    return "\n".join([*run.terminal, "", *chat, "", "Drawn by make picture, with", *images, ""])


if __name__ == "__main__":
    main()
