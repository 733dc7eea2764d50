"""The program's settings."""

from pathlib import Path

import pytest

from aichat_workspace.backup.errors import BackupError
from aichat_workspace.backup.settings import Settings, read_store
from aichat_workspace.backup.stores.s3 import S3Store
from aichat_workspace.backup.stores.volume import VolumeStore

ENVIRONMENT = {"BACKUP_STORE": "file:///backups/lime", "BACKUP_PASSPHRASE": "a long passphrase"}


def test_settings_have_defaults() -> None:
    settings = Settings.read(ENVIRONMENT)
    assert settings.store == VolumeStore(Path("/backups/lime"))
    assert settings.data == Path("/app/backend/data")
    assert settings.keep == 7


def test_no_secret_is_in_a_text_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "WEBUI_SECRET_KEY").write_text("a key of the chat")
    settings = Settings.read({**ENVIRONMENT, "BACKUP_CREDENTIALS": str(tmp_path)})
    assert settings.credentials == {"WEBUI_SECRET_KEY": "a key of the chat"}
    assert "a long passphrase" not in repr(settings)
    assert "a key of the chat" not in repr(settings)


def test_a_mounted_secret_is_read_without_the_kubelets_own_entries(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    (tmp_path / "KEY").write_text("value")
    settings = Settings.read({**ENVIRONMENT, "BACKUP_CREDENTIALS": str(tmp_path)})
    assert settings.credentials == {"KEY": "value"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"BACKUP_STORE": ""}, "BACKUP_STORE is not set"),
        ({"BACKUP_STORE": "ftp://host"}, "write s3://BUCKET/PREFIX or file:///FOLDER"),
        ({"BACKUP_STORE": "file://host/folder"}, "write s3://BUCKET/PREFIX or file:///FOLDER"),
        ({"BACKUP_STORE": "s3:///prefix"}, "write s3://BUCKET/PREFIX or file:///FOLDER"),
        ({"BACKUP_KEEP": "0"}, "BACKUP_KEEP is '0'; write how many backups stay"),
        ({"BACKUP_KEEP": "all"}, "BACKUP_KEEP is 'all'; write how many backups stay"),
        ({"BACKUP_PASSPHRASE": ""}, "BACKUP_PASSPHRASE is not set"),
        ({"BACKUP_PASSPHRASE": "short"}, "use at least 12"),
        ({"BACKUP_WORKSPACE": "{"}, "BACKUP_WORKSPACE is no JSON"),
        ({"BACKUP_WORKSPACE": "[]"}, "BACKUP_WORKSPACE is no JSON object"),
        ({"BACKUP_WORKSPACE": '{"spec": {}}'}, r"BACKUP_WORKSPACE has no metadata\.namespace or"),
        ({"BACKUP_WORKSPACE": '{"metadata": []}'}, r"BACKUP_WORKSPACE has no metadata\.namespace"),
        ({"BACKUP_CREDENTIALS": "/absent"}, "BACKUP_CREDENTIALS is '/absent', which can't be read"),
    ],
)
def test_a_wrong_setting_is_named_with_the_fix(change: dict[str, str], message: str) -> None:
    with pytest.raises(BackupError, match=message):
        Settings.read({**ENVIRONMENT, **change})


S3 = {
    "BACKUP_STORE": "s3://bucket",
    "AWS_ENDPOINT_URL_S3": "https://s3.example.org",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"AWS_ENDPOINT_URL_S3": "s3.example.org"},
            "AWS_ENDPOINT_URL_S3 is .*; write https://HOST",
        ),
        ({"AWS_SECRET_ACCESS_KEY": ""}, "AWS_SECRET_ACCESS_KEY not set: a store in S3 needs them"),
    ],
)
def test_a_wrong_setting_of_a_store_is_named(change: dict[str, str], message: str) -> None:
    with pytest.raises(BackupError, match=message):
        read_store({**S3, **change})


@pytest.mark.parametrize(
    ("url", "prefix"), [("s3://b", ""), ("s3://b/", ""), ("s3://b/c/d/", "c/d/")]
)
def test_a_bucket_may_have_a_prefix(url: str, prefix: str) -> None:
    store = read_store({**S3, "BACKUP_STORE": url})
    assert isinstance(store, S3Store)
    assert (store.bucket, store.prefix) == ("b", prefix)
