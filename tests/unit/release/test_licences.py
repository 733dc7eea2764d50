"""Licences of what is passed on."""

from email.message import Message
from importlib.metadata import PackageMetadata
from typing import cast

import pytest

from release import debian
from release.errors import ReleaseError
from release.licences import Licensed, expression, page, problem


def fields(**values: str) -> PackageMetadata:
    message = Message()
    for name, value in values.items():
        message[name.replace("_", "-")] = value
    return cast("PackageMetadata", message)


@pytest.mark.parametrize(
    ("metadata", "licence"),
    [
        (fields(License_Expression="MIT OR Apache-2.0", License="else"), "MIT OR Apache-2.0"),
        (fields(License="3-Clause BSD License"), "BSD-3-Clause"),
        (
            fields(License="a\nwhole text", Classifier="License :: OSI Approved :: MIT License"),
            "MIT",
        ),
    ],
)
def test_a_licence_is_the_first_that_a_package_states_in_short(
    metadata: PackageMetadata, licence: str
) -> None:
    assert expression(metadata) == licence


def test_a_package_without_a_licence_is_an_error() -> None:
    with pytest.raises(ReleaseError, match="thing states no licence"):
        expression(fields(Name="thing"))


@pytest.mark.parametrize(
    ("licence", "is_acceptable"),
    [
        ("MIT", True),
        ("MIT AND Apache-2.0", True),
        ("GPL-3.0-only OR MIT", True),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", True),
        ("GPL-3.0-or-later WITH GCC-exception-3.1", True),
        ("GPL-3.0-or-later", False),
        ("AGPL-3.0-only", False),
        ("MIT AND GPL-3.0-only", False),
        ("MIT AND (GPL-3.0-only OR AGPL-3.0-only)", False),
    ],
)
def test_copyleft_is_a_problem_unless_it_is_accepted_or_one_may_choose(
    licence: str, is_acceptable: bool
) -> None:
    assert (problem(Licensed("thing", licence)) == "") is is_acceptable


def test_a_licence_that_spdx_does_not_know_is_a_problem() -> None:
    assert "no expression of SPDX" in problem(Licensed("thing", "Beerware, mostly"))


def test_all_that_is_locked_may_be_passed_on() -> None:
    text = page()
    assert "| orjson | MPL-2.0 AND (Apache-2.0 OR MIT) |" in text
    assert "| libc6 | LGPL-2.1-or-later |" in text


def test_a_copyleft_surprise_stops_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "wanted", lambda: {"x": {"licence": "GPL-3.0-only", "use": ""}})
    with pytest.raises(ReleaseError, match=r"x has the licence GPL-3\.0-only: replace it"):
        page()
