"""The command line: `python -m benchmarks`."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final, Literal

import typer

from benchmarks import api, controlplane, null_writer, operator, processes, standin, subject
from benchmarks.comparison import STEPS, Comparison, Options
from benchmarks.recording import Recording
from benchmarks.report import FIGURES_HEAD, HEAD, Figure, Row, as_json
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


@app.command("compare")
def bench_compare(  # noqa: PLR0913  (options)
    *,
    sizes: Annotated[
        list[int] | None, typer.Option("-n", "--workspaces", min=1, max=9_000, help="Repeatable.")
    ] = None,
    output: Annotated[Literal["table", "json"], typer.Option("-o", "--output")] = "table",
    fleet: Annotated[
        int, typer.Option(min=0, max=9_000, help="How many to simulate besides; 0 for none.")
    ] = 5_000,
    skip: Annotated[
        list[str] | None, typer.Option(help=f"What not to measure: {', '.join(STEPS)}.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, max=600, help="How long to look at rest.")] = 60,
    concurrency: Annotated[
        int, typer.Option(min=1, max=100, help="How many the null writer works on at once.")
    ] = 8,
    command: Annotated[str, typer.Option(help="Starts another operator, with KUBECONFIG.")] = "",
    manifest: Annotated[
        list[Path] | None, typer.Option(help="What that needs: a file, or a kustomization.")
    ] = None,
    template: Annotated[
        Path | None, typer.Option(help=f"Its resource, with {subject.NAME} for the name.")
    ] = None,
    plural: Annotated[str, typer.Option(help="Of its kind, where no rule gives it.")] = "",
    ready: Annotated[str, typer.Option(help="When a resource is ready.")] = "status.phase=Ready",
    made: Annotated[str, typer.Option(help="When its objects exist; else when ready.")] = "",
    change: Annotated[str, typer.Option(help="JSON that changes a resource's spec.")] = "{}",
) -> None:
    """The operator beside a null writer that sends the same writes: ratios of one run."""
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
                made=made,
                change=change,
            )
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
        steps -= {"change"} if change == "{}" else set()
        steps -= {"pending"} if not made else set()
    _end_in_order()
    options = Options(concurrency, seconds, steps)
    asyncio.run(_compare(measured, options, sizes or _SIZES, fleet, output))


def _end_in_order() -> None:
    """Ctrl-C and SIGTERM end everything that was started; a shell's background jobs, too, which
    start with SIGINT ignored."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


async def _compare(
    operator_: subject.Subject, options: Options, sizes: Sequence[int], fleet: int, output: str
) -> None:
    figures: list[Figure] = []
    load = os.getloadavg()[0]
    try:
        with TemporaryDirectory() as folder, standin.address() as address, reporting() as report:
            command = (sys.executable, "-m", "benchmarks", "stand-in", address)
            async with processes.started(command, {}, Path(folder, "stand-in.log")):
                pid = os.getpid()
                comparison = Comparison(operator_, options, Path(folder), address, report, pid)
                async for figure in _all_figures(comparison, sizes, fleet):
                    figures.append(figure)
                    what = f"{figure.what}: {figure.value:.3g} {figure.unit}"
                    report(f"N = {figure.workspaces}", what)
    finally:  # what is known so far, whatever came between
        _print_figures(figures, load, output)


async def _all_figures(
    comparison: Comparison, sizes: Sequence[int], fleet: int
) -> AsyncIterator[Figure]:
    recorded = await comparison.record()
    for size in sizes:
        async for figure in comparison.measure(recorded, size):
            yield figure
    if fleet:
        async for figure in comparison.simulated(recorded, fleet):
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
    """Write a recording again, for each resource that standard input names."""
    kubeconfig = Path(os.environ["KUBECONFIG"])
    asyncio.run(null_writer.run(Recording.load(recording), kubeconfig, concurrency))


@app.command("stand-in", hidden=True)
def run_stand_in(address: str) -> None:
    """Answer in place of all pods at an address."""
    asyncio.run(standin.serve(address))


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
