"""Which snapshots of a chat's volume are made, listed, deleted and copied from."""

from datetime import datetime
from typing import Any

import pytest

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.planning import volume_snapshots
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.render.context import NewSnapshot, RestoredVolume
from aichat_workspace.domain.v1alpha1.backup import BackupRecord
from aichat_workspace.domain.v1alpha1.workspace import Workspace
from tests.unit.domain import backup_runs
from tests.unit.domain.backup_runs import WORKSPACE, job
from tests.unit.domain.samples import workspace
from tests.unit.domain.volume_snapshots import (
    CLASS,
    READY,
    by_ref,
    checked,
    of_run,
    volume_snapshot,
)

RUN = checked("b-1")  # it ended at 11:30:00
LATER = "2026-11-23T12:00:00Z"
NEW = NewSnapshot(names.volume_snapshot(WORKSPACE, "uid-b-1"), CLASS)


def seen(*manifests: Manifest) -> Observed:
    snapshots = [manifest for manifest in manifests if manifest["kind"] == "VolumeSnapshot"]
    others = [manifest for manifest in manifests if manifest["kind"] == "Job"]
    return backup_runs.observed(*others, objects=by_ref(*snapshots))


def asking(succeeded: str | None = None) -> Workspace:
    record = BackupRecord(succeeded_at=datetime.fromisoformat(succeeded) if succeeded else None)
    status = {"backup": record.model_dump(mode="json", by_alias=True)}
    return workspace(backup={"schedule": "30 2 * * *"}, status=status)


def deleting(manifest: Manifest) -> Manifest:
    metadata = {**manifest["metadata"], "deletionTimestamp": LATER}
    return {**manifest, "metadata": metadata}


@pytest.mark.parametrize(
    ("manifests", "succeeded", "new"),
    [
        ([RUN], None, NEW),
        ([RUN], "2026-11-23T11:29:59Z", NEW),
        ([checked("b-1", "")], None, None),
        ([checked("b-1", "Failed")], None, None),
        ([deleting(RUN)], None, None),
        ([job("b-1", "Complete")], None, None),
        ([RUN, of_run(RUN)], None, None),
        ([RUN, deleting(of_run(RUN))], None, None),
        ([RUN, of_run(RUN, error={"message": "full"})], None, None),
        ([RUN, of_run(RUN, "2026-11-23T11:29:59Z")], None, None),
        ([RUN, volume_snapshot("0000000a", "2026-11-23T11:29:59Z", **READY)], None, NEW),
        ([RUN, volume_snapshot("0000000a", "2026-11-23T11:30:00Z")], None, None),
        ([RUN], "2026-11-23T11:30:00Z", None),
        ([checked("b-0", ended="2026-11-22T11:30:00Z"), RUN], "2026-11-22T11:30:05Z", NEW),
    ],
    ids=[
        "after a run",
        "after the last backup",
        "not while it runs",
        "not after a failure",
        "not of a run that is deleted",
        "not of an archive's run",
        "once",
        "not while it goes",
        "not another while it is tried again",
        "its own, by clocks that differ",
        "one of before is none of it",
        "one of two runs",
        "not again after it was deleted",
        "of the last run alone",
    ],
)
def test_a_run_that_ended_well_has_one_snapshot(
    manifests: list[Manifest], succeeded: str | None, new: NewSnapshot | None
) -> None:
    assert volume_snapshots.new_snapshot(asking(succeeded), seen(*manifests)) == new


def test_the_list_has_what_can_be_restored_the_newest_first() -> None:
    observed = seen(
        volume_snapshot("00000001", "2026-11-21T00:00:00Z", **READY),
        volume_snapshot("00000002", "2026-11-22T00:00:00Z", **{**READY, "restoreSize": None}),
        volume_snapshot("00000003", "2026-11-23T00:00:00Z", creationTime="…"),
        deleting(volume_snapshot("00000004", "2026-11-24T00:00:00Z", **READY)),
        {**volume_snapshot("a", **READY), "metadata": {"name": "of-somebody-else"}},
    )
    assert [
        (entry.name, entry.size_bytes, entry.open_webui)
        for entry in volume_snapshots.entries(observed)
    ] == [
        ("20261122T000000Z-00000002", 0, "open-webui:1"),
        ("20261121T000000Z-00000001", 2 * 1024**3, "open-webui:1"),
    ]


def test_the_list_has_the_newest_twenty() -> None:
    snapshots = [
        volume_snapshot(f"{day:08x}", f"2026-11-{day:02}T00:00:00Z", **READY)
        for day in range(1, 31)
    ]
    listed = volume_snapshots.entries(seen(*snapshots))
    assert [entry.name[6:8] for entry in listed] == [f"{day:02}" for day in range(30, 10, -1)]


def on(day: int, keep: int | None = 2, **status: Any) -> Manifest:
    return volume_snapshot(f"{day:08x}", f"2026-11-{day:02}T00:00:00Z", keep, **status)


@pytest.mark.parametrize(
    ("snapshots", "days"),
    [
        ([on(1, **READY), on(2, **READY)], []),
        ([on(1, **READY), on(2, **READY), on(3, **READY)], [1]),
        ([on(1, **READY), on(2, 1, **READY), on(3, **READY)], [1]),
        ([on(1, **READY), on(2, **READY), on(3, 1, **READY)], [1, 2]),
        ([on(1, **READY), on(2, **READY), on(3)], []),
        ([on(1, **READY), on(2), on(3, **READY)], [2]),
        ([on(1, **READY), on(2, error={"message": "full"}), on(3, **READY)], [2]),
        ([on(1, **READY), on(2, creationTime="…"), on(3, **READY)], []),
        ([on(1, **READY), on(2, **READY), on(3, None, **READY)], []),
        ([on(1), on(2)], []),
    ],
    ids=[
        "as many as stay",
        "the oldest",
        "an older one's number counts no more",
        "the newest one's number counts",
        "one that is not ready counts not",
        "one that never came goes",
        "one that failed goes",
        "one that only takes time stays",
        "without a number",
        "none is ready",
    ],
)
def test_old_snapshots_go_once_a_newer_one_is_ready(
    snapshots: list[Manifest], days: list[int]
) -> None:
    deletions = list(volume_snapshots.pruned(seen(*snapshots)))
    assert [delete.ref.name[-8:] for delete in deletions] == [f"{day:08x}" for day in days]
    assert all(delete.uid == f"uid-{delete.ref.name}" for delete in deletions)


def test_a_backup_is_found_by_its_time_and_token_once_it_is_ready() -> None:
    snapshot = volume_snapshot("0000000a", **READY)
    assert volume_snapshots.find("20261123T113005Z-0000000a", seen(snapshot)) == snapshot
    assert volume_snapshots.find("20261123T113006Z-0000000a", seen(snapshot)) is None
    unready = volume_snapshot("0000000a")
    assert volume_snapshots.find("20261123T113005Z-0000000a", seen(unready)) is None


@pytest.mark.parametrize(
    ("claimed", "capacity", "restored", "size"),
    [
        (None, None, None, "1Gi"),
        ("3Gi", None, None, "3Gi"),
        ("1Gi", "4Gi", None, "4Gi"),
        ("1Gi", "1Gi", "5Gi", "5Gi"),
    ],
)
def test_the_volume_of_a_snapshot_is_as_large_as_the_chats_and_of_its_class(
    claimed: str | None, capacity: str | None, restored: str | None, size: str
) -> None:
    objects: list[Manifest] = []
    if claimed:
        objects.append(
            {
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": names.openwebui(WORKSPACE)},
                "spec": {
                    "storageClassName": "fast",
                    "resources": {"requests": {"storage": claimed}},
                },
                "status": {"capacity": {"storage": capacity}} if capacity else {},
            }
        )
    if restored:
        objects.append(volume_snapshot("0000000a", restoreSize=restored))
    observed = Observed(objects=by_ref(*objects))
    backup = "20261123T113005Z-0000000a"
    assert volume_snapshots.restored_volume(WORKSPACE, backup, observed, "1Gi") == RestoredVolume(
        f"{WORKSPACE}-backup-0000000a", size, "fast" if claimed else None
    )
