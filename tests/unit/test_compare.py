"""The comparison with a null writer: what is recorded, written again, counted and printed."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes import kinds
from benchmarks import cli, subject
from benchmarks.audit import AuditLog, Event, count, is_write
from benchmarks.comparison import Options, Raised, compared
from benchmarks.population import name_of
from benchmarks.recording import Recording, Replay, record
from benchmarks.report import Figure, Goal, as_json
from benchmarks.stage import is_pod_of
from benchmarks.subject import OURS, Condition, Subject, foreign

USER = "system:serviceaccount:ops:operator"
TEMPLATE = "{apiVersion: example.org/v1, kind: Proxy, metadata: {name: NAME}}"


def event(verb: str, plural: str, name: str, body: Any = None, **more: Any) -> Event:
    uid = more.pop("uid", "")
    namespace = more.pop("namespace", "team")
    return {
        "stage": "ResponseComplete",
        "verb": verb,
        "user": {"username": USER},
        "requestURI": f"/api/v1/namespaces/{namespace}/{plural}/{name}",
        "objectRef": {
            "resource": plural,
            "namespace": namespace,
            "name": name,
            "apiVersion": "v1",
            **more.pop("reference", {}),
        },
        "responseStatus": {"code": more.pop("code", 200)},
        "requestObject": body,
        "responseObject": {"metadata": {"uid": uid, "name": name, "resourceVersion": "7"}},
        "requestReceivedTimestamp": "2026-01-01T00:00:00.500000Z",
    }


EVENTS = [
    event("patch", "teams", "bench-9999", {"metadata": {"uid": "uid-0"}}, uid="uid-0"),
    event("create", "namespaces", "bench-9999", {"a": 1}, uid="uid-1", namespace="bench-9999"),
    event("create", "secrets", "session-key", {}, uid="uid-2"),
    event("patch", "services", "bench-9999-web", {"of": "uid-1"}, uid="uid-3"),
    event("patch", "services", "bench-9999-web", [{"op": "add", "path": "/x"}], uid="uid-3"),
    event("create", "services", "bench-9999-no", {}, code=403),
    event("create", "services", "bench-9999:80", {}, reference={"subresource": "proxy"}),
    event("create", "events", "bench-9999.made", {}, uid="uid-4"),
    event("get", "services", "bench-9999-web"),
    event("update", "leases", "bench-9999", {}),
]


@pytest.fixture
def recording() -> Recording:
    return record(EVENTS, "bench-9999", "uid-0")


def test_what_was_written_for_the_resource_is_recorded_in_order(recording: Recording) -> None:
    assert [(write.verb, write.plural) for write in recording.writes] == [
        ("apply", "teams"),
        ("create", "namespaces"),
        ("apply", "services"),
        ("json-patch", "services"),
        ("create", "events"),
    ]


def test_children_are_the_objects_that_were_made_and_stay(recording: Recording) -> None:
    assert [write.plural for write in recording.children] == ["namespaces", "services"]


def test_a_recording_is_the_same_after_it_was_saved(recording: Recording, tmp_path: Path) -> None:
    recording.save(tmp_path / "recording.json")
    assert Recording.load(tmp_path / "recording.json") == recording


def test_names_and_uids_are_replaced_as_they_come_to_be_known(recording: Recording) -> None:
    replay = Replay(recording, "bench-0001", "other-0")
    resource, namespace, service, *_ = recording.writes
    assert replay.adapt(resource).body == {"metadata": {"uid": "other-0"}}
    adapted = replay.adapt(namespace)
    assert (adapted.name, adapted.namespace) == ("bench-0001", "")
    replay.learn(namespace, adapted, {"metadata": {"uid": "other-1", "resourceVersion": "9"}})
    adapted = replay.adapt(service)
    assert (adapted.name, adapted.body) == ("bench-0001-web", {"of": "other-1"})


def test_a_version_that_a_write_expects_is_that_of_the_last_reply() -> None:
    path = "/metadata/resourceVersion"
    patch = [{"op": "test", "path": path, "value": "7"}]
    events = [
        event("create", "services", "bench-9999-web", {}, uid="uid-1"),
        event("patch", "services", "bench-9999-web", patch, uid="uid-1"),
        event("update", "services", "bench-9999-web", {"metadata": {"resourceVersion": "7"}}),
    ]
    recording = record(events, "bench-9999", "uid-0")
    replay = Replay(recording, "bench-0001", "other-0")
    created, patched, updated = recording.writes
    replay.learn(created, replay.adapt(created), {"metadata": {"uid": "u", "resourceVersion": "3"}})
    assert replay.adapt(patched).body == [{"op": "test", "path": path, "value": "3"}]
    assert replay.adapt(updated).body == {"metadata": {"resourceVersion": "3"}}


def write_log(path: Path, *events: Event) -> None:
    with path.open("a") as log:
        log.writelines(f"{json.dumps(event, separators=(',', ':'))}\n" for event in events)


def test_the_log_is_read_on_from_a_position_even_if_it_was_rotated(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.log", USER)
    write_log(log.path, EVENTS[0])
    position = log.end()
    write_log(log.path, EVENTS[1], {**EVENTS[2], "user": {"username": "somebody"}})
    log.path.rename(tmp_path / "audit-2026-01-01T00-00-00.000.log")
    write_log(log.path, EVENTS[3])
    assert list(log.events(position)) == [EVENTS[1], EVENTS[3]]
    assert len(list(log.events())) == 3


def test_requests_are_counted_without_watches_leases_and_servers_behind(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.log", USER)
    write_log(log.path)
    position = log.end()
    write_log(log.path, *EVENTS[-4:], {**EVENTS[0], "verb": "watch"})
    assert count(log.requests(position)) == {"create events": 1, "get services": 1}


def test_a_review_is_no_write() -> None:
    assert not is_write(event("create", "subjectaccessreviews", ""))
    assert is_write(event("create", "services", "a"))


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("status.phase=Ready", True),
        ("status.isCreated=true", True),
        ("status.count=2", True),
        ("status.phase=Pending", False),
        ("status.none.at.all=x", False),
        ("status.phase.deeper=x", False),
    ],
)
def test_a_condition_is_a_field_with_a_value(text: str, holds: bool) -> None:
    resource = {"status": {"phase": "Ready", "isCreated": True, "count": 2}}
    assert Condition.parse(text).holds(resource) is holds


@pytest.mark.parametrize("text", ["", "Ready", "=Ready"])
def test_text_that_is_no_condition_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"write one as status\.phase=Ready"):
        Condition.parse(text)


def test_our_operator_is_described_as_it_is() -> None:
    assert OURS.resource == kinds.WORKSPACE
    assert OURS.command == (names.OPERATOR,)
    assert OURS.account == f"{names.SYSTEM_NAMESPACE}/{names.OPERATOR}"
    assert OURS.user == f"system:serviceaccount:{names.SYSTEM_NAMESPACE}:{names.OPERATOR}"
    assert OURS.body("bench-0001")["spec"]["workspaceName"] == "bench-0001"
    assert OURS.body("bench-0001")["apiVersion"] == names.API_VERSION
    assert all(path.exists() for path in OURS.manifests)


def test_a_pod_belongs_to_a_resource_by_its_namespace_or_its_own_name() -> None:
    def pod(namespace: str, name: str) -> Any:
        return {"metadata": {"namespace": namespace, "name": name}}

    assert is_pod_of(pod(name_of(1), "web-0"), {name_of(1)})
    assert is_pod_of(pod("default", f"{name_of(1)}-web-0"), {name_of(1)})
    assert not is_pod_of(pod("kube-system", "operator-0"), {name_of(1)})


def run_compare(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[Subject, Options, Any]:
    called: list[Any] = []

    async def compare(*passed: Any) -> None:
        called.extend(passed)

    monkeypatch.setattr(cli, "_compare", compare)
    monkeypatch.setattr(cli, "_end_in_order", lambda: None)
    result = CliRunner().invoke(cli.app, ["compare", *arguments])
    assert result.exit_code == 0, result.output
    measured, options, sizes, fleet, output = called
    return measured, options, (sizes, fleet, output)


def test_our_operator_is_what_is_measured_where_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured, options, rest = run_compare(monkeypatch, "--skip", "delete", "--skip", "pending")
    assert measured is OURS
    assert options == Options(8, 60, frozenset({"rest", "drift", "change", "restart"}))
    assert rest == ((50, 200, 1_000), 5_000, "table")


def test_another_operator_is_described_by_arguments(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    template = tmp_path / "proxy.yaml"
    template.write_text(TEMPLATE)
    measured, options, rest = run_compare(
        monkeypatch,
        *("-n", "5", "-o", "json", "--manifest", "crds.yaml", "--manifest", "more"),
        *("--command", "/opt/operator --metrics-bind-address=0", "--template", str(template)),
        *("--ready", "status.ready=true", "--change", '{"spec": {"replicas": 2}}'),
    )
    assert measured.command == ("/opt/operator", "--metrics-bind-address=0")
    assert measured.manifests == (Path("crds.yaml"), Path("more"))
    assert measured.resource.path("default", "a") == (
        "/apis/example.org/v1/namespaces/default/proxies/a"
    )
    assert measured.made == measured.ready == Condition(("status", "ready"), "true")
    assert measured.body("bench-0001")["metadata"] == {"name": "bench-0001", "namespace": "default"}
    assert measured.changed("bench-0001")["spec"] == {"replicas": 2}
    assert measured.is_foreign
    assert options.steps == {"rest", "drift", "change", "restart", "delete"}  # not pending
    assert rest == ([5], 5_000, "json")


@pytest.mark.parametrize(
    "arguments",
    [("--command", "operator"), ("--template", "proxy.yaml"), ("--skip", "everything")],
)
def test_arguments_that_do_not_fit_are_refused(arguments: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli.app, ["compare", *arguments])
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("template", "change"),
    [("{kind: Proxy}", "{}"), ("- NAME", "{}"), (TEMPLATE, "[]"), (TEMPLATE, "spec")],
)
def test_another_operator_that_is_described_wrongly_is_refused(template: str, change: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (json's own for what is no JSON)
        foreign(
            command="operator",
            manifests=(),
            template=template,
            plural="",
            ready="status.phase=Ready",
            made="",
            change=change,
        )


@pytest.mark.parametrize(
    ("kind", "plural"), [("Proxy", "proxies"), ("Redis", "redises"), ("Team", "teams")]
)
def test_a_plural_follows_from_the_kind(kind: str, plural: str) -> None:
    assert subject._plural(kind) == plural


def test_ratios_are_of_the_null_writer(recording: Recording) -> None:
    operator, null = Raised(8, 10, 4, 85, 60), Raised(7, 9, 2, 60, 50)
    figures = {figure.key: figure for figure in compared(10, operator, null, recording)}
    assert figures["efficiency"].value == 0.9
    assert figures["efficiency"].is_met is False
    assert figures["cpu_ratio"].value == 2
    assert figures["writes_each"].note == "null writer 5.0; 4 are the least"
    assert figures["memory_mib"].note == "30 objects"


def test_figures_are_printed_for_people_and_for_scripts() -> None:
    figure = Figure(50, "efficiency", "efficiency", 0.954, goal=Goal(0.95, at_most=False))
    assert str(figure) == "| 50 | efficiency | 0.954 | ≥ 0.95 | yes |  |"
    assert str(Figure(50, "a", "a", 1234.5, "s", Goal(2), "why")) == (
        "| 50 | a | 1234 s | ≤ 2 | **no** | why |"
    )
    found = json.loads(as_json([figure, Figure(50, "b", "b", 1)], {"cores": 2}))
    assert found["machine"] == {"cores": 2}
    assert [(row["key"], row["value"], row["met"]) for row in found["figures"]] == [
        ("efficiency", 0.954, True),
        ("b", 1, None),
    ]
