"""Metrics of the API. https://prometheus.io/docs/practices/naming/"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """The API's metrics; `streams` and `workspaces` count those that there are now."""

    def __init__(self, streams: Callable[[], int], workspaces: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "aichat_api_http_requests_total",
            "Requests by route, method and status.",
            ("route", "method", "code"),
            registry=self._registry,
        )
        self.seconds = Histogram(
            "aichat_api_http_request_duration_seconds",
            "How long it took until an answer began, by route.",
            ("route", "method"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.upstream = Counter(
            "aichat_api_kube_requests_total",
            "Requests to the Kubernetes API server by verb, kind and status.",
            ("verb", "resource", "code"),
            registry=self._registry,
        )
        open_streams = Gauge(
            "aichat_api_streams", "Watches, logs and prompts under way.", registry=self._registry
        )
        open_streams.set_function(streams)
        known_workspaces = Gauge(
            "aichat_api_workspaces", "Workspaces known.", registry=self._registry
        )
        known_workspaces.set_function(workspaces)

    def on_request(self, verb: str, plural: str, code: int, _: float) -> None:
        """Count a request to the API server; kube.client calls this."""
        self.upstream.labels(verb, plural, str(code)).inc()

    def render(self) -> tuple[bytes, str]:
        """Return the metrics in Prometheus' format, and its media type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST


@dataclass(frozen=True, slots=True)
class MetricsMiddleware:
    """ASGI middleware: counts each response under its route, never under its path."""

    app: ASGIApp
    metrics: Metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started_at = time.monotonic()

        async def counting_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path_format", "none")
                method = scope["method"] if scope["method"] in _METHODS else "other"
                self.metrics.requests.labels(route, method, str(message["status"])).inc()
                self.metrics.seconds.labels(route, method).observe(time.monotonic() - started_at)
            await send(message)

        await self.app(scope, receive, counting_send)
