"""Decide what can still be changed of an existing PersistentVolumeClaim.

https://kubernetes.io/docs/concepts/storage/persistent-volumes/#expanding-persistent-volumes-claims
"""

from collections.abc import Iterable, Iterator, Set
from typing import Final

from aichat_workspace.domain.kubernetes import quantity
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref, ref
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.reasons import Reason
from aichat_workspace.domain.v1alpha1.sizes import Volume

CLAIM: Final = "PersistentVolumeClaim"


def size(claim: Manifest) -> str:
    """Return the size that the claim requests."""
    requested: str = claim["spec"]["resources"]["requests"]["storage"]
    return requested


def sizes(desired: Iterable[Manifest]) -> dict[Ref, str]:
    """Return the size that each desired claim requests."""
    return {ref(manifest): size(manifest) for manifest in desired if manifest["kind"] == CLAIM}


def is_larger(claim: Manifest, other: Manifest) -> bool:
    return quantity.parse(size(claim)) > quantity.parse(size(other))


def can_grow(claim: Manifest, expandable_classes: Set[str]) -> bool:
    """Whether the API server accepts a larger size: the claim is bound and its class expandable."""
    return _is_bound(claim) and claim["spec"].get("storageClassName") in expandable_classes


def _is_bound(claim: Manifest) -> bool:
    return bool(claim.get("status", {}).get("phase") == "Bound")


def unmet(
    claim: Manifest | None,
    volume: Volume,
    requested_size: str | None,
    expandable_classes: Set[str],
) -> Problem | None:
    """Return what the workspace asks for that its existing claim can't become, or None.

    `volume` is what its own spec says. `requested_size` is the desired claim's: where the spec
    leaves the size open, it is the platform's.
    """
    if claim is None:
        return None
    differences = [*_fixed_differences(claim, volume, requested_size, expandable_classes)]
    if not differences:
        return None
    return Problem(
        Reason.VOLUME_KEPT,
        f"claim {claim['metadata']['name']} keeps {' and '.join(differences)}; name what it has in "
        "spec.storage, or make a new workspace for it",
    )


def _fixed_differences(
    claim: Manifest, volume: Volume, requested_size: str | None, expandable_classes: Set[str]
) -> Iterator[str]:
    current_size, class_name = size(claim), claim["spec"].get("storageClassName")
    if volume.size and quantity.parse(volume.size) < quantity.parse(current_size):
        yield f"its {current_size}, for a volume can grow but not shrink to {volume.size}"
    grows = requested_size is not None and (
        quantity.parse(requested_size) > quantity.parse(current_size)
    )
    if grows and not can_grow(claim, expandable_classes):
        yield (
            f"its {current_size} instead of {requested_size}, for "
            f"{_growth_obstacle(claim, expandable_classes)}"
        )
    if class_name and volume.storage_class_name not in (None, class_name):
        yield f"its StorageClass {class_name!r} instead of {volume.storage_class_name!r}"


def _growth_obstacle(claim: Manifest, expandable_classes: Set[str]) -> str:
    name = claim["spec"].get("storageClassName")
    if not name:
        return "it has no StorageClass, which alone could let it grow"
    if name not in expandable_classes:
        return (
            f"StorageClass {name!r} does not let volumes grow (where its driver can, set "
            "allowVolumeExpansion: true on it)"
        )
    return "it is not bound yet (it grows once a pod uses it)"
