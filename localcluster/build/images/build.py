"""Build all images that a full cluster needs besides the product's own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from localcluster.build.images.base import ensure_base
from localcluster.build.images.oci import Image
from localcluster.build.images.openwebui import ensure_openwebui
from localcluster.build.images.programs import ensure_ollama_image, ensure_pause
from localcluster.progress import Report

# In the order in which a starting cluster needs them.
_MAKERS: Final[tuple[Callable[[Report], Image], ...]] = (
    ensure_pause,
    ensure_base,
    ensure_ollama_image,
    ensure_openwebui,
)


def ensure_images(report: Report) -> tuple[Image, ...]:
    """Return all images; those whose inputs have changed are built, in parallel.

    Raises:
        CommandFailedError: an image could not be built; the others stay in the cache.
    """
    with ThreadPoolExecutor(max_workers=len(_MAKERS)) as pool:
        images = [pool.submit(make, report) for make in _MAKERS]
        return tuple(image.result() for image in images)
