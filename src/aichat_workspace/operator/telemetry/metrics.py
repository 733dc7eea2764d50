"""The operator's metrics for Prometheus: https://prometheus.io/docs/practices/naming/

No metric carries the name of a workspace, a model or an object. Prometheus keeps a series for weeks
for each value of a label, and users invent names: a thousand short-lived workspaces must not cost a
thousand series. The status and the log name the workspace. The code bounds every label: results,
verbs, kinds, phases, status codes.

The `on_…` callbacks count what happens. State that exists elsewhere (queue, caches, phases) is read
there at each scrape.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from aichat_workspace.domain.planning.rollout import Stage
from aichat_workspace.domain.status.backups import BackupStanding
from aichat_workspace.domain.v1alpha1.platform_status import PlatformConditionType
from aichat_workspace.domain.v1alpha1.workspace_status import Phase

OK: Final = "ok"
FAILED: Final = "failed"
CRASHED: Final = "crashed"
INTERRUPTED: Final = "interrupted"
NOT_FOUND: Final = "not_found"
REFUSED: Final = "refused"
RECONCILE_RESULTS: Final = (OK, FAILED, CRASHED)
PULL_RESULTS: Final = (OK, FAILED, INTERRUPTED, NOT_FOUND, REFUSED)
WATCH: Final = "WATCH"
"""The verb of a watch, counted when its stream has ended."""

MEANINGS: Final = {
    "aichat_backup_workspaces": "Workspaces that ask for backups, by what their condition "
    "BackedUp says: made (the last run made one), waiting (for the first one), failed (the last "
    "run did), overdue (none for longer than the schedule says), blocked (none can be made: a "
    "destination, a Secret or the image is missing).",
    "aichat_model_pull_bytes_total": "Bytes of models downloaded.",
    "aichat_model_pulls_running": "Model downloads at work now.",
    "aichat_model_pulls_total": "Ended model downloads: ok, failed, interrupted (it resumes), "
    "not_found (no such model), refused (something has to change first).",
    "aichat_operator_build_info": "Always 1; the label says which version runs.",
    "aichat_operator_cache_objects": "Objects held in the watch cache of a kind.",
    "aichat_operator_confined": "1 while the API server confines the operator; otherwise it writes "
    "nothing.",
    "aichat_operator_kube_request_duration_seconds": "Time until the API server had answered, "
    "watches left out.",
    "aichat_operator_kube_requests_total": "Requests to the API server; code none means no answer.",
    "aichat_operator_leader": "1 in the replica that leads, 0 in one that stands by.",
    "aichat_operator_orphaned_namespaces": "Namespaces that run on although their resource is "
    "gone.",
    "aichat_operator_queue_depth": "Workspaces that wait for a worker.",
    "aichat_operator_queue_wait_duration_seconds": "How long a workspace waited for a worker.",
    "aichat_operator_reconcile_duration_seconds": "Duration of a reconcile.",
    "aichat_operator_reconciles_total": "Reconciles: ok, failed (refused or no answer; tried "
    "again), crashed (a bug; tried again).",
    "aichat_operator_settings_kept": "1 while the AIChatPlatform is gone and its last settings "
    "hold.",
    "aichat_operator_settings_refused": "Fields of the AIChatPlatform's spec that are not "
    "understood.",
    "aichat_platform_condition_false": "1 while the AIChatPlatform says False of a condition.",
    "aichat_upgrade_paused": "1 while the AIChatPlatform says that upgrades are paused.",
    "aichat_upgrade_stopped": "1 while no turn begins, because too many workspaces failed.",
    "aichat_upgrade_turns_total": "Turns that were over or were given on.",
    "aichat_upgrade_workspaces": "Workspaces by how the platform's changes of pods reach them: "
    "waiting, changing, failed, stuck (for a reason of their own), skipped, done.",
    "aichat_workspaces": "Workspaces in a phase.",
}

_WORK_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_WAIT_BUCKETS: Final = (0.001, 0.01, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSources:
    """Where state is read at a scrape. The defaults are empty."""

    confined: Callable[[], bool] = bool
    queue_depth: Callable[[], int] = int
    orphaned_namespaces: Callable[[], int] = int
    settings_kept: Callable[[], bool] = bool
    settings_refused: Callable[[], int] = int
    false_conditions: Callable[[], Collection[str]] = tuple
    """The AIChatPlatform's conditions that are False."""
    cached: Callable[[], Mapping[str, int]] = dict
    """The number of objects by kind."""
    phases: Callable[[], Mapping[str, int]] = dict
    """The number of workspaces by phase."""
    backups: Callable[[], Mapping[str, int]] = dict
    """The number of workspaces by how their backups are."""
    pulls_running: Callable[[], int] = int
    upgrades: Callable[[], Mapping[str, int]] = dict
    """The number of workspaces by stage."""
    upgrade_turns: Callable[[], int] = int
    """How many turns have ended."""
    upgrades_stopped: Callable[[], bool] = bool
    upgrades_paused: Callable[[], bool] = bool


class Metrics:
    """One operator's metrics, in a registry of their own.

    Callbacks and `render` neither wait nor raise. Call them in the event loop's thread, where the
    sources live, too.
    """

    def __init__(self, version: str = "unknown") -> None:
        registry = self._registry = CollectorRegistry()
        self._collector = _Collector(registry)
        ProcessCollector(registry=registry)
        self._reconciles = _counter("aichat_operator_reconciles_total", registry, "result")
        self._reconcile = _histogram(
            "aichat_operator_reconcile_duration_seconds", registry, _WORK_BUCKETS
        )
        self._wait = _histogram(
            "aichat_operator_queue_wait_duration_seconds", registry, _WAIT_BUCKETS
        )
        # Cached: the library takes longer to find a labelled series than to count.
        self._request_counter = cache(
            _counter(
                "aichat_operator_kube_requests_total", registry, "verb", "resource", "code"
            ).labels
        )
        self._request_seconds = cache(
            _histogram(
                "aichat_operator_kube_request_duration_seconds", registry, _WORK_BUCKETS, "verb"
            ).labels
        )
        self._pulls = _counter("aichat_model_pulls_total", registry, "result")
        self._bytes = _counter("aichat_model_pull_bytes_total", registry)
        self._leader = _gauge("aichat_operator_leader", registry)
        _gauge("aichat_operator_build_info", registry, "version").labels(version).set(1)
        # They start at 0, or a rate would miss the first one.
        for result in RECONCILE_RESULTS:
            self._reconciles.labels(result)
        for result in PULL_RESULTS:
            self._pulls.labels(result)

    def mirror(self, sources: MetricSources) -> None:
        """Read state from these sources from now on."""
        self._collector.sources = sources

    def on_reconcile(self, result: str, seconds: float) -> None:
        """Count a reconcile; `result` is one of RECONCILE_RESULTS."""
        self._reconciles.labels(result).inc()
        self._reconcile.observe(seconds)

    def on_wait(self, seconds: float) -> None:
        """Count a key that waited so long for a worker."""
        self._wait.observe(seconds)

    def on_request(self, verb: str, plural: str, code: int, seconds: float) -> None:
        """Count a request, as a `kube.client.OnRequest`. A watch is not timed."""
        self._request_counter(verb, plural or "other", code or "none").inc()
        if verb != WATCH:
            self._request_seconds(verb).observe(seconds)

    def on_pull(self, result: str) -> None:
        """Count a download; `result` is one of PULL_RESULTS."""
        self._pulls.labels(result).inc()

    def on_bytes(self, n: int) -> None:
        """Count the bytes downloaded since the last call. A server that counts back adds none."""
        self._bytes.inc(max(n, 0))

    def on_leader(self, leads: bool) -> None:
        self._leader.set(leads)

    def render(self) -> tuple[bytes, str]:
        """Return the response to a scrape: body and content type."""
        return generate_latest(_WithoutCreated(self._registry)), CONTENT_TYPE_PLAIN_0_0_4


class _Collector(Collector):
    """Reads the sources at each scrape."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.sources = MetricSources()
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        sources = self.sources
        yield _read("aichat_operator_confined", sources.confined())
        yield _read("aichat_operator_queue_depth", sources.queue_depth())
        yield _read("aichat_model_pulls_running", sources.pulls_running())
        yield _read("aichat_operator_orphaned_namespaces", sources.orphaned_namespaces())
        yield _read("aichat_operator_settings_kept", sources.settings_kept())
        yield _read("aichat_operator_settings_refused", sources.settings_refused())
        false = sources.false_conditions()
        is_false = {str(kind): int(kind in false) for kind in PlatformConditionType}
        yield _read_by("aichat_platform_condition_false", "type", is_false)
        yield _read_by("aichat_operator_cache_objects", "kind", sources.cached())
        # Every phase has a series, also one without a workspace: an absent series is not a 0.
        phases = {**dict.fromkeys(map(str, Phase), 0), **sources.phases()}
        yield _read_by("aichat_workspaces", "phase", phases)
        backups = {**dict.fromkeys(map(str, BackupStanding), 0), **sources.backups()}
        yield _read_by("aichat_backup_workspaces", "state", backups)
        stages = {**dict.fromkeys(map(str, Stage), 0), **sources.upgrades()}
        yield _read_by("aichat_upgrade_workspaces", "stage", stages)
        yield _read("aichat_upgrade_stopped", sources.upgrades_stopped())
        yield _read("aichat_upgrade_paused", sources.upgrades_paused())
        turns, meaning = "aichat_upgrade_turns_total", MEANINGS["aichat_upgrade_turns_total"]
        yield CounterMetricFamily(turns, meaning, value=sources.upgrade_turns())


class _WithoutCreated(Collector):
    """A registry without the `_created` series, which are unused and double the rest. The library
    can leave them out only for the whole process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        for metric in self._registry.collect():
            metric.samples = [
                sample for sample in metric.samples if sample.name != f"{metric.name}_created"
            ]
            yield metric


def _counter(name: str, registry: CollectorRegistry, *labels: str) -> Counter:
    return Counter(name, MEANINGS[name], labels, registry=registry)


def _gauge(name: str, registry: CollectorRegistry, *labels: str) -> Gauge:
    return Gauge(name, MEANINGS[name], labels, registry=registry)


def _histogram(
    name: str, registry: CollectorRegistry, buckets: tuple[float, ...], *labels: str
) -> Histogram:
    return Histogram(name, MEANINGS[name], labels, registry=registry, buckets=buckets)


def _read(name: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, MEANINGS[name], value=value)


def _read_by(name: str, label: str, values: Mapping[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, MEANINGS[name], labels=[label])
    for value, count in sorted(values.items()):
        family.add_metric([value], count)
    return family
