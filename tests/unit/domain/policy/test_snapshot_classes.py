"""The VolumeSnapshotClass of a chat's volume."""

import pytest

from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.policy.snapshot_classes import snapshot_class
from aichat_workspace.domain.reasons import Reason

_DEFAULT = "snapshot.storage.kubernetes.io/is-default-class"


def storage_class(name: str, driver: str, *, default: str = "") -> Manifest:
    marks = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    metadata = {"name": name, "annotations": marks, "creationTimestamp": default}
    return {"metadata": metadata, "provisioner": driver}


def of_driver(name: str, driver: str, *, default: bool = False) -> Manifest:
    marks = {_DEFAULT: "true"} if default else {}
    return {"metadata": {"name": name, "annotations": marks}, "driver": driver}


STORAGE = (
    storage_class("old-default", "nfs", default="2025-01-01T00:00:00Z"),
    storage_class("fast", "disk", default="2026-01-01T00:00:00Z"),
    storage_class("shared", "nfs"),
)


@pytest.mark.parametrize(
    ("class_name", "storage", "classes", "expected"),
    [
        ("", "shared", [of_driver("a", "disk"), of_driver("b", "nfs")], "b"),
        ("", None, [of_driver("a", "disk"), of_driver("b", "nfs")], "a"),
        ("", "fast", [of_driver("a", "disk"), of_driver("b", "disk", default=True)], "b"),
        ("", "fast", [of_driver("b", "disk"), of_driver("a", "disk")], "a"),
        ("b", "fast", [of_driver("a", "disk", default=True), of_driver("b", "disk")], "b"),
    ],
    ids=["of the driver", "of the newest default", "its default", "the first", "the named one"],
)
def test_the_class_is_of_the_driver_of_the_chats_volume(
    class_name: str, storage: str | None, classes: list[Manifest], expected: str
) -> None:
    assert snapshot_class(class_name, storage, STORAGE, classes) == (expected, None)


@pytest.mark.parametrize(
    ("class_name", "storage", "classes", "words"),
    [
        ("", "fast", [], "driver 'disk' of the chat's volume (StorageClass 'fast') has no"),
        ("", "fast", [of_driver("a", "nfs")], "there is a (nfs)"),
        ("", "gone", [of_driver("a", "disk")], "StorageClass 'gone' of the chat's volume is not"),
        ("", "", [of_driver("a", "disk")], "StorageClass '' of the chat's volume is not there"),
        ("b", "fast", [of_driver("a", "disk")], "there is no VolumeSnapshotClass 'b'; there is a"),
        ("a", "fast", [of_driver("a", "nfs")], "'a' is of driver 'nfs', and the chat's volume"),
    ],
)
def test_without_one_the_problem_names_what_is_missing_and_another_way(
    class_name: str, storage: str, classes: list[Manifest], words: str
) -> None:
    name, problem = snapshot_class(class_name, storage, STORAGE, classes)
    assert name == ""
    assert problem is not None
    assert problem.reason is Reason.BACKUP_SNAPSHOTS_UNSUPPORTED
    assert words in problem.message
    assert problem.message.endswith("chooses another destination in spec.backup.destination")
