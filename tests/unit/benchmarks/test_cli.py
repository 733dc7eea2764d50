"""The command line describes the comparison and the measured operator."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmarks import cli
from benchmarks.comparison.benchmark import Options
from benchmarks.comparison.subject import OURS, Condition, Subject

TEMPLATE = "{apiVersion: example.org/v1, kind: Proxy, metadata: {name: NAME}}"


def run_compare(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[Subject, Options, Any]:
    called: list[Any] = []

    async def compare(*passed: Any) -> None:
        called.extend(passed)

    monkeypatch.setattr(cli, "_compare", compare)
    monkeypatch.setattr(cli, "_handle_signals", lambda: None)
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
    assert measured.created == measured.ready == Condition(("status", "ready"), "true")
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


def test_the_state_with_all_objects_is_an_argument(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    template = tmp_path / "proxy.yaml"
    template.write_text(TEMPLATE)
    measured, options, _ = run_compare(
        monkeypatch, "--command", "operator", "--template", str(template), "--made", "status.a=b"
    )
    assert measured.created == Condition(("status", "a"), "b")
    assert "pending" in options.steps
