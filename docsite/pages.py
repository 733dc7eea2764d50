"""The site's pages: those of docs and a few others, as the site generator reads them.

The pages in the project are written for people who read them in a repository. The site differs in
four points: some pages lie elsewhere, files that are no pages can't be opened, Python-Markdown
wants what belongs to an item of a list indented by four, and no test reads the words behind a
fence's language.
"""

import fnmatch
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

CONFIGURATION: Final = "mkdocs.yml"
DOCS: Final = PurePosixPath("docs")
DECISIONS: Final = DOCS / "decisions"
OTHER_PAGES: Final = {
    PurePosixPath("CHANGELOG.md"): PurePosixPath("changelog.md"),
    PurePosixPath("CODE_OF_CONDUCT.md"): PurePosixPath("code-of-conduct.md"),
    PurePosixPath("CONTRIBUTING.md"): PurePosixPath("contributing.md"),
    PurePosixPath("ROADMAP.md"): PurePosixPath("roadmap.md"),
    PurePosixPath("SECURITY.md"): PurePosixPath("security-policy.md"),
    PurePosixPath("charts/aichat-workspace-operator/README.md"): PurePosixPath("chart.md"),
}
"""Pages outside of docs, and where the site has them."""

_FENCE: Final = re.compile(r"^( *)(```+)(\S*)[^\n]*\n(.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_ITEM: Final = re.compile(r"(?:\d+\.|[-*+]) +(?=\S)")
_GLOB: Final = re.compile(r"^( *)- (\S*\*\S*)$", re.MULTILINE)


def prepare(project: Path) -> Mapping[PurePosixPath, bytes]:
    """Return every file that the site generator reads, by its path below the folder of its own."""
    sources = dict(_sources(project))
    files = {
        DOCS / place: adapt(source.read_text(), path).encode()
        if source.suffix == ".md"
        else source.read_bytes()
        for path, source in sources.items()
        if (place := place_of(path))
    }
    decisions = [path for path in sorted(sources) if path.parent == DECISIONS]
    files[DECISIONS / "index.md"] = _index(decisions, sources).encode()
    configuration = (project / CONFIGURATION).read_text()
    places = sorted(str(path.relative_to(DOCS)) for path in files if path.suffix == ".md")
    files[PurePosixPath(CONFIGURATION)] = list_globs(configuration, places).encode()
    return files


def write(files: Mapping[PurePosixPath, bytes], folder: Path) -> None:
    """Write what differs, and remove pages that are no more."""
    for path, content in files.items():
        file = folder / path
        if not file.exists() or file.read_bytes() != content:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    for file in (folder / DOCS).rglob("*"):
        if file.is_file() and PurePosixPath(file.relative_to(folder)) not in files:
            file.unlink()


def place_of(path: PurePosixPath) -> PurePosixPath | None:
    """Return where the site has a file or folder of the project; None where it has none."""
    if path == DECISIONS:
        return PurePosixPath("decisions/index.md")
    if path.is_relative_to(DOCS):
        return path.relative_to(DOCS)
    return OTHER_PAGES.get(path)


def adapt(text: str, path: PurePosixPath) -> str:
    """Return a page's text for the site; `path` is the page's in the project."""
    parts, end = [], 0
    for fence in _FENCE.finditer(text):
        indent, ticks, language, content = fence.groups()
        parts.append(_relink(text[end : fence.start()], path))
        parts.append(f"{indent}{ticks}{language}\n{content}{indent}{ticks}")
        end = fence.end()
    parts.append(_relink(text[end:], path))
    return "\n".join(_widen("".join(parts).split("\n")))


def list_globs(configuration: str, places: Sequence[str]) -> str:
    """Write all places in the stead of each entry with a star."""

    def entries(match: re.Match[str]) -> str:
        indent, pattern = match.groups()
        matching = fnmatch.filter(places, pattern)
        return "\n".join(f"{indent}- {place}" for place in matching)

    return _GLOB.sub(entries, configuration)


def _sources(project: Path) -> Iterator[tuple[PurePosixPath, Path]]:
    for path in OTHER_PAGES:
        yield path, project / path
    for file in sorted((project / DOCS).rglob("*")):
        if file.is_file():
            yield PurePosixPath(file.relative_to(project)), file


def _relink(prose: str, path: PurePosixPath) -> str:
    """Let links lead to the site's places; of a file that it does not have, say where it is."""

    def link(match: re.Match[str]) -> str:
        text, target = match.groups()
        file, hash_, anchor = target.partition("#")
        if not file or re.match(r"\w+:", target):
            return match[0]
        aim = PurePosixPath(os.path.normpath(path.parent / file))
        place, own = place_of(aim), place_of(path)
        if place and own:
            return f"[{text}]({os.path.relpath(place, own.parent)}{hash_}{anchor})"
        return text if text == f"`{aim}`" else f"{text} (`{aim}`)"

    return _LINK.sub(link, prose)


def _widen(lines: Sequence[str]) -> Iterator[str]:
    """Indent by four what belongs to an item of a list. CommonMark wants its marker's width:
    https://spec.commonmark.org/0.31.2/#list-items, https://python-markdown.github.io/#differences"""
    rest = list(lines)
    while rest:
        line = rest.pop(0)
        yield line
        if line.startswith("```"):
            while rest and not (fence := rest.pop(0)).startswith("```"):
                yield fence
            yield "```"
        elif item := _ITEM.match(line):
            width = len(item[0])
            body = []
            while rest and (not rest[0] or rest[0].startswith(" " * width)):
                body.append(rest.pop(0)[width:])
            yield from (f"    {inner}" if inner else "" for inner in _widen(body))


def _index(decisions: Sequence[PurePosixPath], sources: Mapping[PurePosixPath, Path]) -> str:
    titles = {path: sources[path].read_text().partition("\n")[0].lstrip("# ") for path in decisions}
    return "\n".join(
        [
            "# Decisions",
            "",
            "What a later change might undo, with the reasons, half a page each.",
            "",
            *(f"- [{title}]({path.name})" for path, title in titles.items()),
            "",
        ]
    )
