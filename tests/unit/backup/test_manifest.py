"""What an archive says of itself."""

from datetime import UTC, datetime

import pytest

from aichat_workspace.backup.errors import InvalidArchiveError
from aichat_workspace.backup.manifest import backup_name, read_manifest, without_status
from tests.chat_data import WORKSPACE


def test_the_resource_is_as_people_write_it() -> None:
    assert without_status(WORKSPACE) == {
        "apiVersion": "apps.aichatworkspaces.io/v1alpha1",
        "kind": "AIChatWorkspace",
        "metadata": {"name": "lime", "namespace": "team-lime"},
        "spec": {"workspaceName": "lime", "models": ["llama3.2"]},
    }


def test_names_sort_by_time() -> None:
    early = backup_name(datetime(2026, 9, 30, 23, 59, 59, tzinfo=UTC), "ffffffff")
    late = backup_name(datetime(2026, 10, 1, tzinfo=UTC), "00000000")
    assert early == "20260930T235959Z-ffffffff"
    assert early < late


def test_a_newer_format_is_refused_with_the_fix() -> None:
    with pytest.raises(
        InvalidArchiveError, match=r"manifest\.json can't be read: format: .*use the version of the"
    ):
        read_manifest(b'{"format": 2}')
