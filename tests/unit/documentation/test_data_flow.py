"""The picture of the way of the data."""

from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from aichat_workspace.documentation.data_flow import AREAS, BOXES, picture

DOCS: Final = Path(__file__).parents[3] / "docs"
_SVG: Final = "{http://www.w3.org/2000/svg}"


def drawn() -> ElementTree.Element:
    return ElementTree.fromstring(picture())  # noqa: S314  (our own text)


def test_the_picture_says_in_words_what_it_shows() -> None:
    root = drawn()
    title = root.find(f"{_SVG}title")
    assert title is not None
    assert root.get("aria-labelledby") == title.get("id")
    assert "![Areas and arrows: " in (DOCS / "how-it-works.md").read_text()


def test_every_area_and_box_is_drawn_inside_of_the_picture() -> None:
    root = drawn()
    _, _, width, height = map(int, root.get("viewBox", "").split())
    texts = {text.text for text in root.iter(f"{_SVG}text")}
    for box in (*(area for _, area in AREAS), *BOXES):
        assert {box.title, box.subtitle} - {""} <= texts
        assert box.x + box.width < width
        assert box.y + box.height < height
