"""The bundle for a site without internet: one tar file, laid out as an OCI image layout.

``index.json`` names images and models, ``blobs/sha256/`` has each blob once, ``files/`` has what
people apply, and ``SHA256SUMS`` lists all of it for ``sha256sum --check``.
https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

import tarfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import IO, Final

from aichat_workspace.oci.client import verified
from aichat_workspace.oci.documents import (
    NAME,
    Descriptor,
    Manifest,
    parse_descriptor,
    parse_document,
    parse_manifest,
)
from aichat_workspace.oci.errors import Cause, OciError

KIND: Final = "io.aichatworkspaces.kind"
"""The annotation that says what an entry is."""
VERSION: Final = "org.opencontainers.image.version"
"""The index's annotation with the version of the release."""
LAYOUT: Final = "oci-layout"
INDEX: Final = "index.json"
SUMS: Final = "SHA256SUMS"
FILES: Final = "files/"
_CHUNK_BYTES: Final = 1 << 20
_COPY_AGAIN: Final = "copy the bundle again, and compare its SHA-256 with the one that came with it"


class Kind(StrEnum):
    """What an entry of a bundle is."""

    OPERATOR = "operator"
    """The image of the operator and the API."""
    IMAGE = "image"
    """An image that workspaces run."""
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Entry:
    """An image or a model of a bundle."""

    kind: Kind
    name: str
    """Its full name where it came from."""
    descriptor: Descriptor


@dataclass(frozen=True)
class Bundle:
    """A bundle that is open. Methods raise OciError for content that is altered or missing."""

    path: Path
    _archive: tarfile.TarFile
    _members: Mapping[str, tarfile.TarInfo]

    @cached_property
    def _index(self) -> dict[str, object]:
        return parse_document(self._read(INDEX))

    @property
    def version(self) -> str:
        """The version of the release."""
        annotations = self._index.get("annotations")
        return str(annotations.get(VERSION, "")) if isinstance(annotations, dict) else ""

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """Its images and models, in their order."""
        manifests = self._index.get("manifests")
        descriptors = map(parse_descriptor, manifests if isinstance(manifests, list) else [])
        try:
            return tuple(
                Entry(Kind(descriptor.annotations[KIND]), descriptor.annotations[NAME], descriptor)
                for descriptor in descriptors
            )
        except (KeyError, ValueError) as error:
            raise _no_bundle(self.path, f"its index has an entry without a known {KIND}") from error

    @property
    def files(self) -> dict[str, int]:
        """The sizes of the files that people apply, in bytes, by their names."""
        return {
            name.removeprefix(FILES): member.size
            for name, member in self._members.items()
            if name.startswith(FILES)
        }

    def manifest(self, entry: Entry, descriptor: Descriptor) -> Manifest:
        """Return a manifest or an index of an entry."""
        content = b"".join(self.chunks(entry, descriptor))
        return parse_manifest(content, descriptor.media_type)

    def blobs(self, entry: Entry) -> dict[str, Descriptor]:
        """Return all that an entry is made of, itself included, by digest."""
        blobs: dict[str, Descriptor] = {}
        waiting = [entry.descriptor]
        while waiting:
            descriptor = waiting.pop()
            blobs[descriptor.digest] = descriptor
            if descriptor.is_index or descriptor.is_manifest:
                waiting += self.manifest(entry, descriptor).parts
        return blobs

    def platforms(self, entry: Entry) -> tuple[str, ...]:
        """Return the platforms of an image, as linux/amd64; none for what has no index."""
        if not entry.descriptor.is_index:
            return ()
        parts = self.manifest(entry, entry.descriptor).parts
        return tuple(
            f"{part.platform.get('os')}/{part.platform.get('architecture')}"
            for part in parts
            if part.platform.get("os") not in (None, "unknown")
        )

    def chunks(self, entry: Entry, blob: Descriptor) -> Iterator[bytes]:
        """Read a blob, which is verified."""
        what = f"{blob.digest} of {entry.name} is altered in {self.path}"
        name = f"blobs/{blob.digest.replace(':', '/')}"
        member = self._members.get(name)
        if member and member.size != blob.size:
            why = f"it has {member.size} bytes, not {blob.size}"
            raise OciError(what, why, _COPY_AGAIN, Cause.INPUT)
        try:
            yield from verified(self._chunks(name), blob, what)
        except OciError as error:
            error.fix, error.cause = _COPY_AGAIN, Cause.INPUT
            raise

    def _read(self, name: str) -> bytes:
        return b"".join(self._chunks(name))

    def _chunks(self, name: str) -> Iterator[bytes]:
        member = self._members.get(name)
        file: IO[bytes] | None = self._archive.extractfile(member) if member else None
        if file is None:
            raise OciError(
                f"{self.path} has no {name}", "", "copy or build the bundle again", Cause.INPUT
            )
        with file:
            while chunk := self._piece(file):
                yield chunk

    def _piece(self, file: IO[bytes]) -> bytes:
        with _reading(self.path):
            return file.read(_CHUNK_BYTES)


def _no_bundle(path: Path, why: str) -> OciError:
    return OciError(
        f"{path} is no bundle", why, "name a file that `make bundle` wrote", Cause.INPUT
    )


@contextmanager
def open_bundle(path: Path) -> Iterator[Bundle]:
    """Open a bundle until the block ends.

    Raises:
        OciError: it can't be read, is no bundle, or ends before its end.
    """
    with ExitStack() as stack:
        with _reading(path):
            archive = stack.enter_context(tarfile.open(path, "r:"))
            bundle = Bundle(path, archive, {member.name: member for member in archive})
        if not bundle.entries and not bundle.version:
            raise _no_bundle(path, "its index has no version")
        yield bundle


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise OciError(f"{path} can't be read", why, "", Cause.INPUT) from error
    except tarfile.ReadError as error:
        raise OciError(
            f"{path} is no bundle, or only a part of one", str(error), _COPY_AGAIN, Cause.INPUT
        ) from error
