"""Backups in a real S3-compatible server."""

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from aichat_workspace.backup import commands
from aichat_workspace.backup.errors import (
    InvalidArchiveError,
    StoreError,
    StoreRefusedError,
    StoreUnreachableError,
)
from aichat_workspace.backup.stores.s3 import S3Store, connect
from aichat_workspace.backup.stores.store import StoredObject
from localcluster import certificates
from tests.backups import (
    assert_killed_backups_are_invisible,
    assert_killed_restores_are_old_or_new,
    create,
    make_cheap,
    settings_of,
)
from tests.chat_data import read_chat, restored, write_chat
from tests.contracts.stores import StoreContract, write
from tests.killing import REQUEST
from tests.s3_server import BUCKET, S3Server, s3_server

PART_BYTES = 5 * 1024 * 1024  # the least that S3 takes of a part that is not the last
prefixes = count()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("s3")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[S3Server]:
    with s3_server(folder) as server:
        yield server


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    make_cheap(monkeypatch)


@pytest.fixture
def prefix() -> str:
    return f"team/{next(prefixes)}/"


@pytest.fixture
def make_store(server: S3Server, prefix: str) -> Callable[[], S3Store]:
    """Return a store with a client of its own. Each request is a step at which it may be killed."""

    def make() -> S3Store:
        client = connect(server.environment)
        client.event_hooks = {"request": [lambda request: sys.audit(REQUEST, request.method)]}
        return S3Store(client, BUCKET, prefix, PART_BYTES)

    return make


@pytest.fixture
def store(make_store: Callable[[], S3Store]) -> S3Store:
    return make_store()


class TestS3Store(StoreContract):
    pass


def uploads(server: S3Server, prefix: str) -> list[str]:
    listed = server.send("GET", f"/{BUCKET}?uploads=&prefix={prefix}")
    return re.findall("<UploadId>", listed.text)


def test_the_keys_below_another_prefix_are_not_listed(store: S3Store) -> None:
    write(replace(store, prefix=f"{store.prefix}deeper/"), "a")
    assert store.objects() == ()


def test_more_than_a_thousand_objects_are_listed(store: S3Store, folder: Path) -> None:
    write(store, "0000")
    for number in range(1, 1010):
        (folder / "buckets" / BUCKET / store.prefix / f"{number:04}").touch()
    assert [item.name for item in store.objects()] == [f"{number:04}" for number in range(1010)]


def test_what_a_killed_upload_left_is_swept_once_it_is_old(
    server: S3Server, store: S3Store
) -> None:
    for name in ("torn", "foreign", "deeper/torn"):
        server.send("POST", f"/{BUCKET}/{store.prefix}{name}?uploads=")
    now, names = datetime.now(UTC), re.compile("torn")
    assert store.sweep(now - timedelta(days=1), names) == 0
    assert len(uploads(server, store.prefix)) == 3
    assert store.sweep(now + timedelta(days=1), names) == 1
    assert len(uploads(server, store.prefix)) == 2


def test_a_bucket_that_is_not_there_is_an_error_with_its_fix(store: S3Store) -> None:
    with pytest.raises(StoreError, match=r"NoSuchBucket.*make the bucket"):
        replace(store, bucket="absent").objects()


def test_a_wrong_secret_key_is_an_error_with_its_fix(server: S3Server, store: S3Store) -> None:
    client = connect({**server.environment, "AWS_SECRET_ACCESS_KEY": "another"})
    expected = r"SignatureDoesNotMatch.*correct AWS_SECRET_ACCESS_KEY"
    with pytest.raises(StoreRefusedError, match=expected):
        replace(store, client=client).objects()


def test_a_server_by_tls_needs_an_authority_that_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = certificates.ensure(tmp_path / "authority")
    pair = certificates.issue(authority, tmp_path / "certificate", ["127.0.0.1"])
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    with s3_server(tmp_path / "s3", pair=pair) as server:
        assert S3Store(connect(server.environment), BUCKET, "").objects() == ()
        monkeypatch.delenv("SSL_CERT_FILE")
        stranger = S3Store(connect(server.environment), BUCKET, "", pause=lambda _: None)
        expected = "see that AWS_ENDPOINT_URL_S3, its certificate"
        with pytest.raises(StoreUnreachableError, match=expected):
            stranger.objects()


def test_a_backup_in_many_parts_is_restored(store: S3Store, tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_chat(data, "hello" * 100_000)
    settings = settings_of(data, store)
    before = read_chat(data)
    backup = create(settings)
    assert backup.size_bytes > 3 * PART_BYTES
    assert commands.backups(store) == (StoredObject(backup.name, backup.size_bytes),)
    (data / "webui.db").unlink()
    commands.restore(settings, backup.name)
    assert read_chat(data) == restored(before)


def test_an_altered_object_replaces_nothing(
    store: S3Store, server: S3Server, tmp_path: Path
) -> None:
    write_chat(tmp_path, "hello")
    settings = settings_of(tmp_path, store)
    before, backup = read_chat(tmp_path), create(settings)
    path = f"/{BUCKET}/{store.prefix}{backup.name}.tar"
    content = server.send("GET", path).content
    server.send("PUT", path, content.replace(b"hello", b"HELLO"))
    with pytest.raises(InvalidArchiveError, match="is missing, or not as it was backed up"):
        commands.restore(settings, backup.name)
    assert read_chat(tmp_path) == before


def test_a_backup_that_is_killed_at_any_step_is_whole_or_invisible(
    make_store: Callable[[], S3Store], server: S3Server, prefix: str, tmp_path: Path
) -> None:
    assert_killed_backups_are_invisible(tmp_path, make_store)
    assert uploads(server, prefix) == [], "what killed ones left was swept by a later one"


@pytest.mark.slow
def test_a_restore_that_is_killed_at_any_step_leaves_the_old_or_the_new(
    make_store: Callable[[], S3Store], tmp_path: Path
) -> None:
    assert_killed_restores_are_old_or_new(tmp_path, make_store)
