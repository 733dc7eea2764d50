"""Commands for servers and tokens."""

import base64
import json
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aichat_workspace.cli.commands import signing_in
from aichat_workspace.cli.commands.signing_in import account_name
from aichat_workspace.cli.errors import CliError
from aichat_workspace.cli.server.provider import Client
from aichat_workspace.cli.server.settings import Context, read_configuration
from aichat_workspace.cli.session import Session
from tests.integration.oidc_provider import CLIENT_ID
from tests.integration.oidc_provider import Provider as Idp
from tests.unit.cli.world import TOKEN, Result, World


def without_server(world: World, *arguments: str, stdin: str | None = None, **more: str) -> Result:
    """Run with nothing but the configuration to say which server."""
    return world.run(*arguments, stdin=stdin, AICHAT_SERVER="", AICHAT_TOKEN="", **more)


def expiring(seconds: float) -> str:
    """Return a token that says when it expires."""
    claims = base64.urlsafe_b64encode(json.dumps({"exp": time.time() + seconds}).encode()).decode()
    return f"e30.{claims.rstrip('=')}.c2ln"


class TestToken:
    def test_a_token_is_stored_for_its_owner_only_and_used_from_then_on(self, world: World) -> None:
        result = without_server(world, "login", world.url, stdin=TOKEN)
        assert result.code == 0, result.err
        assert f"you are ann at {world.url}" in result.out
        files = [path for path in world.folder.rglob("*") if path.is_file()]
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
        assert TOKEN not in (world.folder / "config.yaml").read_text()
        world.put()
        assert without_server(world, "list", "-o", "name").out == "red-chat\n"

    def test_a_token_that_others_can_read_is_not_used(self, world: World) -> None:
        without_server(world, "login", world.url, "--name", "lab", stdin=TOKEN)
        (world.folder / "tokens" / "lab").chmod(0o644)
        result = without_server(world, "list")
        assert result.code == 1
        assert f"chmod 600 {world.folder / 'tokens' / 'lab'}" in result.err

    def test_a_refused_token_is_not_stored(self, world: World) -> None:
        result = without_server(world, "login", world.url, stdin="another")
        assert result.code == 4
        assert not [*world.folder.iterdir()]

    @pytest.mark.parametrize("token", ["", "two words", "line\nline", "\x1b[2J"])
    def test_what_is_no_token_is_a_usage_error(self, world: World, token: str) -> None:
        assert without_server(world, "login", world.url, stdin=token).code == 2

    def test_an_expired_token_is_said_to_be_so(self, world: World) -> None:
        result = without_server(world, "login", world.url, stdin=expiring(-7200))
        assert (result.code, "expired 2h ago" in result.err) == (4, True)

    def test_a_token_is_never_sent_in_the_clear(self, world: World) -> None:
        result = without_server(world, "login", "http://ai.example.org", stdin=TOKEN)
        assert result.code == 2
        assert "try: use https://ai.example.org" in result.err

    def test_a_server_that_is_away_is_exit_code_6(self, world: World) -> None:
        result = without_server(world, "login", "http://127.0.0.1:1", stdin=TOKEN)
        assert result.code == 6
        assert "http://127.0.0.1:1 does not answer" in result.err


class TestProvider:
    @pytest.fixture
    def client(
        self, world: World, idp: Idp, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[dict[str, str]]:
        """The API's provider is the tests', whose next token the cluster takes for Ann's."""
        token = idp.token(jti="once")
        monkeypatch.setattr(idp, "token", lambda **_: token)
        monkeypatch.setattr("tests.unit.cli.world.TOKEN", token)
        document = {"issuer": idp.issuer, "clientId": CLIENT_ID, "scope": "openid"}
        monkeypatch.setattr(signing_in, "_client", lambda *_, **__: Client.from_document(document))
        world.call(world.services.authenticator._answers._answers.clear)
        yield {"AICHAT_CA_FILE": str(idp.ca_file)}
        world.call(world.services.authenticator._answers._answers.clear)

    def test_a_person_signs_in_by_the_code_of_a_device(
        self, world: World, idp: Idp, client: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(time, "sleep", lambda _: None)
        result = without_server(
            world, "login", world.url, "--device", "--yes", "--ca-file", client["AICHAT_CA_FILE"]
        )
        assert result.code == 0, result.err
        assert (
            f"Open {idp.issuer}/device in any browser, and enter the code WDJB-MJHT" in result.err
        )
        assert f"you are ann at {world.url}" in result.out
        files = [path for path in world.folder.rglob("*") if path.is_file()]
        assert len(files) == 3, "configuration, token, and what renews it"
        world.put()
        assert without_server(world, "list", "-o", "name").out == "red-chat\n"
        assert without_server(world, "logout").code == 0
        assert [path.name for path in world.folder.rglob("*") if path.is_file()] == ["config.yaml"]

    def test_a_person_who_says_no_is_not_signed_in(
        self, world: World, idp: Idp, client: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(time, "sleep", lambda _: None)
        idp.device_answers = ["authorization_pending", "access_denied"]
        result = without_server(
            world, "login", world.url, "--device", "--yes", "--ca-file", client["AICHAT_CA_FILE"]
        )
        assert result.code == 4
        assert "the identity provider says no: access_denied" in result.err
        assert not [*world.folder.iterdir()]

    @pytest.fixture
    def opened(self, monkeypatch: pytest.MonkeyPatch) -> list[Client]:
        """The providers that were asked."""
        opened: list[Client] = []

        def note(client: Client, *_: object) -> None:
            opened.append(client)
            raise CliError("it was asked")

        monkeypatch.setattr(signing_in, "open_provider", note)
        return opened

    @pytest.mark.parametrize("way", ["--device", "--browser"])
    @pytest.mark.usefixtures("client")
    def test_nobody_is_sent_to_a_provider_for_a_new_server_without_a_terminal_to_ask_at(
        self, world: World, idp: Idp, opened: list[Client], way: str
    ) -> None:
        """A server that looks like another can name that one's provider, and wait for the token."""
        configuration = read_configuration({"AICHAT_CONFIG": str(world.folder / "config.yaml")})
        configuration.with_context(Context("real", "https://workspaces.example.org")).save()
        result = without_server(world, "login", world.url, way)
        assert result.code == 2
        assert f"{world.url} will get a token of {idp.issuer} for '{CLIENT_ID}'" in result.err
        assert "add --yes" in result.err
        assert not opened

    @pytest.mark.parametrize(("answer", "is_opened"), [("y\n", True), ("n\n", False), ("", False)])
    @pytest.mark.usefixtures("client")
    def test_a_person_is_asked_whether_they_trust_a_new_server(
        self,
        world: World,
        idp: Idp,
        opened: list[Client],
        monkeypatch: pytest.MonkeyPatch,
        answer: str,
        is_opened: bool,
    ) -> None:
        monkeypatch.setattr(Session, "is_interactive", True)
        result = without_server(world, "login", world.url, "--device", stdin=answer)
        assert f"{world.url} will get a token of {idp.issuer} for '{CLIENT_ID}'" in result.err
        assert "Do you trust it? [y/N]" in result.err
        assert bool(opened) is is_opened

    @pytest.mark.usefixtures("client")
    def test_a_script_confirms_by_a_flag_and_reads_who_gets_the_token(
        self, world: World, idp: Idp, opened: list[Client]
    ) -> None:
        result = without_server(world, "login", world.url, "--device", "--yes")
        assert f"{world.url} will get a token of {idp.issuer} for '{CLIENT_ID}'" in result.err
        assert opened

    @pytest.mark.usefixtures("client")
    def test_a_server_that_a_person_has_signed_in_to_before_is_trusted(
        self, world: World, idp: Idp, opened: list[Client]
    ) -> None:
        first = without_server(
            world, "login", world.url, "--token", "--name", "lab", stdin=idp.token()
        )
        assert first.code == 0, first.err
        result = without_server(world, "login", world.url, "--device")
        assert "will get a token" not in result.err
        assert opened

    @pytest.mark.parametrize("way", ["--device", "--browser"])
    def test_a_server_without_a_provider_says_so(self, world: World, way: str) -> None:
        result = without_server(world, "login", world.url, way)
        assert result.code == 3
        assert "Sign-in with an identity provider is not set up" in result.err

    @pytest.mark.parametrize("ways", [("--device", "--browser"), ("--token", "--kubeconfig")])
    def test_one_way_is_chosen(self, world: World, ways: tuple[str, str]) -> None:
        assert without_server(world, "login", world.url, *ways).code == 2


class TestContexts:
    def test_contexts_are_listed_chosen_and_removed(self, world: World) -> None:
        for name in ("first", "second"):
            without_server(world, "login", world.url, "--name", name, stdin=TOKEN)
        assert [text.split() for text in without_server(world, "context", "list").out.splitlines()][
            1:
        ] == [["first", world.url], ["*", "second", world.url]]
        assert without_server(world, "context", "use", "first").code == 0
        assert without_server(world, "logout").code == 0
        assert without_server(world, "list").code == 4
        assert without_server(world, "list", "--context", "second").code == 0
        assert without_server(world, "context", "remove", "first").code == 0
        unknown = without_server(world, "list", "--context", "first")
        assert (unknown.code, "there are: second" in unknown.err) == (2, True)
        assert not (world.folder / "tokens" / "first").exists()

    @pytest.mark.parametrize("name", ["../escape", "", "a/b", "-x"])
    def test_a_context_is_never_a_path(self, world: World, name: str) -> None:
        assert without_server(world, "login", world.url, f"--name={name}", stdin=TOKEN).code in (
            0,
            2,
        )
        assert not (world.folder.parent / "escape").exists()

    def test_a_broken_configuration_names_the_file(self, world: World) -> None:
        (world.folder / "config.yaml").write_text("contexts: [1]")
        result = without_server(world, "list")
        assert (result.code, str(world.folder / "config.yaml") in result.err) == (1, True)


class TestKubeconfig:
    """With a kubectl that knows a cluster whose port leads to the API."""

    def kubectl(self, world: World, username: str) -> dict[str, str]:
        folder = world.folder / "bin"
        folder.mkdir()
        review = json.dumps({"status": {"userInfo": {"username": username}}})
        port = world.url.rpartition(":")[2]
        (folder / "kubectl").write_text(
            f"""#!/bin/sh
echo "$@" >> {world.folder}/calls
case "$*" in
  *whoami*) echo '{review}';;
  *current-context*) echo kind-lab;;
  *"create token"*) echo {TOKEN};;
  *dry-run*) echo 'kind: Any';;
  *apply*) cat >/dev/null;;
  *port-forward*) echo 'Forwarding from 127.0.0.1:{port} -> 8090'; exec sleep 60;;
esac
"""
        )
        (folder / "kubectl").chmod(0o755)
        return {"PATH": f"{folder}:{os.environ['PATH']}"}

    def calls(self, world: World) -> str:
        return (world.folder / "calls").read_text()

    def test_a_service_account_needs_no_set_up_at_all(self, world: World) -> None:
        environment: Any = self.kubectl(world, "system:serviceaccount:red:ci")
        world.put()
        assert without_server(world, "list", "-o", "name", **environment).out == "red-chat\n"
        token = "create token ci -n red --audience=aichat-workspace-api --duration=1h"
        assert token in self.calls(world)

    def test_a_person_makes_an_account_once(self, world: World) -> None:
        environment: Any = self.kubectl(world, "ann@example.org")
        refused = without_server(world, "list", **environment)
        assert refused.code == 4
        assert "aichatctl login --kubeconfig --team TEAM" in refused.err
        login = ("login", "--kubeconfig", "--team", "red")
        unasked = without_server(world, *login, **environment)
        assert (unasked.code, "add --yes" in unasked.err) == (2, True)
        assert "apply" not in self.calls(world)
        result = without_server(world, *login, "--yes", **environment)
        assert result.code == 0, result.err
        assert "create token aichatctl-ann-example-org -n red" in self.calls(world)
        assert without_server(world, "list", **environment).code == 0

    def test_a_stored_token_is_used_until_shortly_before_it_expires(self, world: World) -> None:
        environment: Any = self.kubectl(world, "system:serviceaccount:red:ci")
        without_server(world, "login", "--kubeconfig", **environment)
        token_file: Path = world.folder / "tokens" / "kind-lab"
        assert stat.S_IMODE(token_file.stat().st_mode) == 0o600
        token_file.write_text(expiring(60))
        assert without_server(world, "list", **environment).code == 0
        assert token_file.read_text() == TOKEN
        token_file.write_text(expiring(3600))
        assert without_server(world, "list", **environment).code == 4  # it is sent, and is none
        assert self.calls(world).count("create token") == 2

    def test_a_missing_kubectl_is_said_to_be_missing(self, world: World) -> None:
        result = without_server(world, "list", PATH="/nowhere")
        assert "kubectl is not installed" in result.err


@pytest.mark.parametrize(
    ("username", "name"),
    [
        ("ann@example.org", "aichatctl-ann-example-org"),
        ("oidc:Ann", "aichatctl-oidc-ann"),
        ("…", "aichatctl"),
        ("a" * 80, f"aichatctl-{'a' * 40}"),
    ],
)
def test_a_person_has_an_account_of_a_valid_name(username: str, name: str) -> None:
    assert account_name(username) == name
