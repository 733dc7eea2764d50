"""Compose the operator's image of each architecture from Debian packages and locked wheels.

Three layers: Debian, the Python packages, the product. The first two change seldom, so that nodes
pull only the last. What the Containerfile does for people with a registry, this does without one.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aichat_workspace.domain import names
from localcluster.build.images.oci import (
    Config,
    Image,
    PlatformImage,
    compress_layer,
    write_images,
    write_layer,
)
from localcluster.progress import Report
from release import debian, elf, python_packages, rootfs
from release.errors import ReleaseError
from release.source import Source

_ENVIRONMENT: Final = {
    "PATH": "/usr/local/bin:/usr/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
}


@dataclass(frozen=True)
class Images:
    """The archives of an image."""

    by_architecture: Mapping[str, Image]
    everywhere: Image
    """All architectures in one, as it is pushed."""


@dataclass(frozen=True)
class Roots:
    """The folders that become the layers of an image for one architecture."""

    architecture: str
    debian: Path
    packages: Path
    product: Path

    @property
    def layers(self) -> tuple[Path, ...]:
        """Return them in the order of their layers."""
        return self.debian, self.packages, self.product


def file_name(version: str, architecture: str = "") -> str:
    """Return the name of an archive in the release."""
    middle = f"-{architecture}" if architecture else ""
    return f"{names.OPERATOR}-{version}{middle}.oci.tar"


def build(
    source: Source, wheel: Path, name: str, folder: Path, cache: Path, report: Report
) -> Images:
    """Build the image twice, and return its archives in ``folder``.

    ``name`` is the image's full name with its tag; ``cache`` is the release's own, of wheels.

    Raises:
        ReleaseError: the two are not the same.
        CommandFailedError: a part can't be had or unpacked.
    """
    first = _build(source, wheel, name, folder / "first", cache, report)
    second = _build(source, wheel, name, folder / "second", cache, report)
    if first.everywhere.digest != second.everywhere.digest:
        raise ReleaseError(
            f"two builds of the image differ: {first.everywhere.digest} and "
            f"{second.everywhere.digest}; compare their layers in {folder}"
        )
    shutil.rmtree(folder / "second")
    return first


def _build(
    source: Source, wheel: Path, name: str, folder: Path, cache: Path, report: Report
) -> Images:
    builder = python_packages.builder()
    roots: dict[str, Roots] = {}
    # This machine's first: its interpreter compiles for all.
    for architecture in sorted(debian.ARCHITECTURES, key=builder.__ne__):
        report("image", f"unpacking for {architecture}")
        roots[architecture] = lay_out(wheel, architecture, folder / architecture, cache, report)
    for architecture in debian.ARCHITECTURES:
        report("image", f"compiling for {architecture}")
        _finish(roots[architecture], roots[builder].debian)
    for architecture in debian.ARCHITECTURES:
        for root in roots[architecture].layers:
            rootfs.set_modes(root)
    images = {
        architecture: _pack(roots[architecture], source, name, folder, report)
        for architecture in debian.ARCHITECTURES
    }
    archives = {
        architecture: write_images(folder / file_name(source.version, architecture), name, [image])
        for architecture, image in images.items()
    }
    everywhere = write_images(folder / file_name(source.version), name, [*images.values()])
    return Images(archives, everywhere)


def lay_out(wheel: Path, architecture: str, folder: Path, cache: Path, report: Report) -> Roots:
    """Unpack and install all files of the image for an architecture.

    ``cache`` is the release's own, of downloaded wheels.
    """
    roots = Roots(architecture, folder / "debian", folder / "packages", folder / "product")
    for root in roots.layers:
        root.mkdir(parents=True)
    rootfs.unpack(debian.download(architecture, report), roots.debian)
    locked = ("--require-hashes", "-r", python_packages.REQUIREMENTS)
    python_packages.install(roots.packages, architecture, locked, cache)
    python_packages.install(roots.product, architecture, [wheel], cache)
    python_packages.write_scripts(roots.product, names.OPERATOR)
    return roots


def _finish(roots: Roots, interpreter: Path) -> None:
    python_packages.compile_all([roots.debian / rootfs.LIBRARY], roots.debian, interpreter)
    for root in (roots.packages, roots.product):
        python_packages.compile_all([root / python_packages.PACKAGES_FOLDER], root, interpreter)
    elf.check(roots.layers, roots.architecture)


def _pack(roots: Roots, source: Source, name: str, folder: Path, report: Report) -> PlatformImage:
    layers = []
    for root in roots.layers:
        report("image", f"packing {root.name} for {roots.architecture}")
        plain = write_layer(root, folder / f"{roots.architecture}-{root.name}.tar")
        layers.append(compress_layer(plain, plain.with_suffix(".tar.gz")))
        plain.unlink()
    return PlatformImage(tuple(layers), config(source, name, roots.architecture))


def config(source: Source, name: str, architecture: str) -> Config:
    """Return how a container starts: as the Containerfile's does."""
    return Config(
        command=(names.OPERATOR,),
        environment=_ENVIRONMENT,
        user=f"{rootfs.USER}:{rootfs.USER}",
        architecture=architecture,
        labels={
            f"org.opencontainers.image.{label}": value
            for label, value in {
                "title": names.OPERATOR,
                "version": source.version,
                "revision": source.commit,
                "licenses": "Apache-2.0",
                "ref.name": name,
            }.items()
        },
    )
