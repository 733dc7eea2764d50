"""The local cluster's folders. Only this module reads its environment variables."""

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
GO_MODULES = PROJECT / "localcluster" / "go"


def cache_dir() -> Path:
    """Return the folder of binaries, images and toolchains, which may be deleted at any time."""
    return Path(os.environ.get("LOCALCLUSTER_CACHE") or Path.home() / ".cache" / "localcluster")


def states_dir() -> Path:
    """Return the folder with one state folder per cluster."""
    return Path(os.environ.get("LOCALCLUSTER_STATE") or "/var/lib/localcluster")


def state_dir(name: str) -> Path:
    """Return the folder of one cluster: keys, data, logs, process records."""
    return states_dir() / name


def provided_dir() -> Path | None:
    """Return the folder of installed programs, or None.

    Our own variable comes first, then envtest's (https://book.kubebuilder.io/reference/envtest).
    """
    folder = os.environ.get("LOCALCLUSTER_PROGRAMS") or os.environ.get("KUBEBUILDER_ASSETS")
    return Path(folder) if folder else None


def kubernetes_release() -> str:
    """Return the release of control planes, as 1.30; empty for that of nodes."""
    return os.environ.get("LOCALCLUSTER_KUBERNETES", "")
