"""The status of an AIChatWorkspace.

The CRD, the reference page and the API's schemas are generated from these models.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Generic, TypeVar

from pydantic import BeforeValidator, Field, StringConstraints

from aichat_workspace.domain import names
from aichat_workspace.domain.models.status import ModelState
from aichat_workspace.domain.v1alpha1.backup import BackupRecord, RestoreRecord
from aichat_workspace.domain.v1alpha1.base import Schema

T = TypeVar("T", bound=StrEnum)
_MAX_RESOURCES: Final = 64
_MESSAGE_LENGTH: Final = 1024
MAX_REFRESH_LENGTH: Final = 64
_DIGEST_LENGTH: Final = 128
_PATH_LENGTH: Final = 256
MAX_REWRITTEN_FIELDS: Final = 8


def _cut(length: int) -> BeforeValidator:
    """Cut texts of other programs, which may be longer than a status allows."""
    return BeforeValidator(lambda text: text[:length] if isinstance(text, str) else text)


Message = Annotated[str, StringConstraints(max_length=_MESSAGE_LENGTH), _cut(_MESSAGE_LENGTH)]
Digest = Annotated[str, StringConstraints(max_length=_DIGEST_LENGTH), _cut(_DIGEST_LENGTH)]
Path = Annotated[str, StringConstraints(max_length=_PATH_LENGTH), _cut(_PATH_LENGTH)]


def _known(state: object) -> object:
    """Take a state of another version's operator for one that is looked at again."""
    return state if state in {*ModelState} else ModelState.PENDING


State = Annotated[ModelState, BeforeValidator(_known)]


def _known_turn(state: object) -> object:
    """Take a turn's state of another version's operator for one that is looked at again: others
    wait for it no longer than until the turn's end."""
    return state if state in {*TurnState} else TurnState.CHANGING


def map_by(*keys: str) -> dict[str, Any]:
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [*keys]}


class Phase(StrEnum):
    """The workspace's state, in one word."""

    PENDING = "Pending"
    PROVISIONING = "Provisioning"
    PULLING_MODELS = "PullingModels"
    READY = "Ready"
    DEGRADED = "Degraded"
    SUSPENDED = "Suspended"
    TERMINATING = "Terminating"


class ConditionType(StrEnum):
    """What a condition is about."""

    READY = "Ready"
    PROVISIONED = "Provisioned"
    OLLAMA_AVAILABLE = "OllamaAvailable"
    OPENWEBUI_AVAILABLE = "OpenWebUIAvailable"
    MODELS_READY = "ModelsReady"
    INGRESS_SERVED = "IngressServed"
    UP_TO_DATE = "UpToDate"
    STORAGE_AS_ASKED = "StorageAsAsked"
    STORED_AS_APPLIED = "StoredAsApplied"
    TOOLS_OFFERED = "ToolsOffered"
    SYNCED = "Synced"
    BACKED_UP = "BackedUp"
    RESTORED = "Restored"
    EXPIRES_SOON = "ExpiresSoon"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"


ABNORMAL_CONDITIONS: Final = frozenset(
    {ConditionType.EXPIRES_SOON, ConditionType.RECONCILING, ConditionType.STALLED}
)
"""They are there only while they are True.

https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md#conditions
"""
OPTIONAL_CONDITIONS: Final = frozenset({ConditionType.BACKED_UP, ConditionType.RESTORED})
"""They are there only where the spec asks for it."""
WORKLOAD_CONDITIONS: Final = (ConditionType.OLLAMA_AVAILABLE, ConditionType.OPENWEBUI_AVAILABLE)


class ConditionStatus(StrEnum):
    """Whether the condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class ConditionOf(Schema, Generic[T]):
    """One fact about a resource, and what to do about it.

    https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#typical-status-properties
    """

    type: T = Field(description="What the condition is about.")
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
    observed_generation: int = Field(
        ge=0, description="The generation of the spec that it is about."
    )


class Condition(ConditionOf[ConditionType]):
    """One fact about the workspace, and what to do about it."""


class ModelEntry(Schema):
    """How far one model of the workspace is."""

    name: str = Field(
        description="The model's name as Ollama lists it, in the model server's spelling once it "
        "is there."
    )
    state: State = Field(description="Pending, Pulling, Ready, Failed or Removing.")
    completed_bytes: int = Field(default=0, ge=0, description="Bytes downloaded.")
    total_bytes: int = Field(default=0, ge=0, description="Bytes to download; 0 while unknown.")
    percent: int = Field(default=0, ge=0, le=100, description="How much is downloaded.")
    digest: Digest = Field(default="", description="The downloaded model's digest.")
    managed: bool = Field(
        default=False,
        description="Whether the operator downloaded it. Only such a model is ever removed.",
    )
    bytes_per_second: int = Field(default=0, ge=0, description="Speed of the last ten seconds.")
    eta_seconds: int | None = Field(
        default=None, ge=0, description="Seconds until it is there if the speed stays."
    )
    reason: str = Field(
        default="", description="Why it has failed, in one word for programs, or empty."
    )
    message: Message = Field(default="", description="What is wrong and what to do, or empty.")


class PatternEntry(Schema):
    """How far one pattern of the workspace is."""

    name: str = Field(description="The pattern's name; its model is listed as <name>:latest.")
    state: State = Field(description="Pending, Ready, Failed or Removing.")
    revision: str = Field(
        default="", description="What the pattern's model was made from: prompt and base model."
    )
    message: Message = Field(default="", description="What is wrong and what to do, or empty.")


class ResourceEntry(Schema):
    """One object of the workspace."""

    kind: str = Field(description="The object's kind.")
    name: str = Field(description="The object's name.")
    state: str = Field(description="Present or Missing.")


class NamespaceRecord(Schema):
    """The workspace's namespace. The operator changes only a namespace with this UID."""

    name: str = Field(description="The namespace's name.")
    uid: str = Field(description="The namespace's UID.")


class ImagesRecord(Schema):
    """The images with which both workloads were last available."""

    ollama: str = Field(description="The model server's image.")
    open_webui: str = Field(alias="openWebUI", description="The chat front-end's image.")


class TurnState(StrEnum):
    """How a workspace's turn in an upgrade goes."""

    CHANGING = "Changing"
    FAILED = "Failed"
    STUCK = "Stuck"


class TurnRecord(Schema):
    """The turn in which the workspace changes its pods; others wait for it only while Changing."""

    state: Annotated[TurnState, BeforeValidator(_known_turn)] = Field(
        description="Changing; Failed, and the change may be why; or Stuck for a reason of the "
        "workspace's own. The turn is over when both workloads are available."
    )
    target: Digest = Field(description="Digest of the pod templates that it changes to.")
    until: datetime = Field(description="When it gives its turn on at the latest.")
    generation: int = Field(ge=0, description="The generation of the spec when it began.")
    spec: Digest = Field(
        default="",
        description="Digest of that spec, without what it only tells people; empty where an older "
        "release has written this.",
    )
    was_available: bool = Field(
        description="Whether both workloads were available when it began. Otherwise it proves "
        "nothing of the change."
    )


class RolloutRecord(Schema):
    """How the platform's changes of pod templates reach the workspace."""

    generation: int = Field(
        ge=0,
        description="The generation of the spec that the pod templates were last written for. What "
        "a newer one changes waits for no turn.",
    )
    spec: Digest = Field(
        default="",
        description="Digest of that spec, without what it only tells people: a change of nothing "
        "else waits as if the spec were the same. Empty where an older release has written this.",
    )
    changed_at: datetime | None = Field(
        default=None, description="When a turn of it was last over."
    )
    turn: TurnRecord | None = Field(default=None, description="Its turn, until it is over.")


class RewriteEntry(Schema):
    """An object that the API server stores otherwise than it was applied."""

    kind: str = Field(description="The object's kind.")
    name: str = Field(description="The object's name.")
    fields: tuple[Path, ...] = Field(
        max_length=MAX_REWRITTEN_FIELDS, description="The fields that came back different."
    )
    revision: str = Field(
        description="Digest of what was applied and of the values that came back. While they stay, "
        "the object is not written again."
    )


class ActivityRecord(Schema):
    """When people last used the workspace. Who it was and what they did is nowhere."""

    used_at: datetime | None = Field(
        default=None,
        description="When somebody last used the chat, or prompted a model by the API; left out "
        "where nobody has.",
    )
    asked_at: datetime | None = Field(
        default=None,
        description="When the chat was last asked, at most a day ago while it answers. How it was "
        "used since then is unknown; left out before the first time.",
    )
    message: Message = Field(
        default="", description="Why the chat could not be asked since then, or empty."
    )


class WorkspaceStatus(Schema):
    """The status of AIChatWorkspace, which the operator writes."""

    observed_generation: int = Field(
        default=0, ge=0, description="The generation of the spec that this status is about."
    )
    phase: Phase = Field(default=Phase.PENDING, description="Where the workspace is, in one word.")
    is_created: bool = Field(
        default=False, description="Whether every object exists. Kept for older readers."
    )
    url: str | None = Field(default=None, description="Where people open the chat.")
    expires_at: datetime | None = Field(
        default=None, description="When spec.expiresAfter ends the workspace."
    )
    namespace: NamespaceRecord | None = Field(default=None, description="The tenant's namespace.")
    images: ImagesRecord | None = Field(
        default=None, description="The images with which both workloads were last available."
    )
    rollout: RolloutRecord | None = Field(
        default=None, description="How the platform's changes of pod templates reach it."
    )
    conditions: tuple[Condition, ...] = Field(
        default=(),
        description="Facts about the workspace, with their reasons.",
        json_schema_extra=map_by("type"),
    )
    backup: BackupRecord | None = Field(default=None, description="The chat's backups.")
    restore: RestoreRecord | None = Field(default=None, description="The last restore.")
    models_ready: str = Field(
        default="",
        description="Ready and desired models, as in 2/3, and while models are downloaded how "
        "much of them is there, as in 2/3 40%.",
    )
    models: tuple[ModelEntry, ...] = Field(
        default=(), description="Every model and how far it is.", json_schema_extra=map_by("name")
    )
    patterns: tuple[PatternEntry, ...] = Field(
        default=(),
        description="Every pattern and how far it is.",
        json_schema_extra=map_by("name"),
    )
    models_refreshed: str = Field(
        default="",
        max_length=MAX_REFRESH_LENGTH,
        description=f"The text of the annotation {names.REFRESH_MODELS_ANNOTATION} whose refresh "
        "is done.",
    )
    tools_revision: str = Field(
        default="",
        description="Digest of the models that chats offer tools to. It changes with the models "
        "that can call tools and is empty where none can.",
    )
    activity: ActivityRecord | None = Field(
        default=None, description="When people last used it, as far as that is known."
    )
    rewrites: tuple[RewriteEntry, ...] = Field(
        default=(),
        description="Objects that an admission webhook or policy changes while they are written.",
        max_length=_MAX_RESOURCES,
        json_schema_extra=map_by("kind", "name"),
    )
    resources: tuple[ResourceEntry, ...] = Field(
        default=(), description="Every object of the workspace.", max_length=_MAX_RESOURCES
    )

    def condition(self, kind: ConditionType) -> Condition | None:
        """Return the condition of a type, or None before it was first written."""
        return next((condition for condition in self.conditions if condition.type == kind), None)
