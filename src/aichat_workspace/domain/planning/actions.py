"""The writes that a plan is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref, ref


@dataclass(frozen=True, slots=True)
class Apply:
    """Server-side apply by force: create the object, or restore our fields in it."""

    manifest: Manifest
    waits: bool = False
    """It is left out unless every write before it has been made."""


@dataclass(frozen=True, slots=True)
class Prune:
    """Remove the fields that others added to an object of ours."""

    ref: Ref
    operations: Sequence[dict[str, Any]]
    """A JSON Patch (RFC 6902)."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Give a workload so many pods, none to stop it, and leave the rest of it as it is."""

    ref: Ref
    replicas: int = 0

    @property
    def operations(self) -> Sequence[dict[str, Any]]:
        """A JSON Patch (RFC 6902)."""
        return ({"op": "replace", "path": "/spec/replicas", "value": self.replicas},)


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete one object."""

    ref: Ref
    uid: str | None
    """Only the observed object is deleted; None for a tenant's Secret, which is never observed."""
    waits: bool = False
    """It stays until every desired object has been written."""


Action = Apply | Prune | Scale | Delete


def target_of(action: Action) -> Ref:
    """Return the object that an action writes."""
    return ref(action.manifest) if isinstance(action, Apply) else action.ref
