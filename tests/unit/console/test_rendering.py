"""What every page, template and asset keeps to."""

import re
from pathlib import Path

import pytest

from aichat_workspace.console import rendering
from aichat_workspace.console.settings_form import FIELDS, GROUPS
from aichat_workspace.console.texts import TEXTS
from aichat_workspace.console.views.rows import HEADS

CONSOLE = Path(rendering.__file__).parent
TEMPLATES = sorted((CONSOLE / "templates").iterdir())
_FORBIDDEN = re.compile(
    r"<style|\sstyle=|\son\w+=|javascript:|\|\s*safe|autoescape|<script(?! src=)|Markup",
    re.IGNORECASE,
)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_inline_script_or_style_or_unescaped_text(template: Path) -> None:
    assert _FORBIDDEN.findall(template.read_text()) == []


@pytest.mark.parametrize(
    "text", ["<b style='x'>", '<p onclick="x">', "{{ name | safe }}", "<script>"]
)
def test_what_is_forbidden_is_noticed(text: str) -> None:
    assert _FORBIDDEN.search(text)


def test_every_text_is_used_and_every_used_text_is_there() -> None:
    sources = [*TEMPLATES, *CONSOLE.rglob("*.py")]
    source = "\n".join(file.read_text() for file in sources if file.name != "texts.py")
    named = {
        *re.findall(r"\bt\.(\w+)", source),
        *re.findall(r"TEXTS\[['\"](\w+)['\"]\]", source),
        *(name for columns in HEADS.values() for name, _ in columns),
    }
    prefixes = (
        "error|code|field|group|help|option|kind|role|days|room|raise|gauge|sort|by|chat_role"
    )
    computed = re.compile(f"({prefixes})_")
    assert named <= set(TEXTS)
    assert {name for name in TEXTS if not computed.match(name)} <= named


def test_every_icon_is_in_the_sprite() -> None:
    sprite = (CONSOLE / "assets" / "icons.svg").read_text()
    drawn = set(re.findall(r'<symbol id="(\w+)"', sprite))
    markup = "\n".join(template.read_text() for template in TEMPLATES)
    named = set(re.findall(r'icon\("(\w+)"', markup)) | {"good", "working", "trouble", "idle"}
    assert named | {"play", "pause"} == drawn


def test_the_style_sheet_stays_small() -> None:
    assert (CONSOLE / "assets" / "console.css").stat().st_size <= 16_000


def test_nothing_is_loaded_from_another_host() -> None:
    for asset in (CONSOLE / "assets").iterdir():
        addresses = re.findall(r"https?://[\w.]+", asset.read_text())
        assert set(addresses) <= {"http://www.w3.org"}, asset.name  # the namespace of SVG


def test_an_asset_is_kept_for_good_only_under_its_own_revision() -> None:
    current = rendering.asset(rendering.assets_revision(), "console.css")
    other = rendering.asset("0" * 16, "console.css")
    assert current is not None
    assert other is not None
    assert "immutable" in current.headers["Cache-Control"]
    assert other.headers["Cache-Control"] == "no-store"
    assert rendering.asset(rendering.assets_revision(), "../texts.py") is None


_TOKEN = re.compile(r"--([\w-]+): light-dark\((#\w+), (#\w+)\);")
_SURFACES = ("paper", "card", "hover")


def luminance(colour: str) -> float:
    """Return the relative luminance. https://www.w3.org/TR/WCAG22/#dfn-relative-luminance"""
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_texts_and_controls_stand_out_from_what_is_behind_them(scheme: int) -> None:
    style = (CONSOLE / "assets" / "console.css").read_text()
    tokens = {name: colours[scheme] for name, *colours in _TOKEN.findall(style)}
    texts = ("ink", "soft", "accent", "good", "working", "trouble", "idle")
    pairs = [(text, surface, 4.5) for text in texts for surface in _SURFACES]
    pairs += [("trouble", "trouble-card", 4.5), ("ink", "trouble-card", 4.5)]
    pairs += [("on-accent", "accent", 4.5), ("card", "trouble", 4.5), ("control", "card", 3)]
    weak = {
        (text, surface): round(contrast(tokens[text], tokens[surface]), 2)
        for text, surface, least in pairs
        if contrast(tokens[text], tokens[surface]) < least
    }
    assert weak == {}


def test_every_field_of_the_settings_and_every_choice_has_words() -> None:
    expected = {f"group_{group}" for group in GROUPS} | {f"help_{group}" for group in GROUPS}
    expected |= {f"field_{field.path}" for field in FIELDS}
    expected |= {f"option_{field.path}.{option}" for field in FIELDS for option in field.options}
    prefixes = ("group_", "help_", "field_", "option_")
    assert expected == {name for name in TEXTS if name.startswith(prefixes)}
