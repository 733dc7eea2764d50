"""What can still be changed of a volume that is there.

https://kubernetes.io/docs/concepts/storage/persistent-volumes/#expanding-persistent-volumes-claims
"""

from collections.abc import Iterable, Iterator, Set
from typing import Final

from aichat_workspace.domain.kubernetes import quantity
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref, ref
from aichat_workspace.domain.problem import Problem
from aichat_workspace.domain.v1alpha1.workspace_spec import Volume

CLAIM: Final = "PersistentVolumeClaim"


def size(claim: Manifest) -> str:
    """What the claim asks for."""
    asked: str = claim["spec"]["resources"]["requests"]["storage"]
    return asked


def sizes(desired: Iterable[Manifest]) -> dict[Ref, str]:
    """What each claim is to ask for."""
    return {ref(each): size(each) for each in desired if each["kind"] == CLAIM}


def is_larger(one: Manifest, other: Manifest) -> bool:
    return quantity.parse(size(one)) > quantity.parse(size(other))


def can_grow(claim: Manifest, expandable_classes: Set[str]) -> bool:
    """Whether the API server takes a larger size: only of a claim that is bound, by a class that
    allows it."""
    return _is_bound(claim) and claim["spec"].get("storageClassName") in expandable_classes


def _is_bound(claim: Manifest) -> bool:
    return bool(claim.get("status", {}).get("phase") == "Bound")


def unmet(
    claim: Manifest | None, wanted: Volume, asked: str | None, expandable_classes: Set[str]
) -> Problem | None:
    """What a workspace wants of a volume that is already made and can't be changed so: by its own
    spec, or, where that leaves the size open, a larger one by the platform's (`asked`)."""
    if claim is None:
        return None
    kept = [*_kept(claim, wanted, asked, expandable_classes)]
    if not kept:
        return None
    return Problem(
        "VolumeKept",
        f"claim {claim['metadata']['name']} keeps {' and '.join(kept)}; name what it has in "
        "spec.storage, or make a new workspace for it",
    )


def _kept(
    claim: Manifest, wanted: Volume, asked: str | None, expandable_classes: Set[str]
) -> Iterator[str]:
    held, of_class = size(claim), claim["spec"].get("storageClassName")
    if wanted.size and quantity.parse(wanted.size) < quantity.parse(held):
        yield f"its {held}, for a volume can grow but not shrink to {wanted.size}"
    grows = asked is not None and quantity.parse(asked) > quantity.parse(held)
    if grows and not can_grow(claim, expandable_classes):
        yield f"its {held} instead of {asked}, for {_why(claim, expandable_classes)}"
    if of_class and wanted.storage_class_name not in (None, of_class):
        yield f"its StorageClass {of_class!r} instead of {wanted.storage_class_name!r}"


def _why(claim: Manifest, expandable_classes: Set[str]) -> str:
    name = claim["spec"].get("storageClassName")
    if not name:
        return "it has no StorageClass, which alone could let it grow"
    if name not in expandable_classes:
        return (
            f"StorageClass {name!r} does not let volumes grow (where its driver can, set "
            "allowVolumeExpansion: true on it)"
        )
    return "it is not bound yet (it grows once a pod uses it)"
