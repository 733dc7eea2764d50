"""Which writes of a plan may put back what somebody else has changed."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from aichat_workspace.domain import names
from aichat_workspace.domain.kubernetes.field_ownership import foreign_changes
from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref, ref
from aichat_workspace.domain.planning.actions import Action, Apply, Delete, target_of
from aichat_workspace.domain.planning.observed import Observed
from aichat_workspace.domain.planning.secret_copies import recorded_copies
from aichat_workspace.foundation.metadata import annotations, labels


@dataclass(frozen=True, slots=True)
class Repair:
    """An object that is written although it exists, made although it existed, or deleted.

    It puts back what somebody changed where the same was wanted of it before, which `digest` tells.
    """

    ref: Ref
    digest: str
    """Of what is wanted of it."""
    managers: tuple[str, ...] = ()
    """The field managers that changed it, as the API server recorded them; none where it records
    nothing, as for a removed field."""
    fields: tuple[str, ...] = ()
    """What they changed, as spec.replicas."""
    is_gone: bool = False
    """The whole object was deleted."""
    is_extra: bool = False
    """It is to be deleted: nothing desires it."""


def repairs(
    actions: Sequence[Action],
    desired: Sequence[Manifest],
    observed: Observed,
    known: Collection[tuple[str, str]],
    allowed_metadata: tuple[str, ...] = (),
) -> tuple[Repair, ...]:
    """Return what a plan repairs, each object once. `known` are the kinds and names of the objects
    that the workspace had, `allowed_metadata` lists the annotations and labels that others may add.
    """
    by_ref = {ref(manifest): manifest for manifest in desired}
    by_object = {
        repair.ref: repair
        for repair in _repairs(actions, by_ref, observed, known, allowed_metadata)
    }
    return tuple(by_object.values())


def _repairs(
    actions: Sequence[Action],
    desired: dict[Ref, Manifest],
    observed: Observed,
    known: Collection[tuple[str, str]],
    allowed_metadata: tuple[str, ...],
) -> Iterator[Repair]:
    for action in actions:
        target = target_of(action)
        if isinstance(action, Delete) and target in observed.objects:
            yield Repair(target, "", is_extra=True)
        if isinstance(action, Apply) and target.kind == "Namespace" and not action.waits:
            cost_centre = labels(action.manifest).get(names.COST_CENTRE_LABEL, "")
            copies = ",".join(sorted(recorded_copies(action.manifest)))
            yield Repair(target, f"{copies} {cost_centre}".rstrip())
        if target not in desired or isinstance(action, Delete):
            continue
        current = observed.objects.get(target)
        digest = annotations(desired[target]).get(names.APPLIED_ANNOTATION, "")
        if current is not None:
            changes = foreign_changes(current, desired[target], allowed_metadata)
            managers = dict.fromkeys(manager for manager, _ in changes)
            fields = dict.fromkeys(field for _, field in changes)
            yield Repair(target, digest, tuple(managers), tuple(fields))
        elif (target.kind, target.name) in known:
            yield Repair(target, digest, is_gone=True)
