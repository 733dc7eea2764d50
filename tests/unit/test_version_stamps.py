"""One file has the version, and the others follow."""

from pathlib import Path

import pytest

from aichat_workspace.version_stamps import FILES, stamp, stamped

ROOT = Path(__file__).parents[2]


def test_all_files_follow_a_new_version_and_change_in_nothing_else() -> None:
    changed = stamped(ROOT, "7.8.9")
    assert {*changed} == {*FILES}
    for path, text in changed.items():
        assert "7.8.9" in text
        current = (ROOT / path).read_text()
        differing = [
            new
            for old, new in zip(current.splitlines(), text.splitlines(), strict=True)
            if old != new
        ]
        assert differing
        assert all("7.8.9" in line for line in differing)


def test_a_new_version_promotes_no_environment() -> None:
    """Staging may be at one release and production at another: people promote them."""
    environments = Path("config/environments")
    assert [*(ROOT / environments).glob("*/release/kustomization.yaml")]
    assert [path for path in stamped(ROOT, "7.8.9") if environments in path.parents] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("aichat-workspace-operator:v0.1.0 .", "aichat-workspace-operator:v2.0.0 ."),
        ("    newTag: v0.1.0\n", "    newTag: v2.0.0\n"),
        ("Version 0.1.0, an alpha\nnew=v0.1.1\n", "Version 2.0.0, an alpha\nnew=v0.1.1\n"),
        ("  tag: v10.11.12\nollama:v0.1.0\n", "  tag: v2.0.0\nollama:v0.1.0\n"),
    ],
)
def test_only_the_projects_own_version_is_written(text: str, expected: str) -> None:
    assert stamp(text, "2.0.0", Path("page")) == expected


def test_a_file_without_a_version_is_not_forgotten() -> None:
    with pytest.raises(ValueError, match="page names no version"):
        stamp("nothing", "1.0.0", Path("page"))
