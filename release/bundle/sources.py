"""Where a bundle's images and models come from: archives in folders, or a registry."""

import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from aichat_workspace.foundation.image_names import ImageName, parse_image
from aichat_workspace.oci.client import Registry
from aichat_workspace.oci.documents import (
    NAME,
    Descriptor,
    Manifest,
    parse_descriptor,
    parse_document,
    parse_manifest,
)
from aichat_workspace.oci.errors import OciError
from release.errors import ReleaseError

_CONTAINERD_NAME: Final = "io.containerd.image.name"
_CHUNK_BYTES: Final = 1 << 20


class Source(Protocol):
    """Where one image or model is. Methods raise OciError."""

    def root(self) -> Manifest:
        """Return its manifest or index."""

    def manifest(self, descriptor: Descriptor) -> Manifest:
        """Return a manifest that the index names."""

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        """Read a blob; who reads it verifies it."""


@dataclass(frozen=True)
class RegistrySource:
    """An image or a model in a registry."""

    registry: Registry
    name: ImageName

    def root(self) -> Manifest:
        """Return its manifest or index."""
        return self.registry.manifest(self.name.repository, self.name.reference)

    def manifest(self, descriptor: Descriptor) -> Manifest:
        """Return a manifest that the index names."""
        return self.registry.manifest(self.name.repository, descriptor.digest)

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        """Read a blob."""
        return self.registry.blob(self.name.repository, descriptor.digest)


@dataclass(frozen=True)
class ArchiveSource:
    """An image in an OCI archive."""

    path: Path
    archive: tarfile.TarFile
    descriptor: Descriptor

    def root(self) -> Manifest:
        """Return its manifest or index."""
        return self.manifest(self.descriptor)

    def manifest(self, descriptor: Descriptor) -> Manifest:
        """Return a manifest that the index names."""
        return parse_manifest(b"".join(self.blob(descriptor)), descriptor.media_type)

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        """Read a blob."""
        try:
            file = self.archive.extractfile(f"blobs/{descriptor.digest.replace(':', '/')}")
        except KeyError as error:
            raise OciError(f"{self.path} has no blob {descriptor.digest}") from error
        assert file is not None, self.path  # noqa: S101
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def read_archives(folders: Sequence[Path], stack: ExitStack) -> dict[str, ArchiveSource]:
    """Return the images of all OCI archives (``*.tar``) in folders, by their full names.

    An archive with more architectures of an image comes before one with fewer. ``stack`` closes
    the files.

    Raises:
        ReleaseError: a folder has no archive.
    """
    sources: dict[str, ArchiveSource] = {}
    for folder in folders:
        named = [
            (name, source)
            for path in sorted(folder.glob("*.tar"))
            for name, source in _images_of(path, stack)
        ]
        if not named:
            raise ReleaseError(f"{folder} has no OCI archive (*.tar) with a named image")
        for name, source in named:
            if name not in sources or source.descriptor.is_index:
                sources[name] = source
    return sources


def _images_of(path: Path, stack: ExitStack) -> Iterator[tuple[str, ArchiveSource]]:
    try:
        archive = stack.enter_context(tarfile.open(path))  # noqa: SIM115
        index = archive.extractfile("index.json")
    except (tarfile.ReadError, KeyError):
        return  # another kind of tar file
    assert index is not None, path  # noqa: S101
    for entry in parse_document(index.read()).get("manifests", []):
        if name := _name_of(entry.get("annotations") or {}):
            descriptor = parse_descriptor(entry)
            yield str(parse_image(name)), ArchiveSource(path, archive, descriptor)


def _name_of(annotations: Mapping[str, Any]) -> str:
    """Return an image's full name; empty where the archive has only a tag, as docker writes it."""
    name = str(annotations.get(_CONTAINERD_NAME) or annotations.get(NAME) or "")
    return name if "/" in name else ""
