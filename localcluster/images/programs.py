"""Images with a single program in them."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localcluster import children, versions
from localcluster.errors import CommandFailedError
from localcluster.images import cache
from localcluster.images.base import PATH, ensure_base_layer
from localcluster.images.oci import Config, Image, write_layer
from localcluster.images.ollama import ensure_ollama
from localcluster.paths import PACKAGE
from localcluster.progress import Report

PAUSE: Final = "docker.io/localcluster/pause:1"
OLLAMA: Final = f"docker.io/ollama/ollama:{versions.OLLAMA}"
_TMP: Final = 0o1777


@dataclass(frozen=True)
class Program:
    """A program and where it lies in its image; ``below`` are the layers it stands on."""

    image: str
    source: Path
    path: str
    config: Config
    below: Sequence[Path] = ()


def ensure_pause(report: Report) -> Image:
    """The pause image: what containerd's ``sandbox_image`` must name."""
    source = PACKAGE / "images" / "pause.c"
    report("pause image", "compiling")

    def make(target: Path) -> None:
        with cache.scratch() as folder:
            _run(["gcc", "-static", "-Os", "-s", "-o", str(folder / "pause"), str(source)])
            write_layer(folder, target)

    layer = cache.ensure("layers", "pause", cache.key(source), make)
    return cache.ensure_image(PAUSE, [layer], _alone("/pause", "65535:65535"))


def ensure_ollama_image(report: Report) -> Image:
    """Ollama under its official name, with the official image's way of starting."""
    source = ensure_ollama(report) / "ollama"
    base = ensure_base_layer(report)
    report("ollama image", "assembling")
    config = Config(
        entrypoint=("/bin/ollama",),
        command=("serve",),
        environment={"PATH": PATH, "OLLAMA_HOST": "0.0.0.0:11434"},
        ports=("11434/tcp",),
    )
    return ensure_program(Program(OLLAMA, source, "usr/bin/ollama", config, (base,)))


def ensure_program(program: Program) -> Image:
    """The image of a program, built when the program has changed."""
    slug = Path(program.path).name
    inputs = cache.key(program.path, program.source)
    layer = cache.ensure("layers", slug, inputs, lambda target: _pack(program, target))
    return cache.ensure_image(program.image, [*program.below, layer], program.config)


def _alone(path: str, user: str = "") -> Config:
    return Config(entrypoint=(path,), environment={"PATH": PATH}, user=user)


def _pack(program: Program, target: Path) -> None:
    with cache.scratch() as folder:
        place = folder / program.path
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(program.source, place)
        place.chmod(0o755)
        (folder / "tmp").mkdir()
        (folder / "tmp").chmod(_TMP)
        write_layer(folder, target)


def _run(command: Sequence[str]) -> None:
    result = children.run(command)
    if result.returncode:
        raise CommandFailedError(f"{command[0]} failed:\n{result.stderr[-2000:]}")
