"""Where the local cluster keeps and finds files. The only module that reads the variables."""

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
PROJECT = PACKAGE.parent
GO_MODULES = PACKAGE / "go"


def cache_dir() -> Path:
    """What may be deleted at any time and is made again: binaries, images, toolchains."""
    return Path(os.environ.get("LOCALCLUSTER_CACHE") or Path.home() / ".cache" / "localcluster")


def states_dir() -> Path:
    """The folder with one state folder per cluster."""
    return Path(os.environ.get("LOCALCLUSTER_STATE") or "/var/lib/localcluster")


def state_dir(name: str) -> Path:
    """Everything that belongs to the cluster of this name: keys, data, logs, process records."""
    return states_dir() / name


def provided_dir() -> Path | None:
    """The folder of programs that are there already: our own variable, else the one by which
    envtest's programs are found (https://book.kubebuilder.io/reference/envtest)."""
    named = os.environ.get("LOCALCLUSTER_PROGRAMS") or os.environ.get("KUBEBUILDER_ASSETS")
    return Path(named) if named else None
