"""Which VolumeSnapshotClass makes snapshots of a chat's volume."""

from collections.abc import Sequence
from typing import Final

from aichat_workspace.domain.kubernetes import kinds
from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.foundation.metadata import annotations

_DEFAULT_CLASS: Final = kinds.DEFAULT_CLASS_ANNOTATIONS[kinds.STORAGE_CLASS]
_DEFAULT_SNAPSHOT_CLASS: Final = "snapshot.storage.kubernetes.io/is-default-class"
_OTHERS: Final = "or chooses another destination in spec.backup.destination"


def snapshot_class(
    class_name: str,
    storage_class: str | None,
    storage_classes: Sequence[Manifest],
    snapshot_classes: Sequence[Manifest],
) -> tuple[str, Problem | None]:
    """Return the class's name, or why the chat's volume can't be had as snapshots.

    It is the one of that name; the driver's default, or else its first by name, for none.
    `storage_class` is the volume's; None for the cluster's default. There are no `snapshot_classes`
    where the cluster does not have the kind.
    """
    volume = _default(storage_classes) if storage_class is None else storage_class
    driver = {_name(entry): str(entry.get("provisioner", "")) for entry in storage_classes}.get(
        volume
    )
    by_name = {_name(entry): entry for entry in snapshot_classes}
    if class_name and class_name not in by_name:
        return "", _problem(
            f"there is no VolumeSnapshotClass {class_name!r}; there is {_listed(by_name)}; the "
            "platform team corrects snapshot.volumeSnapshotClassName of the destination, or "
            "creates it, with the snapshot controller and its CustomResourceDefinitions"
        )
    if driver is None:
        return "", _problem(
            f"StorageClass {volume!r} of the chat's volume is not there, so no driver is known "
            "that makes snapshots of it; the platform team creates it"
        )
    if class_name:
        other = by_name[class_name].get("driver")
        if other == driver:
            return class_name, None
        return "", _problem(
            f"VolumeSnapshotClass {class_name!r} is of driver {other!r}, and the chat's volume "
            f"(StorageClass {volume!r}) of {driver!r}; the platform team names a class of that one"
        )
    own = sorted(
        (entry for entry in snapshot_classes if entry.get("driver") == driver),
        key=lambda entry: (not _is_default(entry, _DEFAULT_SNAPSHOT_CLASS), _name(entry)),
    )
    if own:
        return _name(own[0]), None
    return "", _problem(
        f"driver {driver!r} of the chat's volume (StorageClass {volume!r}) has no "
        f"VolumeSnapshotClass; there is {_listed(by_name)}; the platform team creates one, with "
        "the snapshot controller and its CustomResourceDefinitions, if the driver makes snapshots"
    )


def _problem(message: str) -> Problem:
    return Problem(
        Reason.BACKUP_SNAPSHOTS_UNSUPPORTED, f"{message}, {_OTHERS}", "spec.backup.destination"
    )


def _default(storage_classes: Sequence[Manifest]) -> str:
    """Return the class of volumes that name none; the newest default counts
    (https://kubernetes.io/docs/concepts/storage/storage-classes/#default-storageclass)."""
    defaults = [entry for entry in storage_classes if _is_default(entry, _DEFAULT_CLASS)]
    defaults.sort(key=lambda entry: str(entry["metadata"].get("creationTimestamp", "")))
    return _name(defaults[-1]) if defaults else ""


def _is_default(entry: Manifest, mark: str) -> bool:
    return annotations(entry).get(mark) == "true"


def _listed(by_name: dict[str, Manifest]) -> str:
    return (
        ", ".join(f"{name} ({by_name[name].get('driver')})" for name in sorted(by_name)) or "none"
    )


def _name(manifest: Manifest) -> str:
    return str(manifest["metadata"]["name"])
