"""The command line: `python -m localcluster`."""

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from localcluster import cluster, preflight
from localcluster.build import binaries
from localcluster.build.images.containerfile import build_containerfile
from localcluster.build.images.oci import Image, read_archive
from localcluster.errors import LocalClusterError
from localcluster.processes import foreground
from localcluster.processes.background import is_alive
from localcluster.progress import reporting
from localcluster.registry import catalog
from localcluster.state import FULL

app = typer.Typer(
    help="A real Kubernetes on this machine, built from source packages.",
    no_args_is_help=True,
    add_completion=False,
)
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?")
_TOOLS: Final = {
    "actionlint": binaries.ACTIONLINT,
    **{binary.name: binary for binary in binaries.CSI},
    "dex": binaries.DEX,
    "helm": binaries.HELM,
    "helm3": binaries.HELM_3,
    "kustomize": binaries.KUSTOMIZE,
    "kwok": binaries.KWOK,
    "versitygw": binaries.VERSITYGW,
}


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise typer.BadParameter(
            f"{name!r} can't be a cluster's name; use up to 32 lower-case letters, digits and "
            "hyphens"
        )
    return name


Name = Annotated[
    str,
    typer.Option(
        help="The cluster; control planes run side by side, but only one node.",
        callback=_check_name,
    ),
]
Full = Annotated[bool, typer.Option("--full", help="A node with real pods, too.")]


@app.command()
def up(
    name: Name = "default",
    full: Full = False,
    simulated_pods: Annotated[
        str, typer.Option(help="Simulate nodes with KWOK; all their pods have this address.")
    ] = "",
    audit_bodies: Annotated[
        bool, typer.Option("--audit-bodies", help="Keep what is written in the audit log.")
    ] = False,
    without_pods: Annotated[
        bool, typer.Option("--without-pods", help="Make no pods for Deployments and StatefulSets.")
    ] = False,
) -> None:
    """Start a control plane: etcd, API server and controller manager; or a whole node."""
    if full and simulated_pods:
        raise typer.BadParameter("a node is real or simulated; leave out one of the options")
    if without_pods and (full or simulated_pods):
        raise typer.BadParameter("a node is for pods; leave out --without-pods")
    with reporting() as report:
        record = cluster.up(
            name,
            report,
            full=full,
            simulated_pods=simulated_pods,
            audit_bodies=audit_bodies,
            without_pods=without_pods,
        )
    print(f"cluster {name!r} is ready\n")
    print(f"  export PATH={sysconfig.get_path('scripts')}:$PATH  # kubectl")
    print(f"  export KUBECONFIG={record.kubeconfig}")


@app.command()
def down(name: Name = "default") -> None:
    """Stop a cluster and remove all its files and networks."""
    with reporting() as report:
        existed = cluster.down(name, report)
    print(f"cluster {name!r} is gone" if existed else f"there was no cluster {name!r}")


@app.command()
def status(
    name: Name = "default",
    output: Annotated[str, typer.Option("-o", "--output", help="table or json")] = "table",
) -> None:
    """Show the components, and how to reach the cluster."""
    record = cluster.get(name)
    if output == "json":
        print(json.dumps(record.report(), indent=2))
        return
    components = Table("component", "pid", "state")
    for component in record.components:
        running = "running" if is_alive(component) else "stopped"
        components.add_row(component.name, str(component.pid), running)
    Console().print(components)
    if record.mode == FULL:
        models = Table("model", "what answers behind this name")
        for entry in catalog.report():
            models.add_row(entry["name"], f"{entry['weights']} ({entry['model']})")
        Console().print(models)
    print(f"logs in {record.folder / 'logs'}")
    print(f"export KUBECONFIG={record.kubeconfig}")


@app.command()
def logs(
    component: Annotated[str, typer.Argument(help="for example kube-apiserver")],
    name: Name = "default",
    follow: Annotated[bool, typer.Option(help="Keep printing new lines.")] = False,
) -> None:
    """Print a component's log."""
    paths = {process.name: Path(process.log) for process in cluster.get(name).components}
    if component not in paths:
        raise LocalClusterError(f"no component {component!r}; there are: {', '.join(paths)}")
    if follow:
        subprocess.run(["tail", "-n", "100", "-f", paths[component]], check=False)
    else:
        with paths[component].open() as log:
            shutil.copyfileobj(log, sys.stdout)


@app.command()
def build(full: Full = False) -> None:
    """Build all that `up` needs, so that it starts at once."""
    with reporting() as report:
        cluster.build(report, full=full)


@app.command()
def clean(
    days: Annotated[int, typer.Option(min=0, help="How long an entry was not used.")] = 7,
) -> None:
    """Remove cache entries that were not used for some days."""
    print(f"freed {cluster.clean(days) / 10**6:.0f} MB")


@app.command()
def install(
    further: Annotated[list[str] | None, typer.Argument(help="packages to install besides")] = None,
    name: Name = "default",
) -> None:
    """Install the Debian packages that a full cluster needs and this machine lacks."""
    cluster.install(name, further or ())


@app.command()
def tool(name: Annotated[str, typer.Argument(help=f"one of: {', '.join(_TOOLS)}")]) -> None:
    """Build a tool if the cache has none, and print its folder."""
    if name not in _TOOLS:
        raise LocalClusterError(f"no tool {name!r}; there are: {', '.join(_TOOLS)}")
    preflight.check_for_tools()
    with reporting() as report:
        folder = binaries.ensure(_TOOLS[name], report)
    print(folder)


@app.command()
def tag(
    image: Annotated[str, typer.Argument(help="an image of the node")],
    further: Annotated[str, typer.Argument(help="its further name")],
    name: Name = "default",
) -> None:
    """Give an image of a full cluster's node a further name."""
    cluster.tag(name, image, further)


@app.command()
def image(
    tag: Annotated[str, typer.Argument(help="the image's full name")],
    name: Name = "default",
    file: Annotated[Path, typer.Option(help="the Containerfile")] = Path("Containerfile"),
    context: Annotated[Path, typer.Option(help="the folder that it may copy from")] = Path(),
    load: Annotated[bool, typer.Option(help="Give it to the node.")] = True,
) -> None:
    """Build a Containerfile on the local base image and give it to a full cluster's node, or print
    its archive for `load`."""
    with reporting() as report:
        built = build_containerfile(file, context, tag, report)
    if load:
        _load(name, built)
    else:
        print(built.archive)


@app.command()
def load(
    archive: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="what `image --no-load` printed")
    ],
    name: Name = "default",
) -> None:
    """Give a full cluster's node an image that is built."""
    try:
        built = read_archive(archive)
    except (tarfile.TarError, KeyError) as error:
        raise LocalClusterError(
            f"{archive} is no image's archive; `image --no-load` prints the name of one"
        ) from error
    _load(name, built)


def _load(name: str, built: Image) -> None:
    cluster.load(name, built.archive)
    print(f"cluster {name!r} has {built.name}@{built.digest}")


def main() -> None:
    foreground.run_app(app)
