import pytest

from aichat_workspace.foundation.local_path import is_local


@pytest.mark.parametrize("path", ["/", "/console", "/a/b?c=d&e=%2F%2F#f", "/a//b", "/@x"])
def test_a_path_of_this_site_is_local(path: str) -> None:
    assert is_local(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "console",
        "//evil.test",
        "///evil.test",
        "/\\evil.test",
        "\\\\evil.test",
        "/a\\b",
        "/\t/evil.test",
        "/\n/evil.test",
        " /console",
        "/console\r\nSet-Cookie: a=b",
        "https://evil.test",
        "https:evil.test",
        "javascript:alert(1)",
        "/é",
    ],
)
def test_any_other_text_is_not_local(path: str) -> None:
    assert not is_local(path)
