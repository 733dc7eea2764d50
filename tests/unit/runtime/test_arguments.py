"""What the server programs say of themselves."""

from importlib.metadata import version

import pytest

from aichat_workspace.runtime.arguments import answer


@pytest.mark.parametrize(
    ("argument", "code", "text"),
    [
        ("--version", 0, version("aichat-workspace-operator")),
        ("--help", 0, "environment variables"),
    ],
)
def test_a_server_says_what_it_is(
    argument: str, code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        answer("thing", "Do a thing.", [argument])
    assert ended.value.code == code
    assert text in capsys.readouterr().out


def test_an_argument_that_would_be_ignored_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        answer("thing", "Do a thing.", ["--port", "1"])
    assert ended.value.code == 2
    assert "--port" in capsys.readouterr().err


def test_a_server_without_arguments_goes_on() -> None:
    answer("thing", "Do a thing.", [])
