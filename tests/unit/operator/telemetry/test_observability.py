"""Dashboard, alerts and documentation speak of metrics that exist."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from aichat_workspace.api.metrics import Metrics as ApiMetrics
from aichat_workspace.documentation.metrics import busy_operator
from aichat_workspace.domain.status.backups import BackupStanding
from aichat_workspace.domain.v1alpha1.workspace_status import Phase
from aichat_workspace.operator.telemetry.metrics import (
    MEANINGS,
    PULL_RESULTS,
    RECONCILE_RESULTS,
)

ROOT: Final = Path(__file__).parents[4]
OBSERVABILITY: Final = ROOT / "config" / "observability"
SERVICES: Final = {"aichat-workspace-operator-metrics", "aichat-workspace-api-metrics"}
# Prometheus and its operator add these to whatever they scrape from a Service.
TARGET_LABELS: Final = {"job", "instance", "namespace", "pod", "service", "container", "endpoint"}

METRIC: Final = re.compile(r"\b(?:aichat|process)_[a-z_]+|\bup\b")
SELECTOR: Final = re.compile(r"\{([^}]*)\}")
MATCHER: Final = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
GROUPING: Final = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")
TEMPLATE_LABEL: Final = re.compile(r"\$labels\.(\w+)")
TEMPLATE_LABEL_IN_TEXT: Final = re.compile(r"\{\{ \$labels\.\w+ \}\}")
LEGEND_LABEL: Final = re.compile(r"\{\{(\w+)\}\}")


def read_yaml(path: str) -> Any:
    return yaml.safe_load((OBSERVABILITY / path).read_text())


def alerts() -> list[dict[str, Any]]:
    groups = read_yaml("alerts.yaml")["spec"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> Any:
    return json.loads((OBSERVABILITY / "dashboard.json").read_text())


def panels() -> list[dict[str, Any]]:
    """The panels that show something: rows are headings."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    shown = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [*shown, *(rule["expr"] for rule in alerts())]


def used_metrics(expression: str) -> set[str]:
    without_strings = re.sub(r'"[^"]*"', '""', expression)
    return set(METRIC.findall(without_strings))


def used_labels(expression: str) -> set[str]:
    matched = {label for label, _, _ in matchers(expression)}
    grouped = {
        label.strip()
        for listed in GROUPING.findall(expression)
        for label in listed.split(",")
        if label.strip()
    }
    return matched | grouped


def matchers(expression: str) -> Iterator[tuple[str, str, str]]:
    """Label, operator and value of every matcher of every selector."""
    for inside in SELECTOR.findall(expression):
        yield from MATCHER.findall(inside)


def exported() -> dict[str, set[str]]:
    """The labels of each series, by its full name (with _bucket, _sum, _count)."""
    body, _ = busy_operator().render()
    labels_of: dict[str, set[str]] = {"up": set()}  # Prometheus makes this one for each target
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            labels_of.setdefault(sample.name, set()).update(sample.labels)
    return labels_of


def test_every_used_metric_exists() -> None:
    used = {name for expression in expressions() for name in used_metrics(expression)}
    assert len(used) > 10
    assert used <= exported().keys()


def test_every_metric_of_ours_is_used() -> None:
    used = {
        re.sub(r"_(bucket|sum|count)$", "", name)
        for expression in expressions()
        for name in used_metrics(expression)
    }
    assert used >= MEANINGS.keys()


@pytest.mark.parametrize("expression", expressions())
def test_every_label_of_an_expression_belongs_to_a_metric_in_it(expression: str) -> None:
    series = exported()
    names = used_metrics(expression)
    assert names, "uses no metric"
    assert used_labels(expression) <= TARGET_LABELS.union(*(series[name] for name in names))


def test_every_selected_phase_and_result_can_occur() -> None:
    known = {"phase": {*Phase}, "result": {*RECONCILE_RESULTS, *PULL_RESULTS}}
    seen = set()
    for expression in expressions():
        for label, _, value in matchers(expression):
            if label in known:
                seen.add(label)
                assert set(value.split("|")) <= known[label]
    assert seen == known.keys()


def test_every_job_that_is_selected_is_a_metrics_service() -> None:
    jobs = {
        value
        for expression in expressions()
        for label, _, value in matchers(expression)
        if label == "job"
    }
    assert jobs == SERVICES


def test_alerts_have_names_of_their_own() -> None:
    named = [rule["alert"] for rule in alerts()]
    assert len(named) == len(set(named)) >= 8


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert re.fullmatch(r"\d+m", rule["for"])
    assert rule["annotations"].keys() == {"summary", "description", "runbook", "runbook_url"}
    assert all(text.strip() for text in rule["annotations"].values())
    assert rule["annotations"]["runbook"].endswith(".")


def alert_section(rule: dict[str, Any]) -> str:
    """The documentation's section of an alert, made from the alert itself."""
    steps = TEMPLATE_LABEL_IN_TEXT.sub(r"that the alert names", rule["annotations"]["runbook"])
    return f"### {rule['alert']}\n\n*{rule['labels']['severity']}*: {steps}\n"


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alerts_runbook_url_leads_to_its_section_in_the_documentation(
    rule: dict[str, Any],
) -> None:
    """If not: write the section as this test has it."""
    path, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert anchor == rule["alert"].lower()
    page = (ROOT / path).read_text()
    assert alert_section(rule) in re.sub(r"(?<=\S)\n(?=\S)", " ", page)


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_mentions_only_labels_that_its_expression_keeps(rule: dict[str, Any]) -> None:
    mentioned = set(TEMPLATE_LABEL.findall(" ".join(rule["annotations"].values())))
    by = re.findall(r"\bby\s*\(([^)]*)\)", rule["expr"])
    aggregated = re.search(r"\b(sum|max)\s*(by\s*\([^)]*\))?\s*\(", rule["expr"])
    remaining = {label.strip() for listed in by for label in listed.split(",")}
    assert mentioned <= (remaining if aggregated else TARGET_LABELS)


def test_panels_have_titles_descriptions_units_and_a_data_source_to_choose() -> None:
    (variable,) = dashboard()["templating"]["list"]
    assert (variable["name"], variable["type"]) == ("datasource", "datasource")
    for panel in panels():
        assert panel["title"]
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        for part in (panel, *panel["targets"]):
            assert part["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_panels_have_ids_and_places_of_their_own() -> None:
    all_panels = dashboard()["panels"]
    assert dashboard()["schemaVersion"] >= 39
    assert len({panel["id"] for panel in all_panels}) == len(all_panels)
    cells = [
        (x, y)
        for panel in all_panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_legends_name_labels_that_their_metrics_have() -> None:
    series = exported()
    for panel in panels():
        for target in panel["targets"]:
            names = used_metrics(target["expr"])
            known = TARGET_LABELS.union(*(series[name] for name in names))
            assert set(LEGEND_LABEL.findall(target["legendFormat"])) <= known


def test_the_dashboard_is_a_config_map_of_a_fixed_name_that_grafana_finds() -> None:
    (generated,) = read_yaml("kustomization.yaml")["configMapGenerator"]
    assert generated["files"] == ["dashboard.json"]
    assert generated["options"]["disableNameSuffixHash"] is True
    assert generated["options"]["labels"]["grafana_dashboard"] == "1"


def test_every_file_is_part_of_the_kustomization() -> None:
    kustomization = read_yaml("kustomization.yaml")
    listed = {"kustomization.yaml", "dashboard.json", *kustomization["resources"]}
    assert {file.name for file in OBSERVABILITY.iterdir()} == listed


@pytest.mark.parametrize("path", ["service_monitor.yaml", "api_service_monitor.yaml"])
def test_the_monitor_scrapes_the_port_named_metrics(path: str) -> None:
    monitor = read_yaml(path)
    (endpoint,) = monitor["spec"]["endpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("metrics", "/metrics")
    assert monitor["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"] == "metrics"


def exported_by_the_api() -> set[str]:
    body, _ = ApiMetrics(streams=lambda: 0, workspaces=lambda: 0).render()
    names = re.findall(r"^# TYPE (aichat_\w+) \w+$", body.decode(), re.MULTILINE)
    return {name for name in names if not name.endswith("_created")}


def test_operator_and_api_export_no_metric_of_the_same_name() -> None:
    assert exported_by_the_api().isdisjoint(MEANINGS)


def test_backups_that_are_overdue_or_blocked_raise_the_alert_and_failed_ones_do_not() -> None:
    """A run that failed has another chance before the next backup is overdue."""
    (rule,) = (rule for rule in alerts() if rule["alert"] == "AIChatBackupsOverdue")
    ((label, operator, states),) = matchers(rule["expr"])
    assert (label, operator) == ("state", "=~")
    alerting = {state for state in BackupStanding if re.fullmatch(states, state)}
    assert alerting == {BackupStanding.OVERDUE, BackupStanding.BLOCKED}
    body, _ = busy_operator().render()
    exposed = {
        sample.labels["state"]
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
        if sample.name == "aichat_backup_workspaces"
    }
    assert alerting <= exposed
