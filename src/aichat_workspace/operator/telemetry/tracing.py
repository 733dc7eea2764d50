"""Traces for OpenTelemetry: a span for each reconcile, and in it one for each request.

They are sent where OTEL_EXPORTER_OTLP_ENDPOINT says, and cost nothing where it is not set: the
library is not even loaded then. Its other variables hold, too:
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
    """Nothing of it waits; spans are sent beside the work. `tracer` is OpenTelemetry's, or None."""

    def __init__(self, tracer: Any = None, close: Callable[[], None] = lambda: None) -> None:
        self._tracer = tracer
        self._close = close

    async def close(self) -> None:
        """Send what is left, unless the collector does not take it within a second."""
        if self._tracer is None:
            return
        sending = threading.Thread(target=self._close, daemon=True)
        sending.start()
        await asyncio.to_thread(sending.join, _CLOSE_SECONDS)

    def reconcile(self, workspace: str) -> Any:
        """A context manager around a reconcile."""
        return nullcontext() if self._tracer is None else self._span(workspace)

    def on_request(self, verb: str, plural: str, code: int, seconds: float) -> None:
        """A `kube.client.OnRequest`: the request that has just ended."""
        if self._tracer is None or verb == _WATCH:
            return
        ended = time.time_ns()
        attributes = {"k8s.verb": verb, "k8s.resource": plural, "http.response.status_code": code}
        started = ended - int(seconds * _NANOSECONDS)
        name = f"{verb} {plural}".strip()
        self._tracer.start_span(name, start_time=started, attributes=attributes).end(ended)

    @contextmanager
    def _span(self, workspace: str) -> Iterator[None]:
        attributes = {"aichat.workspace": workspace}
        with self._tracer.start_as_current_span("reconcile", attributes=attributes):
            yield


def connect(environment: Mapping[str, str], version: str) -> Tracing:
    """Traces as the environment asks for.

    Raises ImportError, with the fix, when it asks for them and the library is not installed.
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
    # Its own way to shut down at exit has no limit.
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider.get_tracer(names.OPERATOR), provider.shutdown)
