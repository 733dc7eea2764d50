"""What is wrong with a site is named."""

from pathlib import Path

import pytest

from docsite.check import nav_problems, site_problems

OTHER = '<h1 id="top">Other</h1><a name="old"></a>'


def problems(folder: Path, body: str, css: str = "") -> list[str]:
    (folder / "images").mkdir()
    (folder / "images" / "a.png").write_bytes(b"")
    (folder / "other.html").write_text(OTHER)
    (folder / "page.html").write_text(f"<!doctype html><p id='here'>x</p>{body}")
    (folder / "site.css").write_text(css)
    return site_problems(folder)


@pytest.mark.parametrize(
    "body",
    [
        '<a href="other.html#top">x</a><a href="other.html#old">x</a><a href="#here">x</a>',
        '<a href="https://example.org/">x</a><a href="mailto:a@example.org">x</a><a href=".">x</a>',
        '<img src="images/a.png"><img src="data:image/png;base64,AA=="><script src="/site.css">',
        '<link rel="canonical" href="other.html"><source srcset="images/a.png 2x, images/a.png">',
        '<a href="images/a%2Epng">x</a><p style="background: url(images/a.png)">x</p>',
    ],
)
def test_a_good_page_has_no_problem(tmp_path: Path, body: str) -> None:
    (tmp_path / "index.html").write_text("")
    assert problems(tmp_path, body, css="p { background: url(images/a.png) }") == []


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('<a href="none.html">x</a>', "none.html is not there"),
        ('<a href="../outside.html">x</a>', "../outside.html is not there"),
        ('<a href="other.html#none">x</a>', "other.html#none has no such anchor"),
        ('<a href="#none">x</a>', "#none has no such anchor"),
        ('<img src="images/b.png">', "images/b.png is not there"),
        ('<source srcset="images/a.png, images/b.png 2x">', "images/b.png is not there"),
        ('<script src="https://cdn.example.org/a.js">', "loads https://cdn.example.org/a.js"),
        ('<link rel="stylesheet" href="//fonts.example.org/a">', "loads //fonts.example.org/a"),
        ('<link rel="preconnect" href="https://fonts.example.org">', "https://fonts.example.org"),
        ('<p style="background: url(https://example.org/a.png)">', "https://example.org/a.png"),
        ('<pre class="mermaid">graph</pre>', "draw an SVG"),
        ("<p>```sh upgrade</p>", "three back-ticks"),
    ],
)
def test_a_bad_page_is_named_with_what_is_wrong(tmp_path: Path, body: str, problem: str) -> None:
    (found_problem,) = problems(tmp_path, body)
    assert found_problem.startswith("page.html: ")
    assert problem in found_problem


def test_a_style_sheet_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    css = "@import 'https://example.org/a.css'; @font-face { src: url(//example.org/b.woff2) }"
    assert problems(tmp_path, "", css) == [
        "site.css: loads https://example.org/a.css from elsewhere",
        "site.css: loads //example.org/b.woff2 from elsewhere",
    ]


def test_a_page_that_no_section_lists_is_named_with_the_place_to_add_it(tmp_path: Path) -> None:
    (tmp_path / "docs" / "sub").mkdir(parents=True)
    for name in ("index.md", "verify.md", "sub/twice.md"):
        (tmp_path / "docs" / name).write_text("# Page\n")
    nav = "nav:\n  - Home: index.md\n  - Sub: [sub/twice.md, {Again: sub/twice.md}, gone.md]\n"
    (tmp_path / "mkdocs.yml").write_text(nav)
    assert nav_problems(tmp_path) == [
        "verify.md is in no section: add it to `nav` in mkdocs.yml, where people look for it",
        "`nav` in mkdocs.yml names gone.md, which is not there",
        "`nav` in mkdocs.yml names sub/twice.md twice",
    ]
