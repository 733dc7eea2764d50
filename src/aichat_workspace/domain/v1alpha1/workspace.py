"""AIChatWorkspace as decisions read it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Self, TypeVar

from pydantic import ValidationError

from aichat_workspace.domain.v1alpha1.base import Schema
from aichat_workspace.domain.v1alpha1.workspace_spec import DeletionPolicy, WorkspaceSpec
from aichat_workspace.domain.v1alpha1.workspace_status import WorkspaceStatus

S = TypeVar("S", bound=Schema)
_NOTHING: Final[Mapping[str, Any]] = {}
# Nobody's data are deleted for a word that is not understood.
_CAUTIOUS: Final = {"deletionPolicy": DeletionPolicy.RETAIN}


class Workspace(Schema):
    """One AIChatWorkspace as the API server holds it, reduced to what decisions read.

    `not_understood` says which fields of the spec these models refuse though the API server let
    them through (a CRD older or newer than the operator); the spec is read without them.
    """

    namespace: str
    name: str
    uid: str
    generation: int
    created: datetime
    deleting: bool
    finalizers: tuple[str, ...]
    spec: WorkspaceSpec
    status: WorkspaceStatus
    not_understood: tuple[str, ...] = ()

    @classmethod
    def parse(cls, manifest: dict[str, Any]) -> Self:
        """Read a custom resource. Raises pydantic.ValidationError where it has no workspaceName
        that could be a namespace's."""
        metadata = manifest["metadata"]
        spec, not_understood = _understood(WorkspaceSpec, manifest["spec"], _CAUTIOUS)
        status, _ = _understood(WorkspaceStatus, manifest.get("status") or {})
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
            not_understood=not_understood,
        )

    @property
    def expires_at(self) -> datetime | None:
        """When the workspace ends by spec.expiresAfter; None for never."""
        after = self.spec.expires_after
        if after is None:
            return None
        unit = {"m": "minutes", "h": "hours", "d": "days"}[after[-1]]
        return self.created + timedelta(**{unit: int(after[:-1])})


def _understood(
    model: type[S], document: Mapping[str, Any], instead: Mapping[str, Any] = _NOTHING
) -> tuple[S, tuple[str, ...]]:
    """The document without the fields at its top that the model refuses, or with what stands
    `instead` of them; and why they are refused."""
    try:
        return model.model_validate(document, extra="ignore"), ()
    except ValidationError as error:
        refused = {
            each["loc"][0]: format_field_error(each["loc"], each["msg"]) for each in error.errors()
        }
    kept = {key: value for key, value in document.items() if key not in refused}
    cautious = {key: value for key, value in instead.items() if key in refused}
    found = model.model_validate({**kept, **cautious}, extra="ignore")
    return found, tuple(refused.values())


def format_field_error(at: tuple[int | str, ...], message: str) -> str:
    """A field that is refused, and why."""
    return f"{'.'.join(map(str, at))}: {message}"
