"""Bodies about usage: what there is, and what of it is used."""

from typing import Any, Final, Literal

from pydantic import Field

from aichat_workspace.api.schemas.base import ApiModel, with_example
from aichat_workspace.domain.models.status import ModelState
from aichat_workspace.domain.v1alpha1.workspace_status import ActivityRecord

_CPU: Final = {"resource": "limits.cpu", "used": "6", "hard": "6", "percent": 100}
_SUMS: Final[dict[str, Any]] = {
    "workspaces": 1,
    "quota": [_CPU],
    "volumes": {"requestedBytes": 23_622_320_128, "capacityBytes": 23_622_320_128},
    "objects": {"present": 19, "expected": 19},
    "models": {"count": 1, "bytes": 1_629_518_495},
}


class QuotaEntry(ApiModel):
    """One resource that a ResourceQuota bounds."""

    resource: str = Field(description="As in the quota: `limits.cpu`, `requests.storage`, `pods`.")
    used: str = Field(description="What is used of it, as Kubernetes writes it: `500m`, `10Gi`.")
    hard: str = Field(description="What may be used of it.")
    percent: int | None = Field(description="The used part; null where nothing may be used.")


class VolumeUsage(ApiModel):
    """A volume of a workspace. Of what is on it, Kubernetes' API tells nothing."""

    name: Literal["ollama", "openWebUI"] = Field(description="Whose: models', or the chat's.")
    storage_class_name: str | None = Field(description="Its StorageClass; null before it has one.")
    phase: str = Field(description="Bound once there is a volume, Pending before, or Lost.")
    requested_bytes: int = Field(description="Bytes that it asks for.")
    capacity_bytes: int | None = Field(description="Bytes that it has; null before it is bound.")
    model_bytes: int | None = Field(
        description="Bytes of the models on it that status.models names, unfinished downloads "
        "included; null for the chat's volume."
    )
    free_bytes: int | None = Field(
        description="Bytes that these models leave free; null where that is not known. Models that "
        "people made in the chat take more of it."
    )


class ObjectCount(ApiModel):
    """How many objects in the cluster."""

    present: int = Field(description="Those that are there.")
    expected: int = Field(description="Those that should be there.")


class ModelBytes(ApiModel):
    """A model of a workspace and its size."""

    name: str = Field(description="As Ollama lists it.")
    state: ModelState = Field(description="Pending, Pulling, Ready, Failed or Removing.")
    bytes: int = Field(description="Bytes of it that are there.")


class WorkspaceUsage(ApiModel):
    """What a workspace uses of what it has."""

    model_config = with_example(
        {
            "name": "team-a-aichat",
            "team": "team-a",
            "quota": [_CPU],
            "volumes": [
                {
                    "name": "ollama",
                    "storageClassName": "fast-ssd",
                    "phase": "Bound",
                    "requestedBytes": 21_474_836_480,
                    "capacityBytes": 21_474_836_480,
                    "modelBytes": 1_629_518_495,
                    "freeBytes": 19_845_317_985,
                }
            ],
            "objects": {"present": 19, "expected": 19},
            "models": [{"name": "gemma2:2b", "state": "Ready", "bytes": 1_629_518_495}],
            "activity": {"usedAt": "2026-11-24T16:40:00Z", "askedAt": "2026-11-25T08:12:00Z"},
        }
    )

    name: str = Field(description="The workspaceName.")
    team: str = Field(description="The team.")
    quota: tuple[QuotaEntry, ...] = Field(
        description="By resource; empty before the workspace has its quota. Pods count with what "
        "they may use, not with what they use now."
    )
    volumes: tuple[VolumeUsage, ...] = Field(description="Those that are there.")
    objects: ObjectCount = Field(description="The workspace's objects.")
    models: tuple[ModelBytes, ...] = Field(description="As in status.models.")
    activity: ActivityRecord | None = Field(
        description="When people last used it, as in status.activity; null before that is known."
    )


class VolumeSums(ApiModel):
    """The volumes of some workspaces."""

    requested_bytes: int = Field(description="Bytes that they ask for.")
    capacity_bytes: int = Field(description="Bytes that those that are bound have.")


class ModelSums(ApiModel):
    """The models of some workspaces. Each workspace stores its own."""

    count: int = Field(description="How many.")
    bytes: int = Field(description="Bytes of them that are there.")


class UsageSums(ApiModel):
    """What some workspaces use together of what they have."""

    workspaces: int = Field(description="How many, with or without a quota yet.")
    quota: tuple[QuotaEntry, ...] = Field(description="Sums of their quotas, by resource.")
    volumes: VolumeSums = Field(description="Their volumes.")
    objects: ObjectCount = Field(description="Their objects.")
    models: ModelSums = Field(description="Their models.")


class TeamUsage(UsageSums):
    """What the workspaces of a team use together."""

    model_config = with_example({"team": "team-a", **_SUMS})

    team: str = Field(description="The team.")


class PlatformUsage(ApiModel):
    """What all workspaces use together."""

    model_config = with_example({"total": _SUMS, "teams": [{"team": "team-a", **_SUMS}]})

    total: UsageSums = Field(description="Of all teams.")
    teams: tuple[TeamUsage, ...] = Field(description="Each team, by name.")
