"""Volumes of a CSI driver, with snapshots: the upstream provisioner, snapshotter and controller,
and a driver whose volumes are folders, as processes beside the node."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from localcluster.build import binaries, modules, toolchain
from localcluster.progress import silent
from tests.waiting import eventually

DRIVER: Final = "folders.csi.localcluster"
CLASS: Final = "folders"
"""The name of its StorageClass and of its VolumeSnapshotClass."""
SNAPSHOT_GROUP: Final = "snapshot.storage.k8s.io"
SNAPSHOT_KINDS: Final = ("volumesnapshots", "volumesnapshotclasses", "volumesnapshotcontents")
_CLIENT: Final = "github.com/kubernetes-csi/external-snapshotter/client/v8"
_END_SECONDS: Final = 30
# The kubelet gives files to the pod's group: folders are root's.
OBJECTS: Final[tuple[dict[str, Any], ...]] = (
    {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "CSIDriver",
        "metadata": {"name": DRIVER},
        "spec": {"attachRequired": False, "fsGroupPolicy": "File"},
    },
    {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": CLASS},
        "provisioner": DRIVER,
    },
)
SNAPSHOT_CLASS: Final[dict[str, Any]] = {
    "apiVersion": f"{SNAPSHOT_GROUP}/v1",
    "kind": "VolumeSnapshotClass",
    "metadata": {"name": CLASS},
    "driver": DRIVER,
    "deletionPolicy": "Delete",
}


def definitions() -> tuple[Path, ...]:
    """Return the files with the definitions of snapshots' kinds, as their project has them."""
    go = toolchain.ensure(silent)
    folder = modules.folder("csi", _CLIENT, go, silent) / "config" / "crd"
    return tuple(folder / f"{SNAPSHOT_GROUP}_{kind}.yaml" for kind in SNAPSHOT_KINDS)


@contextmanager
def csi_driver(folder: Path, kubelet: Path, kubeconfig: str, node: str) -> Iterator[Path]:
    """Run the driver and what serves it, and yield the folder with their logs.

    `folder` has volumes and snapshots, and `kubelet` is the kubelet's own folder. The definitions
    and `OBJECTS` have to be there.
    """
    plugins = kubelet / "plugins" / DRIVER
    plugins.mkdir(parents=True, exist_ok=True)
    socket = plugins / "csi.sock"
    cluster = (f"--kubeconfig={kubeconfig}", "--v=4")
    commands: dict[str, Sequence[str]] = {
        "folders": (
            f"--folder={folder}",
            f"--socket={socket}",
            f"--registration={kubelet / 'plugins_registry' / f'{DRIVER}-reg.sock'}",
            f"--node={node}",
        ),
        "csi-provisioner": (f"--csi-address={socket}", *cluster),
        "csi-snapshotter": (f"--csi-address={socket}", *cluster),
        "snapshot-controller": cluster,
    }
    logs = folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    programs = {binary.name: binaries.ensure(binary, silent) for binary in binaries.CSI}
    with ExitStack() as stack:
        for name, arguments in commands.items():
            program = programs[name] / name
            process = stack.enter_context(_running([str(program), *arguments], logs / name))
            if name == "folders":
                eventually(
                    lambda: socket.exists() or process.poll() is not None,  # noqa: B023
                    "the driver to listen",
                    story=(logs / name).read_text,
                )
        yield logs


@contextmanager
def _running(command: Sequence[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)  # noqa: S603  (our own)
    try:
        yield process
        assert process.poll() is None, log.read_text()
    finally:
        process.terminate()
        process.wait(_END_SECONDS)
