"""Build images of compiled programs."""

import shutil
from pathlib import Path
from typing import Final

from localcluster.build import versions
from localcluster.build.images import cache
from localcluster.build.images.base import PATH, ensure_base_layer
from localcluster.build.images.oci import Config, Image, write_layer
from localcluster.build.images.ollama import ensure_ollama
from localcluster.processes import foreground
from localcluster.progress import Report

PAUSE: Final = "docker.io/localcluster/pause:1"
OLLAMA: Final = f"docker.io/ollama/ollama:{versions.OLLAMA}"
_TMP: Final = 0o1777


def ensure_pause(report: Report) -> Image:
    """Return the pause image, which containerd's ``sandbox_image`` names."""
    source = Path(__file__).with_name("pause.c")
    report("pause image", "compiling")

    def make(target: Path) -> None:
        with cache.scratch() as folder:
            command = ["gcc", "-static", "-Os", "-s", "-o", str(folder / "pause"), str(source)]
            foreground.run_or_raise(command, "gcc failed")
            write_layer(folder, target)

    layer = cache.ensure("layers", "pause", cache.key(source), make)
    return cache.ensure_image(PAUSE, [layer], _config("/pause", "65535:65535"))


def ensure_ollama_image(report: Report) -> Image:
    """Return Ollama's image with its official name, command and port."""
    source = ensure_ollama(report)
    base = ensure_base_layer(report)
    report("ollama image", "assembling")
    config = Config(
        entrypoint=("/bin/ollama",),
        command=("serve",),
        environment={"PATH": PATH, "OLLAMA_HOST": "0.0.0.0:11434"},
        ports=("11434/tcp",),
    )
    inputs = cache.key(source.name)
    layer = cache.ensure("layers", "ollama", inputs, lambda target: _pack(source, target))
    return cache.ensure_image(OLLAMA, [base, layer], config)


def _config(path: str, user: str = "") -> Config:
    return Config(entrypoint=(path,), environment={"PATH": PATH}, user=user)


def _pack(source: Path, target: Path) -> None:
    """Pack Ollama below /usr, as in the official image."""
    with cache.scratch() as folder:
        shutil.copytree(source, folder / "usr", symlinks=True)
        (folder / "tmp").mkdir()
        (folder / "tmp").chmod(_TMP)
        write_layer(folder, target)
