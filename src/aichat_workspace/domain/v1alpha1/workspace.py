"""AIChatWorkspace, as decisions read it."""

from datetime import datetime, timedelta
from typing import Any, Final, Self

from aichat_workspace.domain.v1alpha1.base import Schema, read_leniently
from aichat_workspace.domain.v1alpha1.workspace_spec import DeletionPolicy, WorkspaceSpec
from aichat_workspace.domain.v1alpha1.workspace_status import WorkspaceStatus

# Data are never deleted for a value that the operator does not understand.
_FALLBACK: Final = {"deletionPolicy": DeletionPolicy.RETAIN}


class Workspace(Schema):
    """One AIChatWorkspace, reduced to what decisions read."""

    namespace: str
    name: str
    uid: str
    generation: int
    created: datetime
    deleting: bool
    finalizers: tuple[str, ...]
    spec: WorkspaceSpec
    """Without the fields that are not understood."""
    status: WorkspaceStatus
    not_understood: tuple[str, ...] = ()
    """Fields of the spec that these models refuse although the API server accepted them, with the
    reasons: its CRD is older or newer than the operator."""

    @classmethod
    def parse(cls, manifest: dict[str, Any]) -> Self:
        """Read a custom resource.

        Raises pydantic.ValidationError where its workspaceName can't be a namespace's name.
        """
        metadata = manifest["metadata"]
        spec, refused = read_leniently(WorkspaceSpec, manifest["spec"], _FALLBACK)
        status, _ = read_leniently(WorkspaceStatus, manifest.get("status") or {})
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            generation=metadata.get("generation", 0),
            created=metadata["creationTimestamp"],
            deleting="deletionTimestamp" in metadata,
            finalizers=tuple(metadata.get("finalizers", ())),
            spec=spec,
            status=status,
            not_understood=tuple(refused.values()),
        )

    @property
    def expires_at(self) -> datetime | None:
        """When the workspace ends by spec.expiresAfter; None for never."""
        after = self.spec.expires_after
        if after is None:
            return None
        unit = {"m": "minutes", "h": "hours", "d": "days"}[after[-1]]
        return self.created + timedelta(**{unit: int(after[:-1])})
