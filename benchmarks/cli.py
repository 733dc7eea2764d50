"""The command line: `python -m benchmarks`."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from typing import Annotated

import typer

from benchmarks import api, controlplane, operator
from benchmarks.report import HEAD, Row

app = typer.Typer(
    help="Measure, on this machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command("api")
def bench_api(
    workspaces: Annotated[int, typer.Option(min=1, max=5_000)] = 1_000,
    callers: Annotated[int, typer.Option(min=1, max=200)] = 100,
    watchers: Annotated[int, typer.Option(min=1, max=2_000)] = 1_000,
    seconds: Annotated[float, typer.Option(min=1, max=60, help="For each figure.")] = 10,
) -> None:
    """The API before a control plane of its own: latencies, watchers, and what it asks upstream."""
    size = api.Size(workspaces, callers, watchers, seconds)
    _measure(lambda plane: api.measure(plane, size))


@app.command("operator")
def bench_operator(
    workspaces: Annotated[int, typer.Option(min=1, max=1_000)] = 200,
    seconds: Annotated[float, typer.Option(min=1, max=600, help="How long to look at rest.")] = 60,
) -> None:
    """The operator before a control plane of its own: how fast it makes and mends workspaces."""
    _measure(lambda plane: operator.measure(plane, workspaces, seconds))


def _measure(rows: Callable[[controlplane.Plane], AsyncIterator[Row]]) -> None:
    load = os.getloadavg()[0]
    with controlplane.running(f"bench-{os.getpid()}") as plane:
        asyncio.run(_print(rows(plane)))
    print(f"\n{os.cpu_count()} cores; load before {load:.1f}, after {os.getloadavg()[0]:.1f}")


async def _print(rows: AsyncIterator[Row]) -> None:
    print(HEAD)
    async for each in rows:
        print(each, flush=True)


def main() -> None:
    app()
