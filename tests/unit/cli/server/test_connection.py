"""Which server is asked, and which addresses are taken."""

from pathlib import Path

import pytest

from aichat_workspace.cli.errors import CliError
from aichat_workspace.cli.server.connection import check_address, choose_target, is_here
from aichat_workspace.cli.server.settings import Configuration, Context
from aichat_workspace.cli.server.tokens import read_token, write_private
from tests.unit.cli.world import World

CONFIGURATION = Configuration(
    Path("config.yaml"),
    {"lab": Context("lab", "https://lab.example.org"), "prod": Context("prod", "https://prod")},
    current="prod",
)
LAB = {"AICHAT_SERVER": "https://env.example.org", "AICHAT_CONTEXT": "lab"}


@pytest.mark.parametrize(
    ("server", "context", "environment", "address"),
    [
        ("https://flag.example.org", None, LAB, "https://flag.example.org"),
        (None, "prod", LAB, "https://prod"),
        (None, None, LAB, "https://env.example.org"),
        (None, None, {"AICHAT_CONTEXT": "lab"}, "https://lab.example.org"),
        (None, None, {}, "https://prod"),
    ],
)
def test_flags_come_before_the_environment_and_that_before_the_configuration(
    server: str | None,
    context: str | None,
    environment: dict[str, str],
    address: str,
    tmp_path: Path,
) -> None:
    environment = {**environment, "AICHAT_CONFIG": str(tmp_path / "config.yaml")}
    target = choose_target(server, context, CONFIGURATION, environment)
    assert target.context.server == address


def test_without_any_server_the_kubeconfig_is_used() -> None:
    target = choose_target(None, None, Configuration(Path("none")), {})
    assert (target.context.server, target.token) == (None, None)


def test_a_token_goes_only_to_its_own_server(tmp_path: Path) -> None:
    environment = {"AICHAT_CONFIG": str(tmp_path / "config.yaml")}
    write_private(tmp_path / "tokens" / "lab", "secret")
    assert choose_target(None, "lab", CONFIGURATION, environment).token == "secret"
    own = choose_target("https://lab.example.org/", None, CONFIGURATION, environment)
    other = choose_target("https://evil.example.org", None, CONFIGURATION, environment)
    assert (own.token, other.token) == ("secret", None)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ai.example.org", "https://ai.example.org"),
        ("https://ai.example.org/api/v1/", "https://ai.example.org"),
        ("https://ai.example.org:8443/base", "https://ai.example.org:8443/base"),
        ("http://127.0.0.1:8090", "http://127.0.0.1:8090"),
        ("http://api.system.svc", "http://api.system.svc"),
    ],
)
def test_an_address_needs_no_more_than_a_host(text: str, address: str) -> None:
    assert check_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        *("", "https://", "ftp://ai.example.org"),
        *("http://ai.example.org", "http://10.0.0.1", "http://[2606:4700::1111]"),
        "http://134744072",
    ],
)
def test_what_is_no_address_or_has_no_tls_is_refused(text: str) -> None:
    with pytest.raises(CliError):
        check_address(text)


def test_a_private_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "token"
    write_private(path, "one")
    write_private(path, "two")
    assert read_token(path) == "two"
    assert [*path.parent.iterdir()] == [path]
    assert read_token(tmp_path / "none") is None


def test_a_name_below_localhost_is_this_machine_whether_or_not_the_system_looks_it_up(
    world: World,
) -> None:
    server = world.url.replace("127.0.0.1", "workspaces.aichat.localhost")
    world.put()
    listed = world.run("list", AICHAT_SERVER=server)
    assert (listed.code, "red-chat" in listed.out) == (0, True), listed.err
    names = ("localhost", "a.localhost", "localhost.example.org", "mylocalhost", "")
    assert [is_here(name) for name in names] == [True, True, False, False, False]
