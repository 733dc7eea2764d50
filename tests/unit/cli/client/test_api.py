"""The client against servers that are not the API."""

import httpx2
import pytest

from aichat_workspace.cli.client.api import Api, workspace_path
from aichat_workspace.cli.errors import CliError, ExitCode


def api(response: httpx2.Response) -> Api:
    transport = httpx2.MockTransport(lambda _: response)
    return Api(httpx2.Client(transport=transport, base_url="https://ai.example.org"))


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (httpx2.Response(200, text="<html>"), ExitCode.FAILED),
        (httpx2.Response(200, json=[1]), ExitCode.FAILED),
        (httpx2.Response(302, headers={"Location": "https://elsewhere"}), ExitCode.FAILED),
        (httpx2.Response(502, text="Bad Gateway"), ExitCode.UNREACHABLE),
    ],
)
def test_a_page_of_a_proxy_is_no_answer(response: httpx2.Response, code: ExitCode) -> None:
    with pytest.raises(CliError) as caught:
        api(response).get("it was not read", "/api/v1/me")
    assert caught.value.code is code
    assert "not as the API of AIChat workspaces does" in caught.value.why[0]


def test_a_name_never_leaves_its_place_in_a_path() -> None:
    assert workspace_path("a?b#c%2F", "/logs") == "/api/v1/workspaces/a%3Fb%23c%252F/logs"
    for name in ("../me", "a:suspend", ".", ""):
        with pytest.raises(CliError) as error:
            workspace_path(name)
        assert error.value.code is ExitCode.USAGE
