"""Generate the page of metrics from what operator and API export."""

from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from aichat_workspace.api.metrics import Metrics as ApiMetrics
from aichat_workspace.documentation.markdown import GENERATED, table
from aichat_workspace.operator.telemetry.metrics import MEANINGS, Metrics, MetricSources

_INTRODUCTION: Final = """# Metrics

[Observability](observability.md) says how to collect them, and which alerts watch them. Besides
these there are the usual `process_…` ones: memory, CPU, open files."""
_HEAD: Final = ("name", "type", "labels", "meaning")
_OURS: Final = "aichat_"


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join((*_lines(), ""))


def _lines() -> Iterator[str]:
    yield from (GENERATED, _INTRODUCTION, "", "## Operator", "")
    yield from table(_HEAD, _rows(_text(busy_operator()), MEANINGS))
    yield from ("", "## API", "", "A route is the API's own pattern, never a path.", "")
    yield from table(_HEAD, _rows(_text(_busy_api()), {}))


def _rows(exported: str, meanings: Mapping[str, str]) -> list[tuple[str, str, str, str]]:
    """Return a row for each metric of ours; without a meaning with the text that is exported."""
    rows = []
    for family in text_string_to_metric_families(exported):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        if name.startswith(_OURS) and not name.endswith("_created"):
            labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            listed = ", ".join(f"`{label}`" for label in sorted(labels)) or "-"
            rows.append(
                (f"`{name}`", family.type, listed, meanings.get(name, family.documentation))
            )
    return sorted(rows)


def busy_operator() -> Metrics:
    """Return metrics in which everything has happened once, so that every label shows."""
    metrics = Metrics("1.0.0")
    metrics.mirror(MetricSources(cached=lambda: {"Pod": 1}))
    metrics.on_request("GET", "pods", 200, 0.1)
    metrics.on_reconcile("ok", 0.1)
    metrics.on_wait(0.1)
    return metrics


def _busy_api() -> ApiMetrics:
    """Return metrics of an API that has answered a request."""
    metrics = ApiMetrics(streams=lambda: 0, workspaces=lambda: 0)
    metrics.on_request("GET", "pods", 200, 0.1)
    metrics.requests.labels("/", "GET", "200").inc()
    metrics.seconds.labels("/", "GET").observe(0.1)
    return metrics


def _text(metrics: Metrics | ApiMetrics) -> str:
    body, _ = metrics.render()
    return body.decode()
