"""Checks of the way to the API, against the real one."""

import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from aichat_workspace.cli.doctor import api_checks
from aichat_workspace.cli.doctor.finding import Severity
from localcluster import certificates
from tests.unit.cli.world import READY_STATUS, STALLED_STATUS, World, condition


def findings(world: World, *arguments: str, **environment: str) -> dict[str, str]:
    """Return the severities by code, of the worst one of each."""
    result = world.run("doctor", "-o", "json", *arguments, **environment)
    entries = json.loads(result.out)["findings"]
    severities = [str(severity) for severity in Severity]
    codes = {entry["code"] for entry in entries}
    assert result.code == (1 if any(entry["severity"] == "problem" for entry in entries) else 0)
    return {
        code: max(
            (entry["severity"] for entry in entries if entry["code"] == code), key=severities.index
        )
        for code in codes
    }


def test_all_is_good_for_those_who_may_do_everything(world: World) -> None:
    world.put(status={**READY_STATUS, "url": "https://red-chat.localhost"})
    s3 = {"endpoint": "https://s3.example.org", "bucket": "backups", "secretName": "store"}
    destinations = [{"name": "offsite", "s3": s3}]
    world.put_platform(backup={"destinations": destinations, "passphraseSecretName": "phrase"})
    assert set(findings(world).values()) == {"good"}
    lines = world.run("doctor").out.splitlines()
    assert lines[0] == "This machine"
    assert lines[-1].startswith("12 checks: 12 good")


def test_a_server_that_is_away_is_a_problem(world: World) -> None:
    severities = findings(world, AICHAT_SERVER="http://127.0.0.1:1")
    assert severities == {"AC101": "good", "AC201": "problem"}


def test_a_refused_token_is_a_problem(world: World) -> None:
    assert findings(world, AICHAT_TOKEN="another")["AC202"] == "problem"


def test_an_unknown_context_is_a_problem_of_the_machine(world: World) -> None:
    assert findings(world, "--context", "none", AICHAT_SERVER="") == {"AC101": "problem"}


def test_missing_rights_are_named_by_team(world: World) -> None:
    world.put()
    world.cluster.forbidden |= {"delete", "get credentials"}
    result = world.run("doctor")
    assert result.code == 0
    assert "in every team you may not: delete, read credentials" in result.out


def test_nothing_to_see_is_a_problem(world: World) -> None:
    verbs = ("create", "get", "list", "watch", "update", "patch", "delete")
    world.cluster.forbidden |= {*verbs, "get log", "create prompt", "get credentials"}
    assert findings(world)["AC301"] == "problem"


def test_a_workspace_that_needs_a_person_is_shown_with_the_fix(world: World) -> None:
    world.put(status=STALLED_STATUS)
    result = world.run("doctor")
    assert result.code == 1
    assert "red-chat: ModelsReady: the models' volume is full [AI" in result.out
    assert "aichatctl describe red-chat" in result.out
    assert "docs/reference.md#ai" in result.out


def test_what_the_platform_lacks_is_shown_with_the_fix_and_a_link(world: World) -> None:
    text = "none of the namespaces traefik is there"
    world.put_platform((condition("PeopleAdmitted", "False", text, reason="NobodyAdmitted"),))
    result = world.run("doctor")
    assert result.code == 0
    assert f"PeopleAdmitted: {text}" in result.out
    assert "spec.ingress.controllerNamespaces" in result.out
    assert "AI0323: docs/reference.md#ai0323" in result.out


def test_a_platform_of_which_the_operator_says_nothing_is_a_note(world: World) -> None:
    view = world.services.cluster._platform
    platform = view.get("", "default")
    assert platform is not None
    world.call(lambda: view._store.remove(platform))
    assert findings(world)["AC601"] == "note"


def test_who_may_not_read_the_platform_is_told_nothing_of_it(world: World) -> None:
    world.put_platform((condition("PeopleAdmitted", "False", reason="NobodyAdmitted"),))
    world.cluster.forbidden.add("get")
    assert "AI0323" not in world.run("doctor").out


def test_rights_in_one_team_come_on_top_of_those_everywhere() -> None:
    verbs = {"create", "patch", "delete", *api_checks._HELPFUL}
    identity = {"everywhere": ["list"], "teams": ["red"]}
    everywhere, red = api_checks.rights(identity, lambda _: verbs)
    assert (everywhere.severity, red.severity) == (Severity.NOTE, Severity.GOOD)
    assert red.text == "everything in red"


@pytest.mark.parametrize(
    ("client", "server", "severity"),
    [
        ("0.1.0", "0.1.7", Severity.GOOD),
        ("0.1.0", "0.2.0", Severity.NOTE),
        ("1.0.0", "0.1.0", Severity.NOTE),
    ],
)
def test_versions_fit_by_their_first_two_numbers(
    client: str, server: str, severity: Severity
) -> None:
    assert api_checks.versions(client, server).severity is severity


@pytest.mark.parametrize(
    ("seconds", "severity"), [(7_200, Severity.GOOD), (60, Severity.NOTE), (-60, Severity.NOTE)]
)
def test_a_token_that_ends_soon_is_noted(
    monkeypatch: pytest.MonkeyPatch, seconds: float, severity: Severity
) -> None:
    monkeypatch.setattr(api_checks, "expiry", lambda _: 1_000 + seconds)
    assert api_checks.token({"username": "ann"}, "token", 1_000).severity is severity


@pytest.mark.parametrize(
    ("seconds", "severity", "words"),
    [
        (0, Severity.GOOD, "agrees"),
        (59, Severity.GOOD, "agrees"),
        (3_600, Severity.PROBLEM, "1h ahead of"),
        (-120, Severity.PROBLEM, "2m behind"),
    ],
)
def test_a_clock_that_would_spoil_tokens_is_a_problem(
    seconds: int, severity: Severity, words: str
) -> None:
    now = datetime(2026, 12, 1, tzinfo=UTC).timestamp() + seconds
    finding = api_checks.clock("Tue, 01 Dec 2026 00:00:00 GMT", now)
    assert (finding.code, finding.severity) == ("AC207", severity)
    assert words in finding.text


@pytest.mark.parametrize(
    ("host", "severity"),
    [("chat.localhost", Severity.GOOD), ("chat." + "a" * 64 + ".test", Severity.NOTE)],
)
def test_a_chat_whose_name_has_no_address_here_is_noted(host: str, severity: Severity) -> None:
    finding = api_checks.dns(host)
    assert (finding.code, finding.severity) == ("AC404", severity)


@contextmanager
def tls_server(folder: Path) -> Iterator[tuple[str, str]]:
    """Serve TLS for localhost, and yield the address and the authority's file."""
    authority = certificates.ensure(folder)
    pair = certificates.issue(authority, folder, ["localhost"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"https://localhost:{server.server_port}", str(authority.certificate)
    finally:
        server.shutdown()
        server.server_close()


class TestCertificate:
    def test_a_trusted_one_is_good_until_shortly_before_its_end(self, tmp_path: Path) -> None:
        with tls_server(tmp_path) as (address, authority):
            now = api_checks.certificate(address, authority, time.time())
            later = api_checks.certificate(address, authority, time.time() + 3_640 * 86_400)
        assert (now.code, now.severity) == ("AC203", Severity.GOOD)
        assert (later.code, later.severity) == ("AC204", Severity.NOTE)

    def test_an_untrusted_one_is_a_problem_and_gets_no_token(
        self, world: World, tmp_path: Path
    ) -> None:
        with tls_server(tmp_path) as (address, _):
            finding = api_checks.certificate(address, None, time.time())
            result = world.run("list", AICHAT_SERVER=address)
        assert (finding.code, finding.severity) == ("AC203", Severity.PROBLEM)
        assert "--ca-file" in finding.fix
        assert (result.code, "CERTIFICATE_VERIFY_FAILED" in result.err) == (6, True)

    def test_a_port_without_a_server_is_a_problem(self) -> None:
        finding = api_checks.certificate("https://localhost:1", None, 0)
        assert (finding.code, finding.severity) == ("AC201", Severity.PROBLEM)

    def test_a_missing_file_of_authorities_is_named(self, world: World) -> None:
        environment = {"AICHAT_SERVER": "https://localhost:1", "AICHAT_CA_FILE": "/nowhere/ca.crt"}
        result = world.run("list", **environment)
        assert (result.code, "/nowhere/ca.crt: No such file" in result.err) == (1, True)
