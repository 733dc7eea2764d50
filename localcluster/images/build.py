"""All the images that a full cluster needs besides the product's own."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from localcluster.images.base import ensure_base
from localcluster.images.oci import Image
from localcluster.images.openwebui import ensure_openwebui
from localcluster.images.programs import (
    ensure_coredns,
    ensure_local_path_provisioner,
    ensure_ollama_image,
    ensure_pause,
    ensure_traefik,
)
from localcluster.progress import Report

# In the order in which a cluster that starts wants them.
_OWN: Final[tuple[Callable[[Report], Image], ...]] = (
    ensure_pause,
    ensure_base,
    ensure_traefik,
    ensure_ollama_image,
    ensure_openwebui,
)
_FROM_PROGRAMS: Final[Mapping[str, Callable[[Path, Report], Image]]] = {
    "coredns": ensure_coredns,
    "local-path-provisioner": ensure_local_path_provisioner,
}


def ensure_images(report: Report, programs: Mapping[str, Path] | None = None) -> tuple[Image, ...]:
    """Every image, built where its inputs have changed.

    ``programs`` are binaries that others have built, by the names ``coredns`` and
    ``local-path-provisioner``. What downloads and what compiles runs side by side.

    Raises:
        CommandFailedError: one could not be built; the others are kept for the next try.
    """
    given = programs or {}
    with ThreadPoolExecutor(max_workers=3) as pool:
        own = [pool.submit(make, report) for make in _OWN]
        made = [_FROM_PROGRAMS[name](path, report) for name, path in sorted(given.items())]
        return (*(each.result() for each in own), *made)
