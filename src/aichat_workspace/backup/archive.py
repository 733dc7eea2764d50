"""One archive per backup: a tar of the data, then the manifest, then the sealed credentials.

It is written and read as a stream. The manifest is after the files, whose checksums it has, and
the seal covers the manifest, so an archive that ends early or was altered can't be taken for a
whole one.
"""

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, Final, cast

from aichat_workspace.backup.data_folder import DataFile, changed_error
from aichat_workspace.backup.errors import ROOM, BackupError, InvalidArchiveError, NoRoomError
from aichat_workspace.backup.manifest import MANIFEST, ArchivedFile, Manifest, read_manifest
from aichat_workspace.backup.sealing import CREDENTIALS, unseal
from aichat_workspace.backup.stores.store import Sink, Source

_DATA: Final = "data/"
_CHUNK_BYTES: Final = 1024 * 1024
# A restore takes 1,400 bytes for a file, beside the seal's 64 MiB, and a run's pod has 512 MiB.
MAX_FILES: Final = 200_000
_MAX_MANIFEST_BYTES: Final = 64 * 1024 * 1024
# A Secret has at most 1 MiB, which is a third more as Base64.
_MAX_SEALED_BYTES: Final = 2 * 1024 * 1024
_FILE_MODE: Final = 0o600

Describe = Callable[[tuple[ArchivedFile, ...]], Manifest]
Seal = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Contents:
    """What a verified archive says beside its files."""

    manifest: Manifest
    credentials: dict[str, str]


def write_archive(sink: Sink, files: Iterable[DataFile], describe: Describe, seal: Seal) -> None:
    """Write the files, what `describe` says of them, and the credentials that `seal` gives.

    Raises BackupError for more than `read_archive` takes; DataChangedError.
    """
    with tarfile.open(fileobj=cast(BinaryIO, sink), mode="w|", format=tarfile.PAX_FORMAT) as tar:
        manifest = describe(tuple([_add(tar, file) for file in _bounded(files)])).to_json()
        _add_bytes(tar, MANIFEST, manifest, _MAX_MANIFEST_BYTES)
        _add_bytes(tar, CREDENTIALS, seal(manifest), _MAX_SEALED_BYTES)


def read_archive(source: Source, passphrase: str, folder: Path | None = None) -> Contents:
    """Verify an archive, and unpack its data into `folder` if there is one.

    What is in `folder` counts only if nothing is raised. Raises InvalidArchiveError, which names
    the file that is torn or altered; WrongPassphraseError, NoRoomError, StoreError.
    """
    files = bytearray()
    parts: dict[str, bytes] = {}
    last = "its beginning"
    try:
        with tarfile.open(fileobj=cast(BinaryIO, source), mode="r|") as tar:
            while member := tar.next():
                _forget_members(tar)
                last = member.name
                content = _content(tar, member)
                if member.name.startswith(_DATA) and not parts:
                    files += _digest(_unpack(member, content, folder))
                elif member.name == MANIFEST and not parts:
                    parts[MANIFEST] = _read_part(member, content, _MAX_MANIFEST_BYTES)
                elif member.name == CREDENTIALS and [*parts] == [MANIFEST]:
                    parts[CREDENTIALS] = _read_part(member, content, _MAX_SEALED_BYTES)
                else:
                    raise InvalidArchiveError(f"{member.name} does not belong there. {_FIX}")
    except tarfile.TarError as error:
        raise InvalidArchiveError(f"the archive is torn at {last}: {error}. {_FIX}") from error
    if CREDENTIALS not in parts:
        raise InvalidArchiveError(f"the archive ends after {last}, so it is torn. {_FIX}")
    manifest = read_manifest(parts[MANIFEST])
    _compare(manifest.files, files)
    return Contents(manifest, unseal(parts[CREDENTIALS], passphrase, parts[MANIFEST]))


_FIX: Final = "Restore another backup"


def _bounded(files: Iterable[DataFile]) -> Iterator[DataFile]:
    for number, file in enumerate(files):
        if number == MAX_FILES:
            raise BackupError(
                f"the data has more than {MAX_FILES} files, and a restore takes no more: delete "
                "documents that nobody needs"
            )
        yield file


def _add(tar: tarfile.TarFile, file: DataFile) -> ArchivedFile:
    info = tarfile.TarInfo(_DATA + file.path)
    info.size, info.mode = file.size_bytes, file.mode
    reader = _HashingReader(file)
    tar.addfile(info, cast(IO[bytes], reader))
    _forget_members(tar)
    return ArchivedFile(
        path=file.path, size_bytes=file.size_bytes, sha256=reader.digest.hexdigest(), mode=file.mode
    )


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes, max_bytes: int) -> None:
    if len(content) > max_bytes:
        raise BackupError(
            f"{name} would have {len(content)} bytes, and a restore takes {max_bytes}: there are "
            "too many files in BACKUP_DATA, or too much in BACKUP_CREDENTIALS"
        )
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), _FILE_MODE
    tar.addfile(info, io.BytesIO(content))


class _HashingReader:
    def __init__(self, file: DataFile) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int) -> bytes:
        """Raises DataChangedError where the file has become shorter."""
        content = self._file.content.read(size)
        if len(content) < size:
            raise changed_error(self._file.path)
        self.digest.update(content)
        return content


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    # A sparse file could be larger than all that is read of it.
    content = tar.extractfile(member) if member.isreg() and not member.issparse() else None
    if content is None:
        raise InvalidArchiveError(f"{member.name} is no regular file. {_FIX}")
    return content


def _read_part(member: tarfile.TarInfo, content: IO[bytes], max_bytes: int) -> bytes:
    if member.size > max_bytes:
        raise InvalidArchiveError(f"{member.name} has {member.size} bytes. {_FIX}")
    return content.read()


def _unpack(member: tarfile.TarInfo, content: IO[bytes], folder: Path | None) -> ArchivedFile:
    digest, path = hashlib.sha256(), member.name.removeprefix(_DATA)
    try:
        entry = ArchivedFile(
            path=path, size_bytes=member.size, sha256=hashlib.sha256().hexdigest(), mode=member.mode
        )
    except ValueError as error:
        raise InvalidArchiveError(f"{member.name} was altered: {error}. {_FIX}") from error
    with _writable(folder, entry) as write:
        while chunk := content.read(_CHUNK_BYTES):
            digest.update(chunk)
            write(chunk)
    return entry.model_copy(update={"sha256": digest.hexdigest()})


@contextmanager
def _writable(folder: Path | None, entry: ArchivedFile) -> Iterator[Callable[[bytes], object]]:
    """Raises BackupError where the folder can't be written."""
    if folder is None:
        yield len
        return
    target = folder / entry.path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            yield file.write
            file.flush()
            os.fchmod(file.fileno(), entry.mode)
            os.fsync(file.fileno())
    except OSError as error:
        kind = NoRoomError if error.errno in ROOM else BackupError
        raise kind(
            f"can't write {entry.path} of the backup: {error.strerror}. See that the chat's volume "
            "is writable and has room for the old data and the new"
        ) from error


def _forget_members(tar: tarfile.TarFile) -> None:
    """Empty the list of all members that it has read or written."""
    tar.members.clear()  # type: ignore[attr-defined]


def _digest(file: ArchivedFile) -> bytes:
    """Return 32 bytes in place of a file's entry: there may be many."""
    return hashlib.sha256(file.model_dump_json().encode()).digest()


def _compare(listed: tuple[ArchivedFile, ...], files: bytearray) -> None:
    """Compare the digests of the files with the manifest, which has them in the same order.

    Raises InvalidArchiveError for the first file that is not as the manifest has it.
    """
    size = hashlib.sha256().digest_size
    for number, file in enumerate(listed):
        if files[number * size : (number + 1) * size] != _digest(file):
            raise InvalidArchiveError(f"{file.path} is missing, or not as it was backed up. {_FIX}")
    if extra := len(files) // size - len(listed):
        raise InvalidArchiveError(f"its last {extra} files are not in the manifest. {_FIX}")
