import re

import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from aichat_workspace.domain.v1alpha1.workspace_status import Phase
from aichat_workspace.kube.client import OnRequest
from aichat_workspace.operator.telemetry.metrics import (
    MEANINGS,
    PULL_RESULTS,
    RECONCILE_RESULTS,
    Metrics,
    MetricSources,
)

Labels = tuple[tuple[str, str], ...]


def samples(metrics: Metrics) -> dict[tuple[str, Labels], float]:
    """Every sample as Prometheus reads it, by name and sorted labels."""
    body, _ = metrics.render()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return samples(metrics)[name, tuple(sorted(labels.items()))]


def types(metrics: Metrics) -> dict[str, str]:
    """The type of each metric of ours, as exported."""
    body, _ = metrics.render()
    return dict(re.findall(r"^# TYPE (aichat_\w+) (\w+)$", body.decode(), re.MULTILINE))


def test_reconciles_are_counted_by_result_and_timed() -> None:
    metrics = Metrics()
    metrics.on_reconcile("ok", 0.2)
    metrics.on_reconcile("ok", 0.02)
    metrics.on_reconcile("failed", 7.0)
    assert value(metrics, "aichat_operator_reconciles_total", result="ok") == 2
    assert value(metrics, "aichat_operator_reconciles_total", result="failed") == 1
    assert value(metrics, "aichat_operator_reconcile_duration_seconds_sum") == pytest.approx(7.22)
    assert value(metrics, "aichat_operator_reconcile_duration_seconds_bucket", le="0.25") == 2


def test_every_result_is_exported_before_it_first_happens() -> None:
    exported = samples(Metrics())
    for result in RECONCILE_RESULTS:
        assert exported["aichat_operator_reconciles_total", (("result", result),)] == 0
    for result in PULL_RESULTS:
        assert exported["aichat_model_pulls_total", (("result", result),)] == 0


def test_requests_are_counted_by_verb_resource_and_code_and_timed_by_verb() -> None:
    metrics = Metrics()
    on_request: OnRequest = metrics.on_request
    on_request("APPLY", "pods", 200, 0.03)
    on_request("APPLY", "pods", 409, 0.01)
    labels = {"verb": "APPLY", "resource": "pods"}
    assert value(metrics, "aichat_operator_kube_requests_total", **labels, code="200") == 1
    assert value(metrics, "aichat_operator_kube_requests_total", **labels, code="409") == 1
    assert value(metrics, "aichat_operator_kube_request_duration_seconds_count", verb="APPLY") == 2


def test_a_request_without_a_response_or_a_kind_has_labels_of_its_own() -> None:
    metrics = Metrics()
    metrics.on_request("POST", "", 0, 30.0)
    labels = {"verb": "POST", "resource": "other", "code": "none"}
    assert value(metrics, "aichat_operator_kube_requests_total", **labels) == 1


def test_a_watch_is_counted_and_not_timed() -> None:
    metrics = Metrics()
    metrics.on_request("WATCH", "pods", 200, 50.0)
    exported = samples(metrics)
    labels = (("code", "200"), ("resource", "pods"), ("verb", "WATCH"))
    assert exported["aichat_operator_kube_requests_total", labels] == 1
    assert (
        "aichat_operator_kube_request_duration_seconds_count",
        (("verb", "WATCH"),),
    ) not in exported


def test_the_wait_in_the_queue_is_timed() -> None:
    metrics = Metrics()
    metrics.on_wait(4.0)
    assert value(metrics, "aichat_operator_queue_wait_duration_seconds_bucket", le="5.0") == 1
    assert value(metrics, "aichat_operator_queue_wait_duration_seconds_bucket", le="2.5") == 0


def test_downloads_are_counted_by_result_and_in_bytes() -> None:
    metrics = Metrics()
    metrics.on_pull("interrupted")
    metrics.on_bytes(1_000_000)
    metrics.on_bytes(500)
    assert value(metrics, "aichat_model_pulls_total", result="interrupted") == 1
    assert value(metrics, "aichat_model_pull_bytes_total") == 1_000_500


def test_bytes_that_are_counted_back_add_nothing() -> None:
    metrics = Metrics()
    metrics.on_bytes(10)
    metrics.on_bytes(-5)
    assert value(metrics, "aichat_model_pull_bytes_total") == 10


def test_leadership_is_one_or_zero() -> None:
    metrics = Metrics()
    assert value(metrics, "aichat_operator_leader") == 0
    metrics.on_leader(True)
    assert value(metrics, "aichat_operator_leader") == 1
    metrics.on_leader(False)
    assert value(metrics, "aichat_operator_leader") == 0


def test_the_version_is_a_label() -> None:
    assert value(Metrics("1.2.3"), "aichat_operator_build_info", version="1.2.3") == 1


def test_a_platforms_condition_is_one_while_it_is_false() -> None:
    metrics = Metrics()
    metrics.mirror(MetricSources(false_conditions=lambda: {"PeopleAdmitted"}))
    values = {
        kind: value(metrics, "aichat_platform_condition_false", type=kind)
        for kind in ("PeopleAdmitted", "NetworkPoliciesEnforced", "Accepted")
    }
    assert values == {"PeopleAdmitted": 1, "NetworkPoliciesEnforced": 0, "Accepted": 0}


def test_state_is_read_at_each_scrape() -> None:
    metrics = Metrics()
    waiting: list[str] = []
    metrics.mirror(MetricSources(queue_depth=lambda: len(waiting), pulls_running=lambda: 2))
    assert value(metrics, "aichat_operator_queue_depth") == 0
    waiting.append("team-a")
    assert value(metrics, "aichat_operator_queue_depth") == 1
    assert value(metrics, "aichat_model_pulls_running") == 2


def test_workspaces_are_counted_in_every_phase_also_in_empty_ones() -> None:
    metrics = Metrics()
    metrics.mirror(MetricSources(phases=lambda: {"Ready": 2, "Degraded": 1}))
    counts = {phase: value(metrics, "aichat_workspaces", phase=phase) for phase in Phase}
    assert counts.pop(Phase.READY) == 2
    assert counts.pop(Phase.DEGRADED) == 1
    assert set(counts.values()) == {0}


def test_confined_is_zero_until_it_is_known() -> None:
    metrics = Metrics()
    assert value(metrics, "aichat_operator_confined") == 0
    metrics.mirror(MetricSources(confined=lambda: True))
    assert value(metrics, "aichat_operator_confined") == 1


def test_cached_objects_are_counted_by_kind() -> None:
    metrics = Metrics()
    metrics.mirror(MetricSources(cached=lambda: {"Pod": 3, "Ingress": 1}))
    assert value(metrics, "aichat_operator_cache_objects", kind="Pod") == 3
    assert value(metrics, "aichat_operator_cache_objects", kind="Ingress") == 1


def test_until_there_are_sources_nothing_waits_and_nothing_is_cached() -> None:
    exported = samples(Metrics())
    assert exported["aichat_operator_queue_depth", ()] == 0
    assert exported["aichat_workspaces", (("phase", "Ready"),)] == 0
    assert not any(name == "aichat_operator_cache_objects" for name, _ in exported)


def test_every_metric_is_exported_from_the_start_with_its_meaning() -> None:
    body, _ = Metrics().render()
    meanings = dict(re.findall(r"^# HELP (aichat_\w+) (.+)$", body.decode(), re.MULTILINE))
    assert meanings == MEANINGS


def test_names_follow_prometheus_conventions() -> None:
    for name, kind in types(Metrics()).items():
        assert name.endswith("_total") == (kind == "counter"), name
        assert name.endswith("_seconds") == (kind == "histogram"), name


def test_no_creation_times_are_exported() -> None:
    metrics = Metrics()
    metrics.on_reconcile("ok", 1.0)
    assert not [name for name, _ in samples(metrics) if name.endswith("_created")]


def test_the_process_itself_is_measured() -> None:
    assert value(Metrics(), "process_resident_memory_bytes") > 0


def test_the_content_type_is_prometheus_text_format() -> None:
    _, content_type = Metrics().render()
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"


def test_two_operators_in_one_process_share_nothing() -> None:
    first, second = Metrics(), Metrics()
    first.on_leader(True)
    assert value(second, "aichat_operator_leader") == 0
    assert not [metric.name for metric in REGISTRY.collect() if metric.name.startswith("aichat_")]
