"""AIChatWorkspace, as decisions read it."""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Self

from aichat_workspace.domain import names
from aichat_workspace.domain.v1alpha1.base import Schema, read_leniently, read_record
from aichat_workspace.domain.v1alpha1.workspace_spec import DeletionPolicy, Expiry, WorkspaceSpec
from aichat_workspace.domain.v1alpha1.workspace_status import MAX_REFRESH_LENGTH, WorkspaceStatus

# Data are never deleted for a value that the operator does not understand.
_FALLBACK: Final = {"deletionPolicy": DeletionPolicy.RETAIN, "expiry": Expiry.SUSPEND}


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
    labels: Mapping[str, str] = {}
    refresh_models: str = ""
    """The text of the annotation that asks for a refresh of the models, cut."""
    written_spec: WorkspaceSpec | None = None
    """The spec as it was written, where a size class has filled in what it leaves out."""
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
        status = read_record(WorkspaceStatus, manifest.get("status") or {})
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
            labels=metadata.get("labels") or {},
            refresh_models=_refresh(metadata),
            not_understood=tuple(refused.values()),
        )

    @property
    def own_spec(self) -> WorkspaceSpec:
        """The spec without what a size class has filled in."""
        return self.written_spec or self.spec

    @property
    def spec_digest(self) -> str:
        """The digest of its own spec, without what no pod of the workloads depends on: what it only
        tells people, and backups."""
        words = {"display_name", "description", "labels", "cost_centre", "backup", "restore"}
        text = self.own_spec.model_dump_json(exclude=words, exclude_defaults=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def is_edited_since(self, generation: int, spec_digest: str) -> bool:
        """Return whether the spec asks for something else than that of a generation did. Without
        its digest any other generation does."""
        return self.generation != generation and self.spec_digest != spec_digest

    @property
    def expires_at(self) -> datetime | None:
        """When the workspace ends by spec.expiresAfter; None for never."""
        after = self.spec.expires_after
        if after is None:
            return None
        unit = {"m": "minutes", "h": "hours", "d": "days"}[after[-1]]
        return self.created + timedelta(**{unit: int(after[:-1])})


def _refresh(metadata: Mapping[str, Any]) -> str:
    annotations = metadata.get("annotations") or {}
    return str(annotations.get(names.REFRESH_MODELS_ANNOTATION, ""))[:MAX_REFRESH_LENGTH]
