"""The pages that people read first agree with one another and with the code."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import pytest
import yaml

from aichat_workspace.domain import names, versions
from aichat_workspace.domain.kubernetes.quantity import parse
from aichat_workspace.domain.v1alpha1 import crd
from aichat_workspace.domain.v1alpha1.platform_spec import PlatformSpec
from aichat_workspace.foundation.states import STEPS
from tests.examples import examples

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FRONT: Final = [
    *("README.md", "SECURITY.md", "CODE_OF_CONDUCT.md", "ROADMAP.md", "docs/index.md"),
    *("docs/install.md", "docs/first-workspace.md", "docs/how-it-works.md"),
]
_LINK: Final = re.compile(r"\]\(([^)\s]+)\)")
_FENCE: Final = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)


def text(path: str) -> str:
    return (ROOT / path).read_text()


def anchors(page: Path) -> Iterator[str]:
    """As GitHub makes them: lower case, no punctuation, hyphens for spaces."""
    prose = _FENCE.sub("", page.read_text())
    for heading in re.findall(r"^#+ (.*)$", prose, re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    for target in _LINK.findall(_FENCE.sub("", page.read_text())):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{target} is not there"
        assert file.is_relative_to(ROOT), f"{target} is outside of the project"
        if anchor:
            assert anchor in anchors(file), f"{target} has no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_heading_follows_a_blank_line(page: Path) -> None:
    prose = _FENCE.sub("", page.read_text())
    assert re.findall(r"(?<!\n)\n(##+ .*)$", prose, re.MULTILINE) == []


def test_what_is_said_of_turns_leads_to_what_changes_in_them() -> None:
    for page in PAGES:
        for words, target in re.findall(r"\[([^\]]*)\]\(([^)\s]+)\)", page.read_text()):
            if re.search(r"\bturns$|a few workspaces at a time$", words):
                assert target.endswith("#what-changes-in-turns"), f"{page.name}: {words}"


def test_every_page_can_be_reached_from_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {
        (index.parent / link.partition("#")[0]).resolve()
        for link in _LINK.findall(text("docs/index.md"))
    }
    pages = {page for page in (ROOT / "docs").glob("*.md") if page != index}
    assert pages <= linked


@pytest.mark.parametrize("path", FRONT)
def test_the_first_pages_are_in_plain_english(path: str) -> None:
    """Singular they; no relative clause in place of a noun."""
    outdated = re.findall(
        r"\b(?:he|his|him|himself|whoever|nobody knows|anew)\b", text(path), re.IGNORECASE
    )
    assert outdated == []


def test_the_readme_fits_in_a_minute_or_two() -> None:
    """At 250 words a minute, tables and commands left to those who stay."""
    prose = _FENCE.sub("", text("README.md"))
    words = [line for line in prose.splitlines() if not line.startswith("|")]
    assert len(" ".join(words).split()) < 700


def test_every_command_of_the_first_pages_is_marked_for_the_test_that_runs_it() -> None:
    for path in ("README.md", "docs/install.md"):
        unmarked = [example.line for example in examples(ROOT / path) if not example.mark]
        assert unmarked == [], f"{path}: no test runs the commands at these lines"


def test_each_reason_has_a_figure_that_was_measured() -> None:
    reasons = text("README.md").partition("## Why\n")[2].partition("\n## ")[0]
    points = re.findall(r"^\d\. .*?(?=^\d\. |\Z)", reasons, re.MULTILINE | re.DOTALL)
    assert len(points) == 5
    measured = text("docs/benchmarks.md")
    for point in points:
        figures = re.findall(r"`([^`]*\d[^`]*)`", point)
        assert figures, f"no figure in: {point}"
        assert [figure for figure in figures if figure not in measured] == []


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl builds the kustomization")
def test_the_patch_for_openshift_leaves_our_pods_no_user_of_their_own(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "install.md").read_text()
    blocks = re.findall(r"(?ms)^```yaml\n(.*?)^```$", page)
    (patch,) = (block for block in blocks if "/securityContext/runAsUser" in block)
    shutil.copytree(ROOT / "config", tmp_path / "config", ignore=shutil.ignore_patterns("mine"))
    folder = tmp_path / "config" / "openshift"
    folder.mkdir()
    (folder / "kustomization.yaml").write_text(f"resources: [../default]\n{patch}")
    command = ["kubectl", "kustomize", str(folder)]
    rendered = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    contexts = [
        manifest["spec"]["template"]["spec"]["securityContext"]
        for manifest in yaml.safe_load_all(rendered)
        if manifest["kind"] == "Deployment"
    ]
    assert len(contexts) == 2
    for context in contexts:
        assert context["runAsNonRoot"]
        assert not {"runAsUser", "runAsGroup"} & context.keys()


def test_the_table_of_settings_has_every_part_of_the_platform_and_nothing_else() -> None:
    page = (ROOT / "docs" / "platforms.md").read_text()
    (table,) = re.findall(r"^\| setting below `spec` .*?\n\n", page, re.MULTILINE | re.DOTALL)
    cells = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    settings = {name for cell in cells for name in re.findall("`(.+?)`", cell)}
    assert settings == {field.alias or name for name, field in PlatformSpec.model_fields.items()}


def test_the_licence_is_that_of_the_version_that_is_installed() -> None:
    pairs = re.findall(
        r"Open WebUI (\d+\.\d+\.\d+)|open-webui/blob/v(\d+\.\d+\.\d+)", text("README.md")
    )
    assert {version for pair in pairs for version in pair if version} == {versions.OPEN_WEBUI}


def test_the_size_of_a_workspace_is_the_default_one() -> None:
    shares = (PlatformSpec().ollama, PlatformSpec().open_webui)
    cpu = sum(parse(share.cpu_request) for share in shares)
    memory = sum(parse(share.memory_request) for share in shares) / 2**30
    storage = sum(parse(share.storage) for share in shares) / 2**30
    sentence = (
        f"{float(cpu):g} CPU, {float(memory):g} GiB of memory and {float(storage):g} GiB of volumes"
    )
    assert sentence in text("docs/install.md")


def test_the_picture_is_of_what_workspaces_run_and_kubectl_prints_today() -> None:
    """If not: `make demo`, `make picture`, and look at it."""
    recording = text("docs/images/first-chat.txt")
    version, *_ = crd.workspace_crd()["spec"]["versions"]
    columns = [
        column["name"] for column in version["additionalPrinterColumns"] if "priority" not in column
    ]
    (header,) = re.findall(r"^NAME .*$", recording, re.MULTILINE)
    assert header.split() == ["NAME", *map(str.upper, columns)]
    ollama, open_webui = PlatformSpec().images.resolved
    assert recording.endswith(f"\nollama: {ollama}\nopenWebUI: {open_webui}\n")


def test_the_picture_is_small_and_said_in_words_too() -> None:
    readme = text("README.md")
    named = ("first-chat-{}.webp", "console-list-{}.png")
    pictures = {f"docs/images/{name.format(part)}" for name in named for part in ("light", "dark")}
    assert pictures == set(re.findall(r"(?:src|srcset)=\"([^\"]+)\"", readme))
    pictures |= {"docs/images/create-wait.svg"}
    assert all((ROOT / picture).stat().st_size <= 150_000 for picture in pictures)
    words, _ = re.findall(r"alt=\"([^\"]+)\"", readme)
    question, reply = re.findall(
        r"^> (.*)\n(.*)$", text("docs/images/first-chat.txt"), re.MULTILINE
    )[0]
    assert question in words
    assert reply in words


MANIFESTS: Final = [
    *PAGES,
    *(ROOT / "examples").rglob("*.yaml"),
    *(ROOT / "config" / "local").glob("*.yaml"),
    ROOT / "charts" / names.OPERATOR / "Chart.yaml",
    ROOT / "charts" / names.OPERATOR / "templates" / "NOTES.txt",
]
_VERSIONING: Final = {"versioning.md", "CHANGELOG.md", "0046-v1beta1.md"}


def test_the_recording_of_create_ends_as_its_text_does_and_shows_each_step_of_today() -> None:
    """If not: `make demo`, `make picture`, and look at it."""
    picture = ElementTree.fromstring(text("docs/images/create-wait.svg"))  # noqa: S314  (our own)
    name = "{http://www.w3.org/2000/svg}"
    rows = {f"#{row.get('id')}": row for row in picture.iterfind(f"{name}defs/{name}text")}
    *_, last = picture.iterfind(f"{name}g/{name}g")
    assert "hidden" not in last.get("style", "")
    words = [" ".join(rows[use.get("href", "")].itertext()).split() for use in last]
    command, *lines = text("docs/images/create-wait.txt").partition("\n\n")[0].splitlines()
    assert words == [line.split() for line in lines]
    for step in ("Provisioned", "OllamaAvailable", "OpenWebUIAvailable"):
        assert any(line.startswith(f"  ✓ {STEPS[step]} ") for line in lines), step
    assert command.startswith("$ aichatctl create ")
    assert command.endswith(" --wait")
    for page, path in (("README.md", "docs/images"), ("docs/aichatctl.md", "images")):
        assert f"]({path}/create-wait.svg)" in text(page)


def test_people_are_shown_the_most_stable_version_of_the_resources() -> None:
    """The original operator's samples in config/samples stay as they were."""
    versions = {
        (path.name, version)
        for path in MANIFESTS
        if path.name not in _VERSIONING
        for version in re.findall(rf"{names.GROUP}/(v\d\w*)", path.read_text())
    }
    assert {version for _, version in versions} == {names.SERVED_VERSIONS[0]}, versions
