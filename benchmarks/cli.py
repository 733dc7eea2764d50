"""Run the benchmarks from the command line: `python -m benchmarks`."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final, Literal

import typer

from benchmarks import command_line
from benchmarks.api import benchmark as api_benchmark
from benchmarks.cluster import control_plane
from benchmarks.comparison import null_writer, standin, subject
from benchmarks.comparison.benchmark import STEPS, Comparison, Options
from benchmarks.comparison.recording import Recording
from benchmarks.measuring import processes
from benchmarks.measuring.report import FIGURES_HEAD, HEAD, Figure, Row, as_json
from benchmarks.operator import benchmark as operator_benchmark
from localcluster.progress import reporting

_SIZES: Final = (50, 200, 1_000)

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
    """Measure the API: latencies, watchers, and its requests upstream."""
    size = api_benchmark.Size(workspaces, callers, watchers, seconds)
    _measure(lambda plane: api_benchmark.measure(plane, size))


@app.command("operator")
def bench_operator(
    workspaces: Annotated[int, typer.Option(min=1, max=1_000)] = 200,
    seconds: Annotated[
        float, typer.Option(min=1, max=600, help="Duration of the measurement at rest.")
    ] = 60,
) -> None:
    """Measure the operator: how fast it creates and repairs workspaces."""
    _measure(lambda plane: operator_benchmark.measure(plane, workspaces, seconds))


@app.command("aichatctl")
def bench_aichatctl(
    runs: Annotated[int, typer.Option(min=1, max=1_000)] = 20,
    workspaces: Annotated[int, typer.Option(min=0, max=5_000)] = 100,
) -> None:
    """Measure the command line: --help and a list, from start to end."""
    load = os.getloadavg()[0]
    print(HEAD)
    for row in command_line.measure(runs, workspaces):
        print(row, flush=True)
    print(f"\n{os.cpu_count()} cores; load before {load:.1f}, after {os.getloadavg()[0]:.1f}")


@app.command("compare")
def bench_compare(  # noqa: PLR0913  (options)
    *,
    sizes: Annotated[
        list[int] | None, typer.Option("-n", "--workspaces", min=1, max=9_000, help="Repeatable.")
    ] = None,
    output: Annotated[Literal["table", "json"], typer.Option("-o", "--output")] = "table",
    fleet: Annotated[
        int, typer.Option(min=0, max=9_000, help="Size of the simulated fleet; 0 for none.")
    ] = 5_000,
    skip: Annotated[
        list[str] | None, typer.Option(help=f"Steps to leave out: {', '.join(STEPS)}.")
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=1, max=600, help="Duration of the measurement at rest.")
    ] = 60,
    concurrency: Annotated[
        int, typer.Option(min=1, max=100, help="Resources that the null writer works on at once.")
    ] = 8,
    command: Annotated[str, typer.Option(help="Another operator; it is given KUBECONFIG.")] = "",
    manifest: Annotated[
        list[Path] | None,
        typer.Option(help="Its manifests: a file or a kustomization. Repeatable."),
    ] = None,
    template: Annotated[
        Path | None, typer.Option(help=f"Its resource, with {subject.NAME} for the name.")
    ] = None,
    plural: Annotated[str, typer.Option(help="The plural of its kind, if irregular.")] = "",
    ready: Annotated[str, typer.Option(help="When a resource is ready.")] = "status.phase=Ready",
    created: Annotated[
        str, typer.Option("--made", help="When its objects exist; by default when it is ready.")
    ] = "",
    change: Annotated[str, typer.Option(help="JSON that changes a resource's spec.")] = "{}",
) -> None:
    """Compare the operator with a null writer that sends the same writes, as ratios of one run."""
    steps = frozenset(STEPS) - set(skip or ())
    if unknown := set(skip or ()) - set(STEPS):
        raise typer.BadParameter(f"nothing is called {', '.join(sorted(unknown))}")
    if bool(command) != bool(template):
        raise typer.BadParameter("another operator takes both --command and --template")
    measured = subject.OURS
    if template is not None:
        try:
            measured = subject.foreign(
                command=command,
                manifests=manifest or (),
                template=template.read_text(),
                plural=plural,
                ready=ready,
                created=created,
                change=change,
            )
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
        steps -= {"change"} if change == "{}" else set()
        steps -= {"pending"} if not created else set()
    _handle_signals()
    options = Options(concurrency, seconds, steps)
    asyncio.run(_compare(measured, options, sizes or _SIZES, fleet, output))


def _handle_signals() -> None:
    """Stop all processes on Ctrl-C and SIGTERM.

    A shell starts background jobs with SIGINT ignored, so both are set.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


async def _compare(
    measured: subject.Subject, options: Options, sizes: Sequence[int], fleet: int, output: str
) -> None:
    figures: list[Figure] = []
    load = os.getloadavg()[0]
    try:
        with (
            TemporaryDirectory() as folder,
            standin.temporary_address() as address,
            reporting() as report,
        ):
            command = (sys.executable, "-m", "benchmarks", "stand-in", address)
            async with processes.started(command, {}, Path(folder, "stand-in.log")):
                pid = os.getpid()
                comparison = Comparison(measured, options, Path(folder), address, report, pid)
                async for figure in _all_figures(comparison, sizes, fleet):
                    figures.append(figure)
                    what = f"{figure.what}: {figure.value:.3g} {figure.unit}"
                    report(f"N = {figure.workspaces}", what)
    finally:  # the figures so far, also after an error
        _print_figures(figures, load, output)


async def _all_figures(
    comparison: Comparison, sizes: Sequence[int], fleet: int
) -> AsyncIterator[Figure]:
    recorded = await comparison.record()
    for size in sizes:
        async for figure in comparison.measure(recorded, size):
            yield figure
    if fleet:
        async for figure in comparison.simulate(recorded, fleet):
            yield figure


def _print_figures(figures: Sequence[Figure], load: float, output: str) -> None:
    after = os.getloadavg()[0]
    if output == "json":
        cores = os.cpu_count() or 0
        print(as_json(figures, {"cores": cores, "load_before": load, "load_after": after}))
        return
    print(FIGURES_HEAD)
    for figure in figures:
        print(figure)
    print(f"\n{os.cpu_count()} cores; load before {load:.1f}, after {after:.1f}")


@app.command("null-writer", hidden=True)
def run_null_writer(recording: Path, concurrency: int = 8) -> None:
    """Replay a recording for each resource on standard input."""
    kubeconfig = Path(os.environ["KUBECONFIG"])
    asyncio.run(null_writer.run(Recording.load(recording), kubeconfig, concurrency))


@app.command("stand-in", hidden=True)
def run_stand_in(address: str) -> None:
    """Answer in place of all pods at an address."""
    asyncio.run(standin.serve(address))


def _measure(rows: Callable[[control_plane.Plane], AsyncIterator[Row]]) -> None:
    load = os.getloadavg()[0]
    with control_plane.running(f"bench-{os.getpid()}") as plane:
        asyncio.run(_print(rows(plane)))
    print(f"\n{os.cpu_count()} cores; load before {load:.1f}, after {os.getloadavg()[0]:.1f}")


async def _print(rows: AsyncIterator[Row]) -> None:
    print(HEAD)
    async for row in rows:
        print(row, flush=True)


def main() -> None:
    app()
