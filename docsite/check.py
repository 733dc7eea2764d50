"""Check a built site: its links, and that it loads nothing from elsewhere.

Zensical's strict mode checks links and anchors between Markdown pages. It does not look at links
to other files, at pictures, at HTML in pages, at what the theme adds, or at pages that no section
lists.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit

import yaml

_LOADS: Final = {
    "script": ("src",),
    "img": ("src", "srcset"),
    "source": ("src", "srcset"),
    "iframe": ("src",),
    "video": ("src", "poster"),
    "audio": ("src",),
    "embed": ("src",),
    "object": ("data",),
    "link": ("href",),
}
_CSS_URL: Final = re.compile(r"""(?:url\(|@import)\s*["']?([^"')\s]+)""")
_NO_LOAD: Final = {"canonical", "prev", "next", "alternate", "edit"}
"""Relations of a link element for which a browser loads nothing."""


@dataclass
class _Page(HTMLParser):
    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    classes: set[str] = field(default_factory=set)
    text: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value for name, value in attrs if value is not None}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        self.classes |= set(values.get("class", "").split())
        self.loads += _CSS_URL.findall(values.get("style", ""))
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag == "link" and set(values.get("rel", "").split()) <= _NO_LOAD:
            self.links.append(values["href"])
        elif tag in _LOADS:
            for name in _LOADS[tag]:
                entries = (
                    values.get(name, "").split(",") if name == "srcset" else [values.get(name)]
                )
                self.loads += [entry.split()[0] for entry in entries if entry and entry.strip()]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def site_problems(site: Path) -> list[str]:
    """Return what is wrong with the built site, one sentence each."""
    pages = {path: _parse(path) for path in sorted(site.rglob("*.html"))}
    if not pages:
        return [f"there is no page in {site}: was it built?"]
    anchors = {path: page.anchors for path, page in pages.items()}
    problems = [
        f"{path.relative_to(site)}: {problem}"
        for path, page in pages.items()
        for problem in _page_problems(site, path, page, anchors)
    ]
    for path in sorted(site.rglob("*.css")):
        problems += [
            f"{path.relative_to(site)}: loads {url} from elsewhere"
            for url in _CSS_URL.findall(path.read_text())
            if _is_elsewhere(url)
        ]
    return problems


def nav_problems(folder: Path) -> list[str]:
    """Return which pages of a prepared folder no section lists, and which entries have no page."""
    configuration = yaml.safe_load((folder / "mkdocs.yml").read_text())
    docs = folder / "docs"
    listed = list(_entries(configuration["nav"]))
    pages = {str(PurePosixPath(path.relative_to(docs))) for path in docs.rglob("*.md")}
    return [
        *(
            f"{page} is in no section: add it to `nav` in mkdocs.yml, where people look for it"
            for page in sorted(pages - set(listed))
        ),
        *(
            f"`nav` in mkdocs.yml names {page}, which is not there"
            for page in listed
            if page not in pages
        ),
        *(
            f"`nav` in mkdocs.yml names {page} twice"
            for page in sorted(pages)
            if listed.count(page) > 1
        ),
    ]


def _entries(nav: object) -> Iterator[str]:
    match nav:
        case str():
            yield nav
        case list() | dict():
            for entry in nav.values() if isinstance(nav, dict) else nav:
                yield from _entries(entry)


def _parse(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text())
    return page


def _page_problems(
    site: Path, path: Path, page: _Page, anchors: Mapping[Path, set[str]]
) -> Iterator[str]:
    for url in page.loads:
        if _is_elsewhere(url):
            yield f"loads {url} from elsewhere"
        elif problem := _target_problem(site, path, url, anchors):
            yield problem
    for url in page.links:
        if not urlsplit(url).scheme and (problem := _target_problem(site, path, url, anchors)):
            yield problem
    if "mermaid" in page.classes:
        yield "has a Mermaid diagram, whose program the theme loads from elsewhere: draw an SVG"
    if any("```" in text for text in page.text):
        yield "shows three back-ticks: a block of code is not recognized, often for its indentation"


def _target_problem(
    site: Path, path: Path, url: str, anchors: Mapping[Path, set[str]]
) -> str | None:
    parts = urlsplit(url)
    if parts.scheme == "data":
        return None
    base = site if parts.path.startswith("/") else path.parent
    target = (base / unquote(parts.path).lstrip("/")).resolve() if parts.path else path
    if target.is_dir():
        target /= "index.html"
    if not target.is_relative_to(site) or not target.exists():
        return f"{url} is not there"
    fragment = unquote(parts.fragment)
    if fragment and target in anchors and fragment not in anchors[target]:
        return f"{url} has no such anchor"
    return None


def _is_elsewhere(url: str) -> bool:
    parts = urlsplit(url)
    return bool(parts.netloc) or parts.scheme in ("http", "https")
