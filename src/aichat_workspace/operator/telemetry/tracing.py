"""Traces for OpenTelemetry: a span for each reconcile, with one for each of its requests.

OTEL_EXPORTER_OTLP_ENDPOINT says where to send them. Without it they cost nothing: the library is
not even loaded. Its other variables apply, too:
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, Final

from aichat_workspace.domain import names

ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_WATCH: Final = "WATCH"  # lasts a minute and belongs to no reconcile
_NANOSECONDS: Final = 1_000_000_000
_CLOSE_SECONDS: Final = 1.0


class Tracing:
    """Spans, sent in the background. `tracer` is OpenTelemetry's, or None."""

    def __init__(self, tracer: Any = None, close: Callable[[], None] = lambda: None) -> None:
        self._tracer = tracer
        self._close = close

    async def close(self) -> None:
        """Send the remaining spans; give up after a second."""
        if self._tracer is None:
            return
        sending = threading.Thread(target=self._close, daemon=True)
        sending.start()
        await asyncio.to_thread(sending.join, _CLOSE_SECONDS)

    def reconcile(self, workspace: str) -> Any:
        """Return a context manager for one reconcile."""
        return nullcontext() if self._tracer is None else self._span(workspace)

    def on_request(self, verb: str, plural: str, code: int, seconds: float) -> None:
        """Record a request that has just ended, as a `kube.client.OnRequest`."""
        if self._tracer is None or verb == _WATCH:
            return
        end = time.time_ns()
        attributes = {"k8s.verb": verb, "k8s.resource": plural, "http.response.status_code": code}
        start = end - int(seconds * _NANOSECONDS)
        name = f"{verb} {plural}".strip()
        self._tracer.start_span(name, start_time=start, attributes=attributes).end(end)

    @contextmanager
    def _span(self, workspace: str) -> Iterator[None]:
        attributes = {"aichat.workspace": workspace}
        with self._tracer.start_as_current_span("reconcile", attributes=attributes):
            yield


def connect(environment: Mapping[str, str], version: str) -> Tracing:
    """Return the tracing that the environment configures.

    Raises ImportError, with the fix, when the library for it is not installed.
    """
    if not environment.get(ENDPOINT):
        return Tracing()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        raise ImportError(
            f"{ENDPOINT} is set, and OpenTelemetry is not installed: install "
            f"{names.OPERATOR}[tracing], or unset it"
        ) from error
    resource = Resource.create({"service.name": names.OPERATOR, "service.version": version})
    # Its own shutdown at exit has no time limit.
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider.get_tracer(names.OPERATOR), provider.shutdown)
