"""The writes that a plan is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aichat_workspace.domain.kubernetes.manifest import Manifest, Ref


@dataclass(frozen=True, slots=True)
class Apply:
    """Server-side apply by force: the object is made, or our fields in it restored."""

    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Prune:
    """Take out what others added to an object of ours."""

    ref: Ref
    operations: Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Stop:
    """Leave a workload without pods, whatever else it should be."""

    ref: Ref
    operations: Sequence[dict[str, Any]] = (
        {"op": "replace", "path": "/spec/replicas", "value": 0},
    )


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove exactly the object that was seen; a tenant's Secret, which never is, by its name. One
    that `waits` stays until everything that is wanted has been written."""

    ref: Ref
    uid: str | None
    waits: bool = False


Action = Apply | Prune | Stop | Delete
