"""Write the bundle's file: the same content gives the same bytes."""

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from aichat_workspace.oci.bundle import FILES, FORMAT, FORMAT_NUMBER, INDEX, LAYOUT, SUMS, VERSION
from aichat_workspace.oci.documents import OCI_INDEX, encode
from localcluster.build.images.oci import EPOCH
from release.bundle.collection import Blob, Collected

Progress = Callable[[int, int], None]
"""Takes the bytes that are written, and those of all blobs."""


def write(
    target: Path,
    version: str,
    items: Sequence[Collected],
    files: Mapping[str, Path],
    progress: Progress,
) -> str:
    """Write a bundle, whole or not at all, and return its SHA-256.

    Each blob is in it once, in the order of the digests, and read only now.

    Raises:
        OciError: a source breaks off, or has another content than its digest says.
    """
    partial = target.with_name(f"{target.name}.partial")
    blobs = {blob.descriptor.digest: blob for item in items for blob in item.blobs}
    documents = {
        LAYOUT: encode({"imageLayoutVersion": "1.0.0"}),
        INDEX: encode(
            {
                "schemaVersion": 2,
                "mediaType": OCI_INDEX,
                "manifests": [item.entry.descriptor.document() for item in items],
                "annotations": {VERSION: version, FORMAT: str(FORMAT_NUMBER)},
            }
        ),
    }
    contents = documents | {f"{FILES}{name}": path.read_bytes() for name, path in files.items()}
    contents[SUMS] = _sums(contents, blobs)
    try:
        with tarfile.open(partial, "w", format=tarfile.GNU_FORMAT) as archive:
            for name, content in contents.items():
                _add(archive, name, len(content), io.BytesIO(content))
            total = sum(blob.descriptor.size for blob in blobs.values())
            done = 0
            for _, blob in sorted(blobs.items()):
                _add_blob(archive, blob)
                done += blob.descriptor.size
                progress(done, total)
        partial.rename(target)
    finally:
        partial.unlink(missing_ok=True)
    with target.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sums(contents: Mapping[str, bytes], blobs: Mapping[str, Blob]) -> bytes:
    """Return the list of all files, for `sha256sum --check`."""
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    sums |= {_path(digest): digest.removeprefix("sha256:") for digest in sorted(blobs)}
    return "".join(f"{digest}  {name}\n" for name, digest in sums.items()).encode()


def _path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


class _Stream(io.RawIOBase):
    """A file of pieces that come one after the other."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._rest = chunks, b""

    def read(self, size: int = -1) -> bytes:
        """Return that many bytes, fewer only at the end."""
        pieces, missing = [], size
        while missing > 0:
            chunk = self._rest or next(self._chunks, b"")
            if not chunk:
                break
            pieces.append(chunk[:missing])
            self._rest = chunk[missing:]
            missing -= len(pieces[-1])
        return b"".join(pieces)


def _add_blob(archive: tarfile.TarFile, blob: Blob) -> None:
    chunks = blob.open()
    _add(archive, _path(blob.descriptor.digest), blob.descriptor.size, _Stream(chunks))
    for _ in chunks:  # the digest is compared at the end
        pass


def _add(archive: tarfile.TarFile, name: str, size: int, file: io.RawIOBase | io.BytesIO) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = size, EPOCH, 0o644
    archive.addfile(member, file)
