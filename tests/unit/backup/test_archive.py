"""Archives: what is torn or altered is refused by name."""

import io
import tarfile
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aichat_workspace.backup.archive import read_archive, write_archive
from aichat_workspace.backup.data_folder import DataFile
from aichat_workspace.backup.errors import BackupError, DataChangedError, InvalidArchiveError
from aichat_workspace.backup.manifest import MANIFEST, ArchivedFile, Manifest, Versions
from aichat_workspace.backup.sealing import CREDENTIALS as SEALED
from aichat_workspace.backup.sealing import seal
from aichat_workspace.backup.stores.volume import VolumeStore
from tests.chat_data import CREDENTIALS, WORKSPACE

PASSPHRASE = "a passphrase of the team"
FILES = {"webui.db": b"chats" * 1000, "uploads/report.pdf": b"%PDF", "uploads/empty": b""}


def describe(files: tuple[ArchivedFile, ...]) -> Manifest:
    return Manifest(
        name="20261130T030000Z-00000001",
        created=datetime(2026, 11, 30, 3, tzinfo=UTC),
        workspace=WORKSPACE,
        versions=Versions(open_webui="open-webui:v1", operator="1.0.0"),
        files=files,
    )


def data_file(path: str, content: bytes) -> DataFile:
    return DataFile(path, len(content), 0o640, io.BytesIO(content))


def archive(files: dict[str, bytes] = FILES, passphrase: str = PASSPHRASE) -> bytes:
    sink = io.BytesIO()
    write_archive(
        sink,
        [data_file(path, content) for path, content in files.items()],
        describe,
        lambda manifest: seal(CREDENTIALS, passphrase, manifest),
    )
    return sink.getvalue()


ARCHIVE = archive()


def rewritten(change: dict[str, bytes | None], **added: bytes) -> bytes:
    """The archive with other contents of its files, or without those that are None."""
    target = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(ARCHIVE)) as old,
        tarfile.open(fileobj=target, mode="w") as new,
    ):
        for member in old:
            file = old.extractfile(member)
            assert file
            content = change.get(member.name, file.read())
            if content is not None:
                add(new, member.name, content)
        for name, content in added.items():
            add(new, name, content)
    return target.getvalue()


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o640
    tar.addfile(info, io.BytesIO(content))


def test_an_archive_gives_back_what_was_written(tmp_path: Path) -> None:
    contents = read_archive(io.BytesIO(ARCHIVE), PASSPHRASE, tmp_path)
    assert contents.credentials == CREDENTIALS
    assert contents.manifest.workspace == WORKSPACE
    unpacked = {path: (tmp_path / path).read_bytes() for path in FILES}
    assert unpacked == FILES
    assert (tmp_path / "webui.db").stat().st_mode & 0o777 == 0o640


def test_an_archive_is_verified_without_being_unpacked() -> None:
    assert [file.path for file in read_archive(io.BytesIO(ARCHIVE), PASSPHRASE).manifest.files] == [
        *FILES
    ]


@given(st.integers(0, len(ARCHIVE.rstrip(b"\0")) - 1))
def test_a_torn_archive_is_refused(size: int) -> None:
    with pytest.raises(InvalidArchiveError, match=r"torn|can't be read"):
        read_archive(io.BytesIO(ARCHIVE[:size]), PASSPHRASE)


def test_a_torn_archive_is_refused_with_the_name_of_its_file() -> None:
    place = ARCHIVE.index(b"chats" * 100) + 50
    with pytest.raises(InvalidArchiveError, match=r"torn at data/webui\.db"):
        read_archive(io.BytesIO(ARCHIVE[:place]), PASSPHRASE)


@settings(max_examples=40)
@given(st.integers(0, len(ARCHIVE) - 1), st.integers(1, 255))
def test_an_altered_byte_is_refused_or_in_none_of_the_files(place: int, flip: int) -> None:
    altered = bytearray(ARCHIVE)
    altered[place] ^= flip
    try:
        contents = read_archive(io.BytesIO(bytes(altered)), PASSPHRASE)
    except InvalidArchiveError:
        return
    assert contents == read_archive(io.BytesIO(ARCHIVE), PASSPHRASE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data/webui.db": b"CHATS" * 1000}, r"webui\.db is missing, or not as it was backed up"),
        ({"data/uploads/report.pdf": None}, r"uploads/report\.pdf is missing"),
        ({MANIFEST: b"{}"}, r"manifest\.json can't be read"),
        ({MANIFEST: b"not JSON"}, r"manifest\.json can't be read"),
        ({SEALED: b"{}"}, r"credentials\.sealed can't be read"),
        ({SEALED: None}, r"ends after manifest\.json, so it is torn"),
        ({MANIFEST: None}, r"credentials\.sealed does not belong there"),
    ],
)
def test_an_altered_archive_is_refused_with_the_name_of_its_file(
    change: dict[str, bytes | None], message: str
) -> None:
    with pytest.raises(InvalidArchiveError, match=message):
        read_archive(io.BytesIO(rewritten(change)), PASSPHRASE)


def test_a_forged_manifest_is_refused() -> None:
    """Who has no passphrase can make all checksums right, but not the seal."""
    forged = archive({**FILES, "webui.db": b"FORGED"}, passphrase="of somebody else")
    with pytest.raises(
        InvalidArchiveError, match=r"manifest\.json or credentials\.sealed was alter"
    ):
        read_archive(io.BytesIO(forged), PASSPHRASE)


def test_what_follows_the_manifest_is_refused() -> None:
    with pytest.raises(InvalidArchiveError, match="data/late does not belong there"):
        read_archive(io.BytesIO(rewritten({}, **{"data/late": b""})), PASSPHRASE)


@pytest.mark.parametrize("path", ["../out", "/etc/passwd", "a/../../out", "a//b", "."])
def test_no_file_leaves_the_folder(path: str, tmp_path: Path) -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        add(tar, f"data/{path}", b"content")
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(InvalidArchiveError, match="was altered"):
        read_archive(io.BytesIO(target.getvalue()), PASSPHRASE, folder)
    assert [*tmp_path.rglob("*")] == [folder]


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE]
)
def test_only_regular_files_are_unpacked(kind: bytes, tmp_path: Path) -> None:
    target, info = io.BytesIO(), tarfile.TarInfo("data/link")
    info.type, info.linkname = kind, "/etc/passwd"
    with tarfile.open(fileobj=target, mode="w") as tar:
        tar.addfile(info)
    with pytest.raises(InvalidArchiveError, match="data/link is no regular file"):
        read_archive(io.BytesIO(target.getvalue()), PASSPHRASE, tmp_path)


def test_a_volume_that_can_not_be_written_is_no_fault_of_the_archive(tmp_path: Path) -> None:
    (tmp_path / "webui.db").mkdir()
    with pytest.raises(BackupError, match=r"can't write webui\.db of the backup") as refusal:
        read_archive(io.BytesIO(ARCHIVE), PASSPHRASE, tmp_path)
    assert not isinstance(refusal.value, InvalidArchiveError)


def test_a_file_that_becomes_shorter_while_it_is_archived_is_an_error() -> None:
    file = DataFile("uploads/a", 100, 0o640, io.BytesIO(b"short"))
    with pytest.raises(DataChangedError, match="uploads/a changed"):
        write_archive(io.BytesIO(), [file], describe, lambda _: b"")


@pytest.mark.parametrize("limit", ["_MAX_MANIFEST_BYTES", "_MAX_SEALED_BYTES"])
def test_what_no_restore_would_take_is_not_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: str
) -> None:
    monkeypatch.setattr(f"aichat_workspace.backup.archive.{limit}", 100)
    store = VolumeStore(tmp_path)
    with (
        pytest.raises(BackupError, match=r"would have .* bytes, and a restore takes 100"),
        store.create("a") as sink,
    ):
        write_archive(sink, [data_file("a", b"a")], describe, lambda _: b"sealed" * 100)
    assert store.objects() == ()


def test_the_largest_secret_that_there_can_be_is_restored() -> None:
    credentials = {"KEY": "k" * 1024 * 1024}
    sink = io.BytesIO()
    write_archive(sink, [], describe, lambda text: seal(credentials, PASSPHRASE, text))
    assert read_archive(io.BytesIO(sink.getvalue()), PASSPHRASE).credentials == credentials


class Zeros(io.RawIOBase):
    """A large file."""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return b"\0" * size


class Nowhere:
    def write(self, content: bytes, /) -> int:
        return len(content)


def test_memory_does_not_grow_with_the_data() -> None:
    size = 64 * 1024 * 1024
    file = DataFile("uploads/large", size, 0o640, Zeros())  # type: ignore[arg-type]
    tracemalloc.start()
    write_archive(Nowhere(), [file], describe, lambda _: b"")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < size / 16


def test_more_files_than_a_restore_takes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aichat_workspace.backup.archive.MAX_FILES", len(FILES))
    archive()
    with pytest.raises(BackupError, match="has more than 3 files, and a restore takes no more"):
        archive({**FILES, "uploads/one-more": b""})


def test_a_file_takes_little_memory_in_a_restore() -> None:
    files = {
        f"uploads/3f2a7c1e-0000-0000-0000-{number:012}_report.pdf": b"" for number in range(4000)
    }
    content = archive(files)
    tracemalloc.start()
    read_archive(io.BytesIO(content), PASSPHRASE)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1600 * len(files)
