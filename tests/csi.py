"""Volumes of a CSI driver, with snapshots: the upstream provisioner, snapshotter and controller,
and a driver whose volumes are folders, as processes of this machine."""

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
_LOGS: Final = "logs"
_END_SECONDS: Final = 30
OBJECTS: Final[tuple[dict[str, Any], ...]] = (
    {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "CSIDriver",
        "metadata": {"name": DRIVER},
        "spec": {"attachRequired": False},
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
def csi_driver(folder: Path, kubeconfig: str) -> Iterator[None]:
    """Run the driver and what serves it; `folder` gets its volumes, its snapshots and their logs.

    The definitions and `OBJECTS` have to be there.
    """
    socket = folder / "csi.sock"
    cluster = (f"--kubeconfig={kubeconfig}", "--v=4")
    commands: dict[str, Sequence[str]] = {
        "folders": (f"--folder={folder}", f"--socket={socket}"),
        "csi-provisioner": (f"--csi-address={socket}", *cluster),
        "csi-snapshotter": (f"--csi-address={socket}", *cluster),
        "snapshot-controller": cluster,
    }
    (folder / _LOGS).mkdir()
    programs = {binary.name: binaries.ensure(binary, silent) for binary in binaries.CSI}
    with ExitStack() as stack:
        for name, arguments in commands.items():
            command = [str(programs[name] / name), *arguments]
            stack.enter_context(_running(command, folder / _LOGS / name))
            eventually(socket.exists, "the driver to listen", story=lambda: story(folder))
        yield


def story(folder: Path) -> str:
    """Return the last words of the driver and of what serves it."""
    logs = sorted((folder / _LOGS).iterdir())
    return "\n".join(f"{log.name}:\n{log.read_text()[-4000:]}" for log in logs)


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
