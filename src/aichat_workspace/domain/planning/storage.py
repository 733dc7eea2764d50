"""Claims and the quota of storage, as the volumes that exist allow them."""

from collections.abc import Mapping, Sequence
from fractions import Fraction

from aichat_workspace.domain.kubernetes import quantity
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref, ref
from aichat_workspace.domain.planning import volume_claims
from aichat_workspace.domain.planning.observed import Observed


def as_volumes_allow(
    desired: Manifest, observed: Observed, sizes: Mapping[Ref, Fraction]
) -> Manifest:
    """Return the desired object as the existing volumes allow it."""
    if desired["kind"] == "ResourceQuota":
        return _quota(desired, sizes)
    current = observed.objects.get(ref(desired))
    if desired["kind"] == volume_claims.CLAIM and current is not None:
        return _claim(desired, current, observed.expandable_classes)
    return desired


def claimed_bytes(desired: Sequence[Manifest], observed: Observed) -> dict[Ref, Fraction]:
    """Return what each claim has or will have.

    It counts with its larger size, desired or observed: claims never shrink, and a lost one has
    to be created again.
    """
    sizes: dict[Ref, Fraction] = {}
    desired_objects = ((ref(manifest), manifest) for manifest in desired)
    for reference, manifest in (*desired_objects, *observed.objects.items()):
        if reference.kind == volume_claims.CLAIM:
            size = quantity.parse(volume_claims.size(manifest))
            sizes[reference] = max(size, sizes.get(reference, Fraction()))
    return sizes


def _quota(desired: Manifest, sizes: Mapping[Ref, Fraction]) -> Manifest:
    """Return the quota, never below what the claims need: it would always refuse them."""
    hard = desired["spec"]["hard"]
    storage_bytes = sum(sizes.values(), Fraction())
    needed = {
        "requests.storage": (storage_bytes, quantity.size(storage_bytes)),
        "persistentvolumeclaims": (Fraction(len(sizes)), str(len(sizes))),
    }
    raised = {
        name: text for name, (amount, text) in needed.items() if amount > quantity.parse(hard[name])
    }
    return {**desired, "spec": {"hard": {**hard, **raised}}} if raised else desired


def _claim(desired: Manifest, observed: Manifest, expandable_classes: frozenset[str]) -> Manifest:
    """Return the claim as it may still be changed: its class is fixed, and its size may only grow,
    where its class allows it."""
    spec = dict(desired["spec"])
    if not (
        volume_claims.is_larger(desired, observed)
        and volume_claims.can_grow(observed, expandable_classes)
    ):
        spec["resources"] = {"requests": {"storage": volume_claims.size(observed)}}
    if "storageClassName" in observed["spec"]:
        spec["storageClassName"] = observed["spec"]["storageClassName"]
    return {**desired, "spec": spec}
