"""Steps that stand on one another: they are taken in order, and none after the first that fails."""

from dataclasses import dataclass

from aichat_workspace.domain.kubernetes.manifest import Manifest
from aichat_workspace.domain.planning.actions import Action, Delete, Scale


@dataclass(frozen=True, slots=True)
class AddFinalizer:
    """Nothing that is created may outlive the resource."""


@dataclass(frozen=True, slots=True)
class RemoveFinalizer:
    """The resource may go."""


@dataclass(frozen=True, slots=True)
class CreateSecret:
    """POST: fails where a Secret of this name exists."""

    manifest: Manifest


@dataclass(frozen=True, slots=True)
class ApplySecret:
    """Write a Secret that exists."""

    manifest: Manifest
    reason: str
    """For the log."""


@dataclass(frozen=True, slots=True)
class DeleteSecret:
    """Delete exactly this Secret."""

    secret: Manifest


@dataclass(frozen=True, slots=True)
class CreateNamespace:
    """POST: never adopts a namespace."""

    manifest: Manifest


@dataclass(frozen=True, slots=True)
class ClaimNamespace:
    """Mark exactly the namespace with this UID."""

    manifest: Manifest
    uid: str
    reason: str
    """A word for the log."""


@dataclass(frozen=True, slots=True)
class DeleteNamespace:
    """Delete exactly this namespace, unless it is being deleted."""

    namespace: Manifest


@dataclass(frozen=True, slots=True)
class ConfirmNamespaceGone:
    """Ask the API server itself. A create may have succeeded although its reply was lost; without
    this read the namespace would leak."""


@dataclass(frozen=True, slots=True)
class ConfirmDataUnused:
    """Ask the API server itself for pods that use the chat's data: the cache may be behind."""

    namespace: str


@dataclass(frozen=True, slots=True)
class ConfirmResourceGone:
    """Ask the API server itself for the resource of this namespace: the cache may be behind."""

    namespace: Manifest


@dataclass(frozen=True, slots=True)
class AnnounceOrphan:
    """Emit an event about a namespace whose resource is gone."""

    namespace: Manifest
    reason: str
    note: str


@dataclass(frozen=True, slots=True)
class AnnounceRetained:
    """Emit an event with what it takes to adopt the namespace."""

    namespace_uid: str


Step = (
    AddFinalizer
    | RemoveFinalizer
    | CreateSecret
    | ApplySecret
    | DeleteSecret
    | CreateNamespace
    | ClaimNamespace
    | DeleteNamespace
    | ConfirmNamespaceGone
    | ConfirmDataUnused
    | AnnounceRetained
    | Action
)
OrphanStep = ConfirmResourceGone | ClaimNamespace | AnnounceOrphan | Delete | Scale
"""What is done with a namespace whose resource is gone."""
