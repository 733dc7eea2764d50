"""The API's problems as errors with exit codes."""

import pytest

from aichat_workspace.cli.client import problems
from aichat_workspace.cli.errors import ExitCode


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, ExitCode.FORBIDDEN),
        (403, ExitCode.FORBIDDEN),
        (404, ExitCode.NOT_FOUND),
        (409, ExitCode.FAILED),
        (422, ExitCode.FAILED),
        (502, ExitCode.UNREACHABLE),
        (503, ExitCode.UNREACHABLE),
        (504, ExitCode.TIMED_OUT),
    ],
)
def test_a_status_has_its_exit_code(status: int, code: ExitCode) -> None:
    assert problems.from_problem("it failed", status, {"detail": "why"}).code is code


def test_each_wrong_field_is_a_reason() -> None:
    errors = [{"field": "spec.a", "message": "no"}, {"field": "", "message": "too long"}]
    error = problems.from_problem("it failed", 422, {"detail": "all", "errors": errors})
    assert error.why == ("spec.a: no", "too long")


def test_the_next_command_names_the_workspace() -> None:
    error = problems.from_problem("it failed", 409, {"code": "suspended", "detail": "why"}, "red")
    assert error.fix == "aichatctl resume red"


def test_what_the_server_says_can_not_move_the_cursor() -> None:
    error = problems.from_problem("it failed", 500, {"detail": "\x1b[2Jgone"})
    assert "\x1b" not in error.why[0]
