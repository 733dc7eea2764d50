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
FORMAT: Final = "io.aichatworkspaces.bundle-format"
"""The index's annotation with the number of the format; a greater one is not read."""
FORMAT_NUMBER: Final = 1
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
    def _annotations(self) -> dict[str, object]:
        annotations = self._index.get("annotations")
        return annotations if isinstance(annotations, dict) else {}

    @property
    def version(self) -> str:
        """The version of the release."""
        return str(self._annotations.get(VERSION, ""))

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """Its images and models, in their order."""
        manifests = self._index.get("manifests")
        descriptors = map(parse_descriptor, manifests if isinstance(manifests, list) else [])
        try:
            parts = [
                (str(entry.annotations[KIND]), str(entry.annotations[NAME]), entry)
                for entry in descriptors
            ]
        except KeyError as error:
            raise _no_bundle(self.path, f"its index has an entry without {error}") from error
        if unknown := sorted({kind for kind, _, _ in parts} - {*Kind}):
            raise self._too_new(f"it has entries of the kind {', '.join(unknown)}")
        return tuple(Entry(Kind(kind), name, descriptor) for kind, name, descriptor in parts)

    def check(self) -> None:
        """Look whether this program can read it. Raises OciError."""
        number = str(self._annotations.get(FORMAT, ""))
        if not number.isdecimal():
            raise _no_bundle(self.path, f"its index has no {FORMAT}")
        if int(number) > FORMAT_NUMBER:
            raise self._too_new(f"its format is {number}, not {FORMAT_NUMBER}")
        _ = self.entries  # reading them is a part of the look
        # A tar file that is cut between two files looks like a whole one.
        for line in self._read(SUMS).decode(errors="replace").splitlines():
            name = line.partition("  ")[2]
            if name not in self._members:
                raise _absent(self.path, name)

    def _too_new(self, why: str) -> OciError:
        fix = f"use aichatctl {self.version}, of the bundle's release, or a newer one"
        return OciError(f"{self.path} is newer than this aichatctl", why, fix, Cause.INPUT)

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
            raise _absent(self.path, name)
        with file:
            while chunk := self._piece(file):
                yield chunk

    def _piece(self, file: IO[bytes]) -> bytes:
        with _reading(self.path):
            return file.read(_CHUNK_BYTES)


def _absent(path: Path, name: str) -> OciError:
    return OciError(f"{path} has no {name}", "", _COPY_AGAIN, Cause.INPUT)


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
        bundle.check()
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
