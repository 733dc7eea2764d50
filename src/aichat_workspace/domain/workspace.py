"""AIChatWorkspace: what a team asks for, and what it is told.

The CRD, the reference page and the API's schemas are generated from these models.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import Field, StringConstraints

from aichat_workspace.domain import names
from aichat_workspace.domain.models import (
    MODEL_NAME_MAX_LENGTH,
    MODEL_NAME_PATTERN,
    ModelState,
)
from aichat_workspace.domain.schema import Schema, rule

PATTERN_NAME_PATTERN: Final = r"^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$"
MAX_MODELS: Final = 32
MAX_PATTERNS: Final = 64

_RESERVED_RULE: Final = " && ".join(
    [
        *(f"!self.startsWith('{prefix}')" for prefix in names.RESERVED_PREFIXES),
        f"!(self in {sorted(names.RESERVED_NAMES)})",
    ]
)

WorkspaceName = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=names.WORKSPACE_NAME_MAX_LENGTH,
        pattern=names.WORKSPACE_NAME_PATTERN,
    ),
    Field(
        json_schema_extra={
            "x-kubernetes-validations": [
                rule(
                    "self == oldSelf",
                    "workspaceName is immutable: it names the tenant's namespace; create a second "
                    "workspace and delete this one instead",
                ),
                rule(
                    _RESERVED_RULE,
                    "workspaceName becomes a namespace of its own: choose a name that is not "
                    f"{', '.join(sorted(names.RESERVED_NAMES))} and does not start with "
                    f"{' or '.join(names.RESERVED_PREFIXES)}",
                ),
            ]
        }
    ),
]
ModelText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MODEL_NAME_MAX_LENGTH, pattern=MODEL_NAME_PATTERN),
]
PatternText = Annotated[
    str, StringConstraints(min_length=1, max_length=63, pattern=PATTERN_NAME_PATTERN)
]
_SET: Final[dict[str, Any]] = {"x-kubernetes-list-type": "set"}


def _map_by(key: str) -> dict[str, Any]:
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}


class WorkspaceSpec(Schema):
    """What the team asks for."""

    workspace_name: WorkspaceName = Field(
        description="Name of the workspace and of the namespace it becomes. Unique in the "
        "cluster, immutable; lower-case letters, digits and hyphens, starting with a letter.",
        examples=["team-a-aichat"],
    )
    workspace_env: Annotated[
        str, StringConstraints(min_length=1, max_length=16, pattern=r"^[a-z][a-z0-9-]*$")
    ] = Field(
        default="dev",
        alias="workspaceENV",
        description="Open WebUI's ENV. With dev it serves its API documentation at /docs.",
    )
    models: tuple[ModelText, ...] = Field(
        default=(),
        max_length=MAX_MODELS,
        description="Models to download, by Ollama name: [host[:port]/][namespace/]name[:tag]. "
        "Patterns are built on the first one.",
        examples=[["gemma2:2b"]],
        json_schema_extra=_SET,
    )
    patterns: tuple[PatternText, ...] = Field(
        default=(),
        max_length=MAX_PATTERNS,
        description="System prompts to offer as models of their own, by name: built-in ones, or "
        "keys of ConfigMaps that the platform team labelled for it.",
        examples=[["explain_code", "create_summary"]],
        json_schema_extra=_SET,
    )


class Phase(StrEnum):
    """Where the workspace is, in one word."""

    PENDING = "Pending"
    PROVISIONING = "Provisioning"
    PULLING_MODELS = "PullingModels"
    READY = "Ready"
    DEGRADED = "Degraded"
    TERMINATING = "Terminating"


class ConditionType(StrEnum):
    READY = "Ready"
    PROVISIONED = "Provisioned"
    OLLAMA_AVAILABLE = "OllamaAvailable"
    OPENWEBUI_AVAILABLE = "OpenWebUIAvailable"
    MODELS_READY = "ModelsReady"


class ConditionStatus(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Schema):
    """One thing that is so, is not so, or is not known yet, and what to do about it.

    https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#typical-status-properties
    """

    type: ConditionType = Field(description="What is spoken of.")
    status: ConditionStatus = Field(description="True, False or Unknown.")
    reason: str = Field(
        max_length=64,
        pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
        description="Why, in one word for programs.",
    )
    message: str = Field(
        max_length=2048,
        description="Why, for people, and what to do where something is to be done.",
    )
    last_transition_time: datetime = Field(description="When the status last changed.")
    observed_generation: int = Field(ge=0, description="The generation this was said of.")


class ModelEntry(Schema):
    """How far one model of the workspace is."""

    name: str = Field(description="The model's name as Ollama lists it.")
    state: ModelState = Field(description="Pending, Pulling, Ready, Failed or Removing.")
    completed_bytes: int = Field(default=0, ge=0, description="Bytes downloaded.")
    total_bytes: int = Field(default=0, ge=0, description="Bytes to download; 0 while unknown.")
    percent: int = Field(default=0, ge=0, le=100, description="How much is downloaded.")
    digest: str = Field(default="", description="The downloaded model's digest.")
    managed: bool = Field(
        default=False,
        description="Whether the operator downloaded it. Only such a model is ever removed.",
    )
    bytes_per_second: int = Field(default=0, ge=0, description="Speed of the last ten seconds.")
    eta_seconds: int | None = Field(
        default=None, ge=0, description="Seconds until it is there if the speed stays."
    )
    message: str = Field(default="", description="What is wrong and what to do, or empty.")


class PatternEntry(Schema):
    """How far one pattern of the workspace is."""

    name: str = Field(description="The pattern's name; its model is listed as <name>:latest.")
    state: ModelState = Field(description="Pending, Ready, Failed or Removing.")
    revision: str = Field(
        default="", description="What the pattern's model was made from: prompt and base model."
    )
    message: str = Field(default="", description="What is wrong and what to do, or empty.")


class ResourceEntry(Schema):
    """One object of the workspace."""

    kind: str = Field(description="The object's kind.")
    name: str = Field(description="The object's name.")
    state: str = Field(description="Present or Missing.")


class NamespaceRecord(Schema):
    """The namespace the workspace became. Only a namespace with this UID is ever touched."""

    name: str = Field(description="The namespace's name.")
    uid: str = Field(description="The namespace's UID.")


class WorkspaceStatus(Schema):
    """What the team is told."""

    observed_generation: int = Field(
        default=0, ge=0, description="The generation of the spec that this status speaks of."
    )
    phase: Phase = Field(default=Phase.PENDING, description="Where the workspace is, in one word.")
    is_created: bool = Field(
        default=False, description="Whether every object exists. Kept for older readers."
    )
    url: str | None = Field(default=None, description="Where people open the chat.")
    namespace: NamespaceRecord | None = Field(default=None, description="The tenant's namespace.")
    conditions: tuple[Condition, ...] = Field(
        default=(), description="What is so and why.", json_schema_extra=_map_by("type")
    )
    models_ready: str = Field(default="", description="Models ready of models wanted, as in 2/3.")
    models: tuple[ModelEntry, ...] = Field(
        default=(), description="Every model and how far it is.", json_schema_extra=_map_by("name")
    )
    patterns: tuple[PatternEntry, ...] = Field(
        default=(),
        description="Every pattern and how far it is.",
        json_schema_extra=_map_by("name"),
    )
    resources: tuple[ResourceEntry, ...] = Field(
        default=(), description="Every object of the workspace.", max_length=64
    )

    def condition(self, kind: ConditionType) -> Condition | None:
        return next((found for found in self.conditions if found.type == kind), None)


class Workspace(Schema):
    """One AIChatWorkspace as the API server holds it, reduced to what decisions read."""

    namespace: str
    name: str
    uid: str
    generation: int
    created: datetime
    deleting: bool
    finalizers: tuple[str, ...]
    spec: WorkspaceSpec
    status: WorkspaceStatus

    @classmethod
    def parse(cls, manifest: dict[str, Any]) -> Self:
        """Read a custom resource. Raises pydantic.ValidationError where the API server let
        something through that these models refuse (a CRD older or newer than the operator)."""
        metadata = manifest["metadata"]
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            generation=metadata.get("generation", 0),
            created=metadata["creationTimestamp"],
            deleting="deletionTimestamp" in metadata,
            finalizers=tuple(metadata.get("finalizers", ())),
            spec=WorkspaceSpec.model_validate(manifest["spec"]),
            status=WorkspaceStatus.model_validate(manifest.get("status") or {}),
        )
