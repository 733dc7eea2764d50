import asyncio
import sys
import threading

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from aichat_workspace.operator.telemetry import tracing as module
from aichat_workspace.operator.telemetry.tracing import ENDPOINT, Tracing, connect


def recorded_tracing() -> tuple[Tracing, InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Tracing(provider.get_tracer("test")), exporter


def test_requests_are_spans_of_the_reconcile_that_made_them() -> None:
    tracing, exporter = recorded_tracing()
    with tracing.reconcile("team-a"):
        tracing.on_request("APPLY", "deployments", 200, 0.25)
    request, reconcile = exporter.get_finished_spans()
    assert (request.name, reconcile.name) == ("APPLY deployments", "reconcile")
    assert request.parent == reconcile.get_span_context()
    assert reconcile.attributes == {"aichat.workspace": "team-a"}
    assert request.end_time is not None
    assert request.start_time is not None
    assert request.end_time - request.start_time == 250_000_000


def test_a_watch_is_no_span() -> None:
    tracing, exporter = recorded_tracing()
    tracing.on_request("WATCH", "pods", 200, 50.0)
    assert exporter.get_finished_spans() == ()


def test_nothing_is_traced_without_an_endpoint() -> None:
    tracing = connect({}, "1")
    with tracing.reconcile("team-a"):
        tracing.on_request("GET", "pods", 200, 0.1)


def test_an_endpoint_without_the_library_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ImportError, match=r"aichat-workspace-operator\[tracing\]"):
        connect({ENDPOINT: "http://127.0.0.1:4318"}, "1")


async def test_spans_go_to_the_endpoint() -> None:
    tracing = connect({ENDPOINT: "http://127.0.0.1:4318"}, "1")
    assert tracing.reconcile("team-a") is not None
    await tracing.close()


async def test_a_silent_collector_does_not_delay_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_CLOSE_SECONDS", 0.1)
    taken = threading.Event()

    def send() -> None:
        taken.wait(30)

    tracing = Tracing(object(), send)
    async with asyncio.timeout(5):
        await tracing.close()
    assert not taken.is_set()
    taken.set()
