"""The project's own site: it is built strictly, and nothing is wrong with it."""

from pathlib import Path
from typing import Final

from docsite.check import nav_problems, site_problems
from docsite.pages import CONFIGURATION, prepare, write
from tests.documentation_site import build

ROOT: Final = Path(__file__).parents[3]


def test_the_site_is_built_strictly_and_nothing_is_wrong_with_it(tmp_path: Path) -> None:
    """Every page is in a section once, is built, and is in the search; links and anchors are there,
    and nothing is loaded from elsewhere."""
    folder = tmp_path.resolve()
    write(prepare(ROOT), folder)
    built = build(folder)
    assert built.returncode == 0, built.stderr
    assert nav_problems(folder) == []
    assert site_problems(folder / "site") == []

    pages = {path.relative_to(folder / "docs") for path in (folder / "docs").rglob("*.md")}
    assert len(pages) > 60
    index = (folder / "site" / "search.json").read_text()
    for page in pages:
        assert (folder / "site" / page).with_suffix(".html").exists()
        assert f'"{page.with_suffix(".html")}' in index or page.name == "index.md"


def test_the_strict_build_fails_for_a_broken_link_and_a_broken_anchor(tmp_path: Path) -> None:
    """Zensical's own promise, which `make docs-build` relies on."""
    (tmp_path / "docs").mkdir()
    (tmp_path / CONFIGURATION).write_text("site_name: s\nnav: [index.md]\n")
    (tmp_path / "docs" / "index.md").write_text("# Page\n\n[a](none.md), [b](index.md#none)\n")
    built = build(tmp_path)
    assert built.returncode != 0
    assert "page does not exist" in built.stderr
    assert "anchor does not exist" in built.stderr
