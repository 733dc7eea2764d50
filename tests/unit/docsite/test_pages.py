"""Pages are prepared for the site: links, lists and code mean there what they mean here."""

from pathlib import Path, PurePosixPath
from typing import Final

import pytest

from docsite.pages import adapt, list_globs, prepare, write

ROOT: Final = Path(__file__).parents[3]
PAGE: Final = PurePosixPath("docs/page.md")


@pytest.mark.parametrize(
    ("link", "place"),
    [
        ("[a](install.md#upgrade)", "[a](install.md#upgrade)"),
        ("[a](../CHANGELOG.md)", "[a](changelog.md)"),
        ("[a](../SECURITY.md#scope)", "[a](security-policy.md#scope)"),
        ("[a](decisions)", "[a](decisions/index.md)"),
        ("[a](#here)", "[a](#here)"),
        ("[a](https://example.org/x.md)", "[a](https://example.org/x.md)"),
        ("![a picture](images/a.png)", "![a picture](images/a.png)"),
        ("[two\nlines](teams.md)", "[two\nlines](teams.md)"),
    ],
)
def test_a_link_leads_to_the_sites_place(link: str, place: str) -> None:
    assert adapt(link, PAGE) == place


def test_a_link_of_a_page_outside_of_docs_leads_into_the_site() -> None:
    changelog = PurePosixPath("CHANGELOG.md")
    assert adapt("[how](docs/install.md#upgrade)", changelog) == "[how](install.md#upgrade)"
    decision = PurePosixPath("docs/decisions/0001-a.md")
    assert adapt("[m](../models.md) [c](../../CHANGELOG.md)", decision) == (
        "[m](../models.md) [c](../changelog.md)"
    )


def test_a_file_that_the_site_does_not_have_is_named() -> None:
    assert adapt("[`tests/soak`](../tests/soak)", PAGE) == "`tests/soak`"
    assert adapt("[your host](../config/api/ingress.yaml)", PAGE) == (
        "your host (`config/api/ingress.yaml`)"
    )


def test_code_keeps_its_text_and_loses_the_tests_mark() -> None:
    page = "```sh upgrade\necho '[a](../CHANGELOG.md)'\n1. no list\n   really\n```\n"
    assert adapt(page, PAGE) == page.replace("sh upgrade", "sh")


def test_what_belongs_to_an_item_is_indented_by_four() -> None:
    page = "1. One\n\n   ```sh\n   a\n     b\n   ```\n\n   - Two\n\n     text\n\nEnd\n    code\n"
    assert adapt(page, PAGE) == (
        "1. One\n\n    ```sh\n    a\n      b\n    ```\n\n"
        "    - Two\n\n        text\n\nEnd\n    code\n"
    )


def test_an_entry_with_a_star_lists_all_places() -> None:
    places = ["a.md", "decisions/0001-a.md", "decisions/0002-b.md", "decisions/index.md"]
    nav = "nav:\n  - a.md\n    - decisions/0*.md\n"
    assert list_globs(nav, places) == (
        "nav:\n  - a.md\n    - decisions/0001-a.md\n    - decisions/0002-b.md\n"
    )


def test_the_decisions_have_a_page_with_all_titles() -> None:
    text = prepare(ROOT)[PurePosixPath("docs/decisions/index.md")].decode()
    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert len(decisions) > 30
    assert text.count("\n- [") == len(decisions)
    assert f"]({decisions[0].name})" in text


def test_only_what_differs_is_written_and_what_is_gone_is_removed(tmp_path: Path) -> None:
    page, other = PurePosixPath("docs/a.md"), PurePosixPath("docs/b.md")
    write({page: b"1", other: b"2"}, tmp_path)
    before = (tmp_path / page).stat().st_mtime_ns
    write({page: b"1"}, tmp_path)
    assert (tmp_path / page).stat().st_mtime_ns == before
    assert not (tmp_path / other).exists()
    write({page: b"3"}, tmp_path)
    assert (tmp_path / page).read_bytes() == b"3"
